"""What replay takes for the same as the history, and what not: actions that no event records, ends, versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from durabletask_client import CodecDataConverter, JsonDataConverter, OrchestrationStatus
from durabletask_embedded import TestHub, replay
from durabletask_worker import (
    ActivityContext,
    EntityContext,
    EntityInstanceId,
    NonDeterminismError,
    OrchestrationContext,
    Registry,
)

COUNTER = EntityInstanceId("counter", "main")


def make() -> Registry:
    """What the orchestrators of the tests call."""
    registry = Registry()

    @registry.activity
    def double(ctx: ActivityContext, number: int) -> int:
        if number == 13:
            raise ValueError("no luck")

        return 2 * number

    @registry.orchestrator
    async def child(ctx: OrchestrationContext, number: int) -> int:
        return number

    @registry.entity(name="counter")
    def counter(ctx: EntityContext, amount: int) -> None:
        ctx.set_state(ctx.get_state(int, 0) + amount)

    return registry


async def recorded_and_replayed(
    function: Callable[..., Any], replayed_by: Callable[..., Any] | None = None, **options: Any
) -> OrchestrationStatus:
    """Record an orchestrator, and replay it with what goes by its name today."""
    recording, today = make(), make()
    recording.add_orchestrator(function, name="it")
    today.add_orchestrator(replayed_by or function, name="it")

    async with TestHub(recording, **options) as hub:
        await hub.client.schedule_new_orchestration("it", instance_id="it")
        await hub.advance(timedelta(seconds=1))
        history = await hub.client.export_orchestration_history("it")

    return replay(history, today, data_converter=options.get("data_converter")).status


async def test_what_no_event_records_is_no_departure() -> None:
    async def terminates(ctx: OrchestrationContext) -> None:
        ctx.terminate_orchestration("another")

    async def terminates_and_waits(ctx: OrchestrationContext) -> None:
        ctx.terminate_orchestration("another")
        await ctx.wait_for_external_event("go")

    async def fails_with_calls_open(ctx: OrchestrationContext) -> None:
        ctx.create_timer(timedelta(days=1))
        ctx.call_activity("double", 1)
        ctx.call_sub_orchestrator("child", 1)

        raise ValueError("too much")

    assert await recorded_and_replayed(terminates) is OrchestrationStatus.COMPLETED
    assert await recorded_and_replayed(terminates_and_waits) is OrchestrationStatus.RUNNING
    assert await recorded_and_replayed(fails_with_calls_open) is OrchestrationStatus.FAILED


async def test_messages_beside_a_failure_are_recorded_and_compared() -> None:
    async def sends(ctx: OrchestrationContext) -> None:
        ctx.signal_entity(COUNTER, "add", 1)

        raise ValueError("too much")

    async def sends_twice(ctx: OrchestrationContext) -> None:
        ctx.signal_entity(COUNTER, "add", 1)
        ctx.signal_entity(COUNTER, "add", 1)

        raise ValueError("too much")

    assert await recorded_and_replayed(sends) is OrchestrationStatus.FAILED

    with pytest.raises(
        NonDeterminismError, match=r"before step 2, where the code did signal 'add' to .*counter.* at .*:\d+$"
    ):
        await recorded_and_replayed(sends, sends_twice)


async def test_a_payload_that_is_written_anew_each_time_is_read_before_it_is_compared() -> None:
    class Salt:
        name = "salt"

        def __init__(self) -> None:
            self.count = 0

        def encode(self, data: bytes) -> bytes:
            self.count += 1

            return bytes([self.count]) + data

        def decode(self, data: bytes) -> bytes:
            return data[1:]

    async def one(ctx: OrchestrationContext) -> str:
        return "one"

    async def two(ctx: OrchestrationContext) -> str:
        return "two"

    salted = CodecDataConverter(JsonDataConverter(), [Salt()])
    assert await recorded_and_replayed(one, data_converter=salted) is OrchestrationStatus.COMPLETED

    with pytest.raises(NonDeterminismError, match="COMPLETED with 'one', and the code COMPLETED with 'two'"):
        await recorded_and_replayed(one, two, data_converter=salted)


async def test_values_that_are_not_equal_to_their_copies_are_compared_as_they_are_stored() -> None:
    class Opaque(JsonDataConverter):
        def deserialize(self, payload: str | None, target_type: object = None) -> Any:
            return object()

    class Unreadable(JsonDataConverter):
        def deserialize(self, payload: str | None, target_type: object = None) -> Any:
            raise ValueError("no key")

    async def one(ctx: OrchestrationContext) -> int:
        return 1

    async def two(ctx: OrchestrationContext) -> int:
        return 2

    assert await recorded_and_replayed(one, data_converter=Opaque()) is OrchestrationStatus.COMPLETED

    with pytest.raises(NonDeterminismError, match="COMPLETED with '1', and the code COMPLETED with '2'"):
        await recorded_and_replayed(one, two, data_converter=Unreadable())


async def test_the_code_of_the_recorded_version_is_replayed() -> None:
    async def first(ctx: OrchestrationContext) -> int:
        return await ctx.call_activity("double", 1, return_type=int)

    async def second(ctx: OrchestrationContext) -> str:
        return "second"

    registry = make()
    registry.add_orchestrator(first, name="it", version="1")
    registry.add_orchestrator(second, name="it", version="2")

    async with TestHub(registry) as hub:
        for version in ("1", "2"):
            await hub.client.schedule_new_orchestration("it", instance_id=version, version=version)

        await hub.advance(timedelta(seconds=1))
        recorded = [await hub.client.export_orchestration_history(version) for version in ("1", "2")]

    assert [replay(history, registry).status for history in recorded] == [OrchestrationStatus.COMPLETED] * 2

    changed = make()
    changed.add_orchestrator(second, name="it", version="1")

    with pytest.raises(NonDeterminismError, match="activity 'double'"):
        replay(recorded[0], changed)


async def test_a_rewound_orchestration_replays() -> None:
    registry = make()

    async def it(ctx: OrchestrationContext) -> int:
        return await ctx.call_activity("double", 13, return_type=int)

    registry.add_orchestrator(it)

    async with TestHub(registry) as hub:
        await hub.client.schedule_new_orchestration("it", instance_id="it")
        await hub.client.wait_for_orchestration_completion("it")
        hub.activities.replace("double", lambda ctx, number: 26)
        await hub.client.rewind_orchestration("it")
        await hub.advance(timedelta(seconds=1))
        history = await hub.client.export_orchestration_history("it")

    assert replay(history, registry).status is OrchestrationStatus.COMPLETED
