"""What orchestrator code does beside itself and within limits, and how it changes: none of it may need anything special of an engine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from durabletask_client import OrchestrationStatus
from durabletask_worker import OrchestrationContext, Registry

from integration.engines.control import waiting
from integration.engines.flows import double
from integration.engines.hub import Hub, fresh

registry = Registry()


@registry.orchestrator
async def in_two_parts(ctx: OrchestrationContext) -> list[int]:
    async def part(number: int) -> int:
        for _ in range(3):
            number = await ctx.call_activity(double, number)

        return number

    beside = ctx.spawn(part(1))
    here = await part(2)

    return [await beside, here]


def scenario_parts_that_run_beside_each_other(hub: Hub) -> None:
    assert hub.output(in_two_parts) == [8, 16]


@registry.orchestrator
async def in_a_group(ctx: OrchestrationContext) -> dict[str, Any]:
    said: list[str] = []

    async def wait_long() -> None:
        try:
            await ctx.create_timer(timedelta(hours=1))
        finally:
            said.append("not waited for")

    async def fail() -> None:
        await ctx.call_activity(double, 1)
        raise ValueError("one is enough")

    async with ctx.group() as group:
        numbers = [group.start(ctx.call_activity(double, number)) for number in range(3)]

    try:
        async with ctx.group() as group:
            group.start(wait_long())
            group.start(fail())
    except* ValueError as errors:
        said += [str(error) for error in errors.exceptions]

    return {"sum": sum(task.get_result() for task in numbers), "said": said}


def scenario_group_whose_rest_is_cancelled(hub: Hub) -> None:
    assert hub.output(in_a_group) == {"sum": 6, "said": ["not waited for", "one is enough"]}


@registry.orchestrator
async def within_a_time(ctx: OrchestrationContext, milliseconds: int) -> str:
    try:
        async with ctx.timeout(timedelta(milliseconds=milliseconds)):
            number = await ctx.call_activity(double, 21)
            await ctx.wait_for_external_event("go")
    except TimeoutError:
        return f"too late, at {await ctx.call_activity(double, 1)}"

    return f"in time, with {number}"


def scenario_block_with_a_timeout(hub: Hub) -> None:
    assert hub.output(within_a_time, input=300) == "too late, at 2"

    in_time = hub.started(within_a_time, input=60_000)
    hub.client.raise_orchestration_event(in_time, "go")
    assert hub.output_of(in_time) == "in time, with 42"


@registry.orchestrator
async def changed_since(ctx: OrchestrationContext) -> list[Any]:
    before = ctx.patched("doubled")
    number = await ctx.call_activity(double, 21)
    # What was decided is asked for again after a replay, and after a wait that ends in another turn.
    await ctx.wait_for_external_event("go")

    return [before, number, ctx.patched("doubled"), ctx.patched("doubled-again")]


def scenario_change_that_is_marked(hub: Hub) -> None:
    instance_id = hub.started(changed_since)
    hub.client.raise_orchestration_event(instance_id, "go")
    assert hub.output_of(instance_id) == [True, 42, True, True]


@registry.orchestrator
async def starting(ctx: OrchestrationContext, other: str) -> str:
    started = ctx.start_orchestration(waiting, instance_id=other)
    await ctx.call_activity(double, 1)

    return started


def scenario_start_of_one_that_nobody_waits_for(hub: Hub) -> None:
    other = fresh("other")
    assert hub.output(starting, input=other) == other
    hub.client.raise_orchestration_event(other, "go", data="alone")
    assert hub.output_of(other) == "alone"


@registry.orchestrator
async def ending(ctx: OrchestrationContext, other: str) -> None:
    ctx.terminate_orchestration(other, output="by another")
    await ctx.call_activity(double, 1)


def scenario_terminate_from_another_orchestration(hub: Hub) -> None:
    other = hub.started(waiting)
    hub.output(ending, input=other)
    state = hub.completed(other)
    assert (state.runtime_status, state.get_output()) == (OrchestrationStatus.TERMINATED, "by another")
