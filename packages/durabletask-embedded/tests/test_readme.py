"""The test that the README shows is one that passes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from durabletask_embedded import TaskHub, TestHub
from durabletask_worker import ActivityContext, OrchestrationContext, Registry, RetryPolicy

README = Path(__file__).parents[1] / "README.md"

registry = Registry()


@registry.activity
def charge(ctx: ActivityContext, cents: int) -> int:
    return cents


@registry.activity
def receipt(ctx: ActivityContext, cents: int) -> str:
    raise NotImplementedError("a printer that no test has")


@registry.orchestrator
async def subscription(ctx: OrchestrationContext, months: int) -> list[str]:
    policy = RetryPolicy(first_retry_interval=timedelta(hours=1), max_number_of_attempts=5)
    receipts = []

    for _ in range(months):
        cents = await ctx.call_activity(charge, 500, retry_policy=policy)
        receipts.append(await ctx.call_activity(receipt, cents))
        await ctx.create_timer(timedelta(days=30))

    return receipts


async def test_a_year_goes_by() -> None:
    (code,) = (part for part in README.read_text("utf-8").split("```python\n") if part.startswith("async def test_"))
    names: dict[str, Any] = {**globals(), "TestHub": TestHub}
    exec(code.split("```", 1)[0], names)  # noqa: S102 - our own page
    test: Callable[[], Coroutine[Any, Any, None]] = names["test_a_year_of_payments"]

    await test()


def test_histories_of_a_directory_are_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TaskHub("", registry) as hub:
        hub.client.run_orchestration(subscription, input=0, instance_id="a")
        (tmp_path / "tests" / "histories").mkdir(parents=True)
        recorded = hub.client.export_orchestration_history("a")
        (tmp_path / "tests" / "histories" / "a.json").write_text(recorded, "utf-8")

    monkeypatch.chdir(tmp_path)
    (code,) = (part for part in README.read_text("utf-8").split("```python\n") if "histories(" in part)
    names: dict[str, Any] = {**globals()}
    exec(code.split("```", 1)[0], names)  # noqa: S102 - our own page
    (mark,) = names["test_running_orchestrations_go_on"].pytestmark

    assert [path.stem for path in mark.args[1]] == ["a"]
    names["test_running_orchestrations_go_on"](*mark.args[1])


def test_the_fixtures_are_the_plugins() -> None:
    text = README.read_text("utf-8")
    plugin = Path(sys.modules[TaskHub.__module__].__file__ or "").with_name("pytest_plugin.py").read_text("utf-8")
    named = set(re.findall(r"`(durabletask_\w+)`", text)) - {"durabletask_embedded"}

    assert named == set(re.findall(r"def (durabletask_\w+)\(", plugin)) - {"durabletask_registry"}


def test_ten_years_go_by() -> None:
    (code,) = (part for part in README.read_text("utf-8").split("```python\n") if "test_ten_years" in part)
    names: dict[str, Any] = {**globals()}
    exec(code.split("```", 1)[0], names)  # noqa: S102 - our own page

    with TestHub(registry, seed=7) as hub:
        names["test_ten_years"](hub.client, hub.activities)
