"""Recorded histories against today's code: what follows them, and where what does not departs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from durabletask_client import JsonDataConverter, OrchestrationStatus
from durabletask_embedded import TaskHub, TestHub, histories, replay
from durabletask_protos.history_json import HistoryFormatError, dump, load
from durabletask_worker import (
    ActivityContext,
    EntityContext,
    EntityInstanceId,
    Middleware,
    NonDeterminismError,
    OrchestrationContext,
    Registry,
    RetryPolicy,
    TaskFailedError,
    when_all,
    when_any,
)

HISTORIES = Path(__file__).parent / "histories"
COUNTER = EntityInstanceId("counter", "main")


def make() -> Registry:
    """What the histories were recorded with: something of everything."""
    registry = Registry()

    @registry.activity
    def double(ctx: ActivityContext, number: int) -> int:
        if number == 13:
            raise ValueError("no luck")

        return 2 * number

    @registry.entity(name="counter")
    def counter(ctx: EntityContext, amount: int) -> int:
        ctx.set_state(ctx.get_state(int, 0) + amount)

        return ctx.get_state(int, 0)

    @registry.orchestrator
    async def child(ctx: OrchestrationContext, number: int) -> int:
        return await ctx.call_activity(double, number)

    @registry.orchestrator
    async def everything(ctx: OrchestrationContext, number: int) -> list[Any]:
        ctx.set_custom_status("at it")
        one = await ctx.call_activity(double, number)
        many = await when_all([ctx.call_activity(double, each) for each in range(3)])
        below = await ctx.call_sub_orchestrator(child, number)
        await ctx.create_timer(timedelta(days=1))
        late = await when_any([ctx.create_timer(timedelta(hours=1)), ctx.wait_for_external_event("never")])
        counted = await ctx.call_entity(COUNTER, "add", 5, return_type=int)

        async with ctx.lock_entities([COUNTER]):
            locked = await ctx.call_entity(COUNTER, "add", 1, return_type=int)

        ctx.signal_entity(COUNTER, "add", 1)
        ctx.send_event("nobody", "hello")
        ids = [len(ctx.new_uuid()), ctx.random.random() < 2, ctx.patched("later")]

        return [one, many, below, type(late).__name__ != "", counted, locked, ids]

    @registry.orchestrator
    async def unlucky(ctx: OrchestrationContext) -> None:
        try:
            await ctx.call_activity(
                double, 13, retry_policy=RetryPolicy(first_retry_interval=timedelta(hours=1), max_number_of_attempts=3)
            )
        except TaskFailedError as error:
            raise RuntimeError("all in vain") from error

    @registry.orchestrator
    async def again(ctx: OrchestrationContext, left: int) -> str:
        await ctx.call_activity(double, left)

        if left:
            ctx.continue_as_new(left - 1)

        return "the last"

    @registry.orchestrator
    async def waits(ctx: OrchestrationContext) -> str:
        await ctx.call_activity(double, 1)

        return await ctx.wait_for_external_event("go", data_type=str)

    return registry


async def record(name: str, input: object = None) -> str:
    async with TestHub(make()) as hub:
        await hub.client.schedule_new_orchestration(name, input=input, instance_id=name)

        if name == "waits":
            await hub.advance(timedelta(seconds=1))
        else:
            await hub.client.wait_for_orchestration_completion(name)

        return await hub.client.export_orchestration_history(name)


INPUTS = {"everything": 21, "unlucky": None, "again": 2, "waits": None}


@pytest.mark.parametrize("history", histories(HISTORIES), ids=attrgetter("stem"))
def test_yesterdays_histories_replay(history: Path) -> None:
    replayed = replay(history, make())

    assert replayed.name == history.stem
    assert replayed.events == len(load(history.read_text("utf-8")).events)
    assert dump(replayed.instance_id, load(history.read_text("utf-8")).events) == history.read_text("utf-8")


@pytest.mark.parametrize("name", INPUTS)
async def test_todays_histories_replay(name: str) -> None:
    replayed = replay(await record(name, INPUTS[name]), make())
    ends = {"unlucky": OrchestrationStatus.FAILED, "waits": OrchestrationStatus.RUNNING}

    assert replayed.status is ends.get(name, OrchestrationStatus.COMPLETED)


def changed(change: Callable[[Registry], object]) -> Registry:
    """Today's code, where something is different."""
    registry, kept = Registry(), make()
    change(registry)

    for name in ("double", "child", "everything", "unlucky", "again", "waits"):
        for find, add in (
            (kept.find_activity, registry.add_activity),
            (kept.find_orchestrator, registry.add_orchestrator),
        ):
            found = find(name)
            is_new = registry.find_activity(name) or registry.find_orchestrator(name)

            if found is not None and not is_new:
                add(found.function, name=name)

    return registry


def another_activity(registry: Registry) -> None:
    @registry.orchestrator
    async def waits(ctx: OrchestrationContext) -> str:
        await ctx.call_activity("triple", 1)

        return await ctx.wait_for_external_event("go", data_type=str)


