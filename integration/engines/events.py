"""Events from outside and from other orchestrations, and generations that keep or drop them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from durabletask_worker import OrchestrationContext, Registry, when_any

from integration.engines.flows import double
from integration.engines.hub import Hub

registry = Registry()


@registry.orchestrator
async def listening(ctx: OrchestrationContext, count: int) -> list[Any]:
    return [await ctx.wait_for_external_event("News") for _ in range(count)]


def scenario_events(hub: Hub) -> None:
    instance_id = hub.started(listening, input=3)

    for number, name in enumerate(("News", "news", "NEWS")):
        hub.client.raise_orchestration_event(instance_id, name, data={"number": number})

    assert hub.output_of(instance_id) == [{"number": number} for number in range(3)]


def scenario_events_100(hub: Hub) -> None:
    instance_id = hub.started(listening, input=100)

    for number in range(100):
        hub.client.raise_orchestration_event(instance_id, "news", data=number)

    assert hub.output_of(instance_id) == list(range(100))


@registry.orchestrator
async def listening_late(ctx: OrchestrationContext) -> list[Any]:
    await ctx.wait_for_external_event("begin")

    return [await ctx.wait_for_external_event("early") for _ in range(2)]


def scenario_events_before_they_are_waited_for(hub: Hub) -> None:
    instance_id = hub.started(listening_late)

    for name, data in (("early", 1), ("early", 2), ("begin", None)):
        hub.client.raise_orchestration_event(instance_id, name, data=data)

    assert hub.output_of(instance_id) == [1, 2]


@registry.orchestrator
async def impatient(ctx: OrchestrationContext, milliseconds: int) -> Any:
    try:
        return await ctx.wait_for_external_event("answer", timeout=timedelta(milliseconds=milliseconds))
    except TimeoutError:
        return "nobody answered"


def scenario_event_with_a_timeout(hub: Hub) -> None:
    assert hub.output(impatient, input=200) == "nobody answered"

    in_time = hub.started(impatient, input=60_000)
    hub.client.raise_orchestration_event(in_time, "answer", data=42)
    assert hub.output_of(in_time) == 42


@registry.orchestrator
async def racing(ctx: OrchestrationContext, milliseconds: int) -> Any:
    event = ctx.wait_for_external_event("answer")
    first = await when_any([event, ctx.create_timer(timedelta(milliseconds=milliseconds))])

    return event.get_result() if first is event else "nobody answered"


def scenario_event_against_a_timer(hub: Hub) -> None:
    assert hub.output(racing, input=200) == "nobody answered"

    in_time = hub.started(racing, input=60_000)
    hub.client.raise_orchestration_event(in_time, "answer", data=42)
    assert hub.output_of(in_time) == 42


@registry.orchestrator
async def telling(ctx: OrchestrationContext, other: str) -> None:
    ctx.send_event(other, "news", data=f"from {ctx.instance_id}")
    await ctx.create_timer(timedelta())


def scenario_event_to_another_orchestration(hub: Hub) -> None:
    listener = hub.started(listening, input=1)
    teller = hub.client.schedule_new_orchestration(telling, input=listener)
    hub.output_of(teller)
    assert hub.output_of(listener) == [f"from {teller}"]


@registry.orchestrator
async def telling_nobody(ctx: OrchestrationContext) -> int:
    ctx.send_event("nobody-has-this-id", "news")

    return await ctx.call_activity(double, 21)


def scenario_event_to_an_orchestration_that_is_not_there(hub: Hub) -> None:
    assert hub.output(telling_nobody) == 42


@registry.orchestrator
async def counting(ctx: OrchestrationContext, number: int) -> int:
    number += (await ctx.call_activity(double, 1)) // 2

    if number < 5:
        ctx.continue_as_new(number)

    return number


def scenario_continue_as_new(hub: Hub) -> None:
    state = hub.completed(hub.client.schedule_new_orchestration(counting, input=0))
    assert (state.get_output(), state.get_input()) == (5, 4)


@registry.orchestrator
async def renewing(ctx: OrchestrationContext, save_events: bool | None) -> Any:
    """Take one `go`, and see in the next generation whether the `extra` that came before it is still there."""
    if save_events is not None:
        await ctx.wait_for_external_event("go")
        ctx.continue_as_new(None, save_events=save_events)
        return None

    try:
        return await ctx.wait_for_external_event("extra", timeout=timedelta(milliseconds=300))
    except TimeoutError:
        return "dropped"


def _renewed(hub: Hub, *, save_events: bool) -> Any:
    instance_id = hub.started(renewing, input=save_events)
    hub.client.raise_orchestration_event(instance_id, "extra", data="kept")
    hub.client.raise_orchestration_event(instance_id, "go")

    return hub.output_of(instance_id)


def scenario_continue_as_new_with_events_kept(hub: Hub) -> None:
    assert _renewed(hub, save_events=True) == "kept"


def scenario_continue_as_new_with_events_dropped(hub: Hub) -> None:
    assert _renewed(hub, save_events=False) == "dropped"


@registry.orchestrator
async def draining(ctx: OrchestrationContext, taken: int) -> int:
    """Take ten events in each generation, until all have come."""
    for _ in range(10):
        number = await ctx.wait_for_external_event("number", data_type=int)
        assert number == taken
        taken += 1

    if taken < 50:
        ctx.continue_as_new(taken, save_events=True)

    return taken


def scenario_continue_as_new_under_events(hub: Hub) -> None:
    instance_id = hub.started(draining, input=0)

    for number in range(50):
        hub.client.raise_orchestration_event(instance_id, "number", data=number)

    assert hub.output_of(instance_id) == 50
