"""Cases: what concerns an orchestration as a whole."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from durabletask_worker import OrchestrationContext
from durabletask_worker.testing import Story, event_raised, resumed, suspended, task_completed, terminated, timer_fired

from .table import Case, Flow, Styles, add_to

CASES: list[Case] = []
case = partial(add_to, CASES)

SECOND = timedelta(seconds=1)


def carried_over(story: Story) -> None:
    assert story.completion is not None
    assert [event.eventRaised.name for event in story.completion.carryoverEvents] == ["a", "b"]
    assert story.completion.newVersion.value == "2.0"


@case(
    "a next generation, with the events that nobody took",
    told=[[event_raised("a")], [event_raised("b"), timer_fired(1)]],
    asks=["timer", "continued"],
    output=[2],
    look=carried_over,
)
class ContinuedAsNew(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        await ctx.create_timer(SECOND)
        ctx.continue_as_new([2], save_events=True, new_version="2.0")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        yield ctx.create_timer(SECOND)
        ctx.continue_as_new([2], save_events=True, new_version="2.0")


@case(
    "a next generation that a part asks for, while the orchestrator waits",
    told=[[event_raised("a")], [task_completed(1)]],
    asks=["activity", "continued"],
    output=1,
)
class ContinuedByAPart(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        async def part() -> None:
            await ctx.call_activity("a")
            ctx.continue_as_new(1)

        ctx.spawn(part())
        await ctx.wait_for_external_event("never")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        def part() -> Flow:
            yield ctx.call_activity("a")
            ctx.continue_as_new(1)

        ctx.spawn(part())
        yield ctx.wait_for_external_event("never")


def status_is_set(story: Story) -> None:
    assert story.converter.deserialize(story.response.customStatus.value) == {"at": 2}


@case("a custom status", told=[[], [timer_fired(1)]], asks=["timer", "completed"], look=status_is_set)
class CustomStatus(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        ctx.set_custom_status("begun")
        await ctx.create_timer(SECOND)
        ctx.set_custom_status({"at": 2})

    def generator(self, ctx: OrchestrationContext) -> Flow:
        ctx.set_custom_status("begun")
        yield ctx.create_timer(SECOND)
        ctx.set_custom_status({"at": 2})


@case(
    "a patch, in an orchestration that begins after it",
    told=[[], [timer_fired(2)]],
    asks=["event timer", "event completed"],
    output=[True, True, True],
    has_whole_turns=True,
)
class Patched(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[bool]:
        first = ctx.patched("one")
        await ctx.create_timer(SECOND)

        return [first, ctx.patched("one"), ctx.patched("two")]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        first = ctx.patched("one")
        yield ctx.create_timer(SECOND)

        return [first, ctx.patched("one"), ctx.patched("two")]


@case(
    "suspended and resumed: what comes meanwhile waits",
    told=[[suspended()], [event_raised("go", 1)], [resumed()], [task_completed(1, "a")]],
    asks=["", "", "activity", "completed"],
    output=[1, "a"],
)
class Suspended(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[Any]:
        task = ctx.call_activity("a")

        return [await ctx.wait_for_external_event("go"), await task]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        task = ctx.call_activity("a")
        event = yield ctx.wait_for_external_event("go")

        return [event, (yield task)]


@case("terminated", told=[[], [terminated("enough")]], asks=["activity", "terminated"], output="enough")
class Terminated(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        await ctx.call_activity("a")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        yield ctx.call_activity("a")

    def plain(self, ctx: OrchestrationContext) -> Any:
        return ctx.call_activity("a")


@case(
    "what it knows of itself, and what it draws",
    told=[[], [timer_fired(1)]],
    asks=["timer", "completed"],
    output=["instance", "execution", "1.0", None, {}, False, True, True, True],
)
class Facts(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[Any]:
        drawn = self.draw(ctx)
        await ctx.create_timer(SECOND)

        return self.known(ctx, drawn, self.draw(ctx))

    def generator(self, ctx: OrchestrationContext) -> Flow:
        drawn = self.draw(ctx)
        yield ctx.create_timer(SECOND)

        return self.known(ctx, drawn, self.draw(ctx))

    def draw(self, ctx: OrchestrationContext) -> tuple[Any, ...]:
        ctx.create_replay_safe_logger(logging.getLogger("test")).debug("%s replays: %s", ctx.name, ctx.is_replaying)

        return ctx.current_utc_datetime, ctx.random.random(), UUID(ctx.new_uuid())

    def known(self, ctx: OrchestrationContext, before: tuple[Any, ...], after: tuple[Any, ...]) -> list[Any]:
        ctx.set_custom_status([str(each) for each in (*before, *after)])
        identity = [ctx.instance_id, ctx.execution_id, ctx.version, ctx.parent_instance_id, dict(ctx.tags)]
        later = after[0] - before[0] == SECOND

        return [*identity, ctx.is_suspended, later, before[1] != after[1], before[2] != after[2]]