def a_step_more(registry: Registry) -> None:
    @registry.orchestrator
    async def waits(ctx: OrchestrationContext) -> str:
        await ctx.call_activity("double", 1)
        await ctx.call_activity("double", 2)

        return "done"


def a_step_less(registry: Registry) -> None:
    @registry.orchestrator
    async def unlucky(ctx: OrchestrationContext) -> None:
        raise RuntimeError("all in vain")


def another_end(registry: Registry) -> None:
    @registry.orchestrator
    async def again(ctx: OrchestrationContext, left: int) -> str:
        await ctx.call_activity("double", left)

        return "the end"


def another_failure(registry: Registry) -> None:
    @registry.orchestrator
    async def unlucky(ctx: OrchestrationContext) -> None:
        await ctx.call_activity(
            "double", 13, retry_policy=RetryPolicy(first_retry_interval=timedelta(hours=1), max_number_of_attempts=3)
        )


def no_end(registry: Registry) -> None:
    @registry.orchestrator
    async def again(ctx: OrchestrationContext, left: int) -> str:
        await ctx.call_activity("double", left)

        return await ctx.wait_for_external_event("go", data_type=str)


def too_early(registry: Registry) -> None:
    @registry.orchestrator
    async def waits(ctx: OrchestrationContext) -> str:
        await ctx.call_activity("double", 1)

        return "done"


@pytest.mark.parametrize(
    ("name", "change", "step", "recorded", "done"),
    [
        ("waits", another_activity, 1, "activity 'double'", "activity 'triple'"),
        ("waits", a_step_more, 2, "nothing", "activity 'double'"),
        ("unlucky", a_step_less, 1, "activity 'double'", "nothing"),
        ("again", another_end, None, "COMPLETED with 'the last'", "COMPLETED with 'the end'"),
        ("again", no_end, None, "COMPLETED with 'the last'", "no end"),
        ("waits", too_early, None, "no end", "COMPLETED with 'done'"),
        (
            "unlucky",
            another_failure,
            None,
            "FAILED with builtins.RuntimeError: all in vain",
            "FAILED with .*TaskFailedError",
        ),
    ],
)
def test_where_code_departs(
    name: str, change: Callable[[Registry], object], step: int | None, recorded: str, done: str
) -> None:
    with pytest.raises(NonDeterminismError) as caught:
        replay(HISTORIES / f"{name}.json", changed(change))

    error = caught.value
    assert (error.step, error.recorded) == (step, recorded)
    assert error.done is not None
    assert re.match(done, error.done), error.done
    assert name in str(error)

    if name == "waits" and step is not None:
        assert error.line is not None
        assert error.line.startswith(__file__)
        assert error.line in str(error)


def test_a_registry_without_the_orchestrator() -> None:
    with pytest.raises(NonDeterminismError, match=r"OrchestratorNotRegistered.*'again'"):
        replay(HISTORIES / "again.json", Registry())


def test_converter_and_middleware_are_the_workers() -> None:
    seen: list[str] = []

    class Watch(Middleware):
        async def orchestration(self, ctx: OrchestrationContext, input: Any, proceed: Any) -> Any:
            seen.append(f"{ctx.name} {input!r}")

            return await proceed(input)

    class Upper(JsonDataConverter):
        def serialize(self, value: object) -> str | None:
            return super().serialize(value.upper() if isinstance(value, str) else value)

    with pytest.raises(NonDeterminismError, match="THE LAST"):
        replay(HISTORIES / "again.json", make(), middleware=[Watch()], data_converter=Upper())

    assert seen == ["again 0"]


def test_a_text_a_path_or_events(tmp_path: Path) -> None:
    async def events() -> Any:
        async with TaskHub("", make()) as hub:
            await hub.client.run_orchestration("again", input=0, instance_id="again")

            return await hub.client.get_orchestration_history("again")

    with TaskHub("", make()) as hub:
        hub.client.run_orchestration("again", input=0, instance_id="again")
        text = hub.client.export_orchestration_history("again")

    (tmp_path / "again.json").write_text(text, "utf-8")

    for history in (text, tmp_path / "again.json", str(tmp_path / "again.json"), load(text), asyncio.run(events())):
        assert replay(history, make()).status is OrchestrationStatus.COMPLETED


def test_what_is_no_history(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]", "utf-8")

    with pytest.raises(HistoryFormatError, match="format"):
        replay(tmp_path / "x.json", make())

    with pytest.raises(FileNotFoundError, match=r"no recorded histories.*empty"):
        histories(tmp_path / "empty")


if __name__ == "__main__":
    # Records them anew; only where code in `make` is meant to be another one.
    HISTORIES.mkdir(exist_ok=True)

    for each, given in INPUTS.items():
        (HISTORIES / f"{each}.json").write_text(asyncio.run(record(each, given)), "utf-8")
