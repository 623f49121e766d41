"""Whatever code does and whatever comes to it, in whatever order: a replay gives what the orchestration in memory does."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeAlias

from durabletask_client.entities import EntityInstanceId
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import OrchestrationContext, RetryPolicy, Task, when_all, when_any
from durabletask_worker.execution.fibers import FiberTask
from durabletask_worker.execution.replay import Execution
from durabletask_worker.testing import (
    Story,
    child_completed,
    child_failed,
    entity_completed,
    entity_failed,
    event_raised,
    locks_granted,
    resumed,
    suspended,
    task_completed,
    task_failed,
    terminated,
    timer_fired,
)
from durabletask_worker.testing.story import confirmations
from hypothesis import given, settings
from hypothesis import strategies as st

from .table import plain

Op: TypeAlias = tuple[str, Any]
"""Something that code does: its name, and with what."""

TURNS = 7
NAMES = ("a", "b")
TWICE = RetryPolicy(first_retry_interval=timedelta(seconds=2), max_number_of_attempts=2)
ENTITIES = [EntityInstanceId("counter", name) for name in NAMES]


async def outcome(task: Task[Any]) -> object:
    try:
        return await task
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the same again
        return type(error).__name__


BEGUN: dict[str, Callable[..., Task[Any]]] = {
    "call": lambda ctx, number: ctx.call_activity("call", input=number),
    "retried": lambda ctx, number: ctx.call_activity("retried", input=number, retry_policy=TWICE),
    "child": lambda ctx, number: ctx.call_sub_orchestrator("child", input=number),
    "timer": lambda ctx, number: ctx.create_timer(timedelta(seconds=number)),
    "event": lambda ctx, name: ctx.wait_for_external_event(name),
    "event in time": lambda ctx, name: ctx.wait_for_external_event(name, timeout=timedelta(seconds=2)),
    "entity": lambda ctx, number: ctx.call_entity(ENTITIES[number % 2], "add", number),
}
"""What is waited for later, or never."""
DONE: dict[str, Callable[..., object]] = {
    "signal": lambda ctx, number: ctx.signal_entity(ENTITIES[number % 2], "add", number),
    "send": lambda ctx, name: ctx.send_event("other", name, data=name),
    "stop": lambda ctx, name: ctx.terminate_orchestration(name),
    "status": lambda ctx, number: ctx.set_custom_status(number),
    "patched": lambda ctx, name: ctx.patched(name),
    "facts": lambda ctx, _: [ctx.new_uuid(), ctx.current_utc_datetime.isoformat(), ctx.random.random()],
}
"""What is at its end at once."""


async def perform(ctx: OrchestrationContext, program: list[Op], said: list[object]) -> None:
    """Do what a program says, and tell what came of it."""
    tasks: list[Task[Any]] = []

    for what, how in program:
        one = tasks[how % len(tasks)] if tasks and isinstance(how, int) else None

        if what in BEGUN:
            tasks.append(BEGUN[what](ctx, how))
        elif what in DONE:
            said.append(DONE[what](ctx, how))
        elif what in SCOPES:
            await SCOPES[what](ctx, how, said)
        elif what == "beside":
            tasks.append(ctx.spawn(perform(ctx, how, said)))
        elif what == "cancel" and isinstance(one, FiberTask):
            one.cancel()
        elif what == "await" and one is not None:
            said.append(await outcome(one))
        elif what == "all":
            said.append(await outcome(when_all(tasks)))
        elif what == "first" and tasks:
            first = await when_any(tasks)
            said.append(tasks.index(first))
            tasks.remove(first)

    # Most of what there is to find is found while it goes on.
    said.append(await outcome(when_all(tasks)))


async def together(ctx: OrchestrationContext, program: list[Op], said: list[object]) -> None:
    async with ctx.group() as group:
        for each in program:
            group.start(perform(ctx, [each], said))


async def in_time(ctx: OrchestrationContext, program: list[Op], said: list[object]) -> None:
    async with ctx.timeout(timedelta(seconds=2)):
        await perform(ctx, program, said)


async def locked(ctx: OrchestrationContext, program: list[Op], said: list[object]) -> None:
    async with ctx.lock_entities(ENTITIES[:1]):
        await perform(ctx, program, said)


SCOPES: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "together": together,
    "in time": in_time,
    "locked": locked,
}


numbers = st.integers(0, 5)
named = ("event", "event in time", "send", "stop", "patched")
simple: st.SearchStrategy[Op] = st.tuples(st.sampled_from(named), st.sampled_from(NAMES)) | st.tuples(
    st.sampled_from(sorted({*BEGUN, *DONE, "await", "cancel", "all", "first"} - {*named})), numbers
)
programs = st.recursive(
    st.lists(simple, min_size=1, max_size=6),
    lambda inner: st.lists(simple | st.tuples(st.sampled_from([*SCOPES, "beside"]), inner), min_size=1, max_size=6),
    max_leaves=3,
)
"""What an orchestrator does, one thing after the other."""


def possible(story: Story) -> list[pb.HistoryEvent]:
    """What may come next. Answers may come twice, and timers early: engines differ, and code must not."""
    found = [suspended(), resumed(), *(event_raised(name, number) for number, name in enumerate(NAMES))]

    for event in story.history:
        step = event.eventId

        match event.WhichOneof("eventType"):
            case "taskScheduled":
                found += [task_completed(step, step), task_failed(step, "no")]
            case "subOrchestrationInstanceCreated":
                found += [child_completed(step, step), child_failed(step, "no")]
            case "timerCreated":
                found.append(timer_fired(step))
            case "entityOperationCalled":
                request_id = event.entityOperationCalled.requestId
                found += [entity_completed(request_id, step), entity_failed(request_id, "no")]
            case "entityLockRequested":
                found.append(locks_granted(event.entityLockRequested.criticalSectionId))

    return found


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_replay_gives_what_the_orchestration_in_memory_gives(data: st.DataObject) -> None:
    program = data.draw(programs, label="program")

    async def orchestrator(ctx: OrchestrationContext) -> list[object]:
        said: list[object] = []
        await perform(ctx, program, said)

        return said

    story = Story(orchestrator)
    in_memory = Execution(story.host, instance_id=story.instance_id)
    recorded: set[int] = set()

    for _ in range(TURNS):
        past = list(story.history)
        events = data.draw(st.lists(st.sampled_from(possible(story)), max_size=3), label="events")

        if data.draw(st.integers(0, 19), label="end") == 0:
            events.append(terminated("enough"))

        answer = story.turn(*events)
        told = story.history[len(past) : len(story.history) - len(confirmations(answer, story.now))]
        asked = [action.id for action in answer.actions]

        if data.draw(st.booleans(), label="unloaded"):
            in_memory.close()
            in_memory = Execution(story.host, instance_id=story.instance_id)
        else:
            past = []

        assert plain(in_memory.advance(past, told)) == plain(answer)
        assert in_memory.departure is None, in_memory.departure
        assert recorded.isdisjoint(asked), "a step is asked for again"

        recorded.update(asked)

        if story.completion is not None:
            break

    in_memory.close()
