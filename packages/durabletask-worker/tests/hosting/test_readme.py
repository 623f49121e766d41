"""The code in the README runs, from top to bottom like one program, and so does every orchestrator in it, on a server."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from durabletask_client import AsyncTaskHubGrpcClient
from durabletask_worker import Registry, TaskHubGrpcWorker

from .engine import Engine

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
ADDRESS = "localhost:4001"
TIMEOUT = 20

RUNS: dict[tuple[str, str | None], tuple[object, str]] = {
    ("order", None): (["cup"], "1200"),
    ("order_with_rebate", None): (["tea", "tea"], "810"),
    ("rebate", None): (100, "10"),
    ("pay", None): (450, r"450 cents, paid under [\w-]+/1"),
    ("move", None): (3, r"\[-3, 13\]"),
    ("prices", None): (["tea", "cup"], r"\[450, 1200\]"),
    ("approval", None): (0.01, "nobody"),
    ("first_price", None): (None, "1200"),
    ("prepare", None): (["tea", "cup"], "2 pieces, 1650 cents"),
    ("travel", None): (101, "at home: there is no seat 101"),
    ("ship", None): ("tea", "tea, insured for 450 cents"),
    ("invoice", None): ("tea", "tea: 450"),
    ("invoice", "2.0"): ("tea", "tea: 4.50 EUR"),
}
"""Every orchestrator of the README, with an input and what comes out."""


async def test_code_in_the_readme_runs(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = await _registry_of_the_readme(engine, monkeypatch)

    assert capsys.readouterr().out == "1650\n"
    assert {(each.name, each.version) for each in registry.orchestrators} == RUNS.keys()

    async with (
        TaskHubGrpcWorker(host_address=engine.address, registry=registry),
        AsyncTaskHubGrpcClient(host_address=engine.address) as client,
    ):
        for (name, version), (given, wanted) in RUNS.items():
            output = await client.run_orchestration(name, input=given, version=version, timeout=TIMEOUT)
            assert re.fullmatch(wanted, str(output)), f"{name}: {output}"


async def test_attempts_in_the_readme_are_retried(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = await _registry_of_the_readme(engine, monkeypatch)

    async with (
        TaskHubGrpcWorker(host_address=engine.address, registry=registry),
        AsyncTaskHubGrpcClient(host_address=engine.address) as client,
    ):
        instance_id = await client.schedule_new_orchestration("travel", input=1)
        ended = await client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)
        history = await client.get_orchestration_history(instance_id)

    assert ended is not None
    assert ended.get_output() == "at home: the line is dead"
    assert sum(event.kind == "TaskFailed" for event in history) == 3


def test_the_readme_has_code_in_each_part_about_authoring() -> None:
    parts = README.read_text("utf-8").split("\n## ")[1:]

    assert [part.splitlines()[0] for part in parts if "```python" not in part] == ["Running a worker"]


async def _registry_of_the_readme(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Registry:
    module = ModuleType("readme")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    text = "\n".join(BLOCKS)

    assert ADDRESS in text

    code = compile(text.replace(ADDRESS, engine.address), README.name, "exec", dont_inherit=True)
    # In a thread, for it waits for the server, which is on this loop.
    await asyncio.to_thread(exec, code, vars(module))
    registry = module.registry

    assert isinstance(registry, Registry)

    return registry
