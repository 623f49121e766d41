"""Cases: what is cancelled while it waits for a group or for locks, and cancellations that come too late."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from functools import partial

from durabletask_worker import EntityInstanceId, OrchestrationContext, TaskFailedError
from durabletask_worker.errors import TaskCancelled
from durabletask_worker.testing import resumed, suspended, task_completed, task_failed, timer_fired

from .table import Case, Flow, Styles, add_to, answered, granted

CASES: list[Case] = []
case = partial(add_to, CASES)

HOUR = timedelta(hours=1)
ONE = EntityInstanceId("counter", "one")


@case(
    "a limit that is over while a group waits for tasks of the context",
    told=[[], [timer_fired(1)]],
    asks=["timer activity timer", "completed"],
    output="too late",
)
class LimitOfAGroup(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> str:
        try:
            async with ctx.timeout(HOUR), ctx.group() as group:
                group.start(ctx.call_activity("slow"))
                group.start(ctx.create_timer(2 * HOUR))
                group.start(ctx.wait_for_external_event("never"))
        except TimeoutError:
            return "too late"

        return "in time"

    def generator(self, ctx: OrchestrationContext) -> Flow:
        group = ctx.group()

        try:
            with ctx.timeout(HOUR):
                group.start(ctx.call_activity("slow"))
                group.start(ctx.create_timer(2 * HOUR))
                group.start(ctx.wait_for_external_event("never"))
                yield group.join()
        except TimeoutError:
            return "too late"


@case(
    "a part that is cancelled while it waits for a group, whose members are unwound",
    told=[[], [task_completed(1)], [task_completed(2)]],
    asks=["activity activity", "activity", ""],
)
class CancelledGroup(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        async def member() -> None:
            await ctx.call_activity("a")
            await ctx.call_activity("must not be")

        async def part() -> None:
            async with ctx.group() as group:
                group.start(member())

        running = ctx.spawn(part())
        await ctx.call_activity("b")
        running.cancel()

        try:
            await running
        except TaskCancelled:
            await ctx.call_activity("c")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        def member() -> Flow:
            yield ctx.call_activity("a")
            yield ctx.call_activity("must not be")

        def part() -> Flow:
            group = ctx.group()
            group.start(member())
            yield group.join()

        running = ctx.spawn(part())
        yield ctx.call_activity("b")
        running.cancel()

        try:
            yield running
        except TaskCancelled:
            yield ctx.call_activity("c")


@case(
    "a member that has failed before it is one, and what comes after the group",
    told=[[], [task_failed(1, "no")], [task_completed(3)]],
    asks=["activity activity", "activity", "completed"],
    output="the group failed",
)
class FailedBefore(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> str:
        failing, slow = ctx.call_activity("a"), ctx.call_activity("slow")

        with contextlib.suppress(TaskFailedError):
            await failing

        try:
            async with ctx.group() as group:
                group.start(slow)
                group.start(failing)
        except* TaskFailedError:
            await ctx.call_activity("next")

        return "the group failed"

    def generator(self, ctx: OrchestrationContext) -> Flow:
        failing, slow = ctx.call_activity("a"), ctx.call_activity("slow")

        with contextlib.suppress(TaskFailedError):
            yield failing

        group = ctx.group()
        group.start(slow)
        group.start(failing)

        try:
            yield group.join()
        except ExceptionGroup:
            yield ctx.call_activity("next")

        return "the group failed"


@case(
    "a group that is cancelled",
    told=[[], [timer_fired(1)]],
    asks=["timer", "completed"],
    output="unwound",
)
class GroupIsCancelled(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> str:
        said = "nothing"

        async def member() -> None:
            nonlocal said

            try:
                await ctx.wait_for_external_event("never")
            finally:
                said = "unwound"

        async with ctx.group() as group:
            group.start(member())
            await ctx.create_timer(timedelta(0))
            group.cancel()

        return said

    def generator(self, ctx: OrchestrationContext) -> Flow:
        said = "nothing"

        def member() -> Flow:
            nonlocal said

            try:
                yield ctx.wait_for_external_event("never")
            finally:
                said = "unwound"

        group = ctx.group()
        group.start(member())
        yield ctx.create_timer(timedelta(0))
        group.cancel()
        yield group.join()

        return said


@case(
    "locks that come too late, and are asked for again",
    told=[[], [timer_fired(1)], [granted(2)], [granted(3)], [answered(5, 1)]],
    asks=["timer lock", "lock", "unlock", "call", "unlock completed"],
    output=1,
)
class LocksAgain(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> int:
        try:
            async with ctx.timeout(HOUR):
                await ctx.lock_entities([ONE])
        except TimeoutError:
            pass

        async with ctx.lock_entities([ONE]):
            return await ctx.call_entity(ONE, "get", return_type=int)

    def generator(self, ctx: OrchestrationContext) -> Flow:
        try:
            with ctx.timeout(HOUR):
                yield ctx.lock_entities([ONE])
        except TimeoutError:
            pass

        with (yield ctx.lock_entities([ONE])):
            return (yield ctx.call_entity(ONE, "get", return_type=int))


@case(
    "a patch in a turn that suspends",
    told=[[], [task_completed(1), suspended()], [resumed()], [task_completed(3)]],
    asks=["activity", "event", "activity", "completed"],
    output=[True, True],
    has_whole_turns=True,
)
class PatchAndSuspension(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[bool]:
        await ctx.call_activity("a")
        before = ctx.patched("one")
        await ctx.call_activity("new" if before else "old")

        return [before, ctx.patched("one")]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        yield ctx.call_activity("a")
        before = ctx.patched("one")
        yield ctx.call_activity("new" if before else "old")

        return [before, ctx.patched("one")]
