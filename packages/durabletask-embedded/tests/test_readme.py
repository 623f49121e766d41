"""The test that the README shows is one that passes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from durabletask_embedded import TestHub
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
