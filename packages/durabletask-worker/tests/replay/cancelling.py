"""Cases: what becomes of code that is no longer wanted."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from durabletask_worker import OrchestrationContext, TaskFailedError
from durabletask_worker.errors import TaskCancelled
from durabletask_worker.testing import event_raised, task_completed, task_failed, timer_fired

from .table import Case, Flow, Styles, add_to

CASES: list[Case] = []
case = partial(add_to, CASES)

SECOND = timedelta(seconds=1)
NEW_YEAR = datetime(2030, 1, 1)


class WithPart(Styles):
    """Code that a generator leaves to a part, as it takes an `async with`."""

    def generator(self, ctx: OrchestrationContext) -> Flow:
        return (yield from ctx.spawn(self.coroutine(ctx)))


@case(
    "a group whose own code fails: its members are cancelled and clean up",
    told=[[], [event_raised("go")], [task_completed(1, "late")], [task_completed(2, "tidied")]],
    asks=["activity", "activity", "", "completed"],
    output=["tidied", "enough"],
)
class FailingBody(WithPart):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        said: list[str] = []

        async def works() -> None:
            try:
                await ctx.call_activity("a")
            finally:
                said.append(await ctx.call_activity("tidy"))

        try:
            async with ctx.group() as group:
                group.start(works())
                await ctx.wait_for_external_event("go")
                raise ValueError("enough")
        except* ValueError as errors:
            said += [str(error) for error in errors.exceptions]

        return said


@case(
    "a group in a group: when a member of the outer one fails, the inner one ends first",
    told=[[], [task_failed(1, "no")]],
    asks=["activity activity", "completed"],
    output=["inner member", "inner group", "activity 'outer' failed: no"],
)
class GroupInAGroup(WithPart):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        said: list[str] = []

        async def works() -> None:
            try:
                await ctx.call_activity("inner")
            finally:
                said.append("inner member")

        try:
            async with ctx.group() as outer:
                outer.start(ctx.call_activity("outer"))

                try:
                    async with ctx.group() as inner:
                        inner.start(works())
                finally:
                    said.append("inner group")
        except* TaskFailedError as errors:
            said += [str(error) for error in errors.exceptions]

        return said


@case(
    "a group that is given what has failed already: its code is cancelled where it waits next, and is not woken by that wait",
    told=[[], [task_completed(1, "late")], [task_completed(2, "tidied")]],
    asks=["activity activity", "", "completed"],
    output=["tidied", "no"],
)
class FailedMember(WithPart):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        said: list[str] = []

        async def fails() -> None:
            raise ValueError("no")

        failed = ctx.spawn(fails())

        with suppress(ValueError):
            await failed

        try:
            async with ctx.group() as group:
                group.start(failed)

                try:
                    await ctx.call_activity("a")
                finally:
                    said.append(await ctx.call_activity("tidy"))
        except* ValueError as errors:
            said += [str(error) for error in errors.exceptions]

        return said


@case(
    "a part that cancels itself: the event that it would wait for is left to others",
    told=[[], [event_raised("go", "late")], [task_completed(1, "tidied")]],
    asks=["activity", "", "completed"],
    output=["tidied", "late"],
)
class CancelsItself(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        said: list[str] = []

        async def part() -> None:
            parts[0].cancel()

            try:
                await ctx.wait_for_external_event("go")
            except TaskCancelled:
                said.append(await ctx.call_activity("tidy"))

        parts = [ctx.spawn(part())]
        await parts[0]

        return [*said, await ctx.wait_for_external_event("go")]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        said: list[str] = []

        def part() -> Flow:
            parts[0].cancel()

            try:
                yield ctx.wait_for_external_event("go")
            except TaskCancelled:
                said.append((yield ctx.call_activity("tidy")))

        parts = [ctx.spawn(part())]
        yield parts[0]

        return [*said, (yield ctx.wait_for_external_event("go"))]


@case(
    "a part that is cancelled before it began, and once more when it is done",
    told=[[], [event_raised("go")]],
    asks=["", "completed"],
    output=["cancelled", "TaskCancelled"],
)
class CancelledEarly(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        async def part() -> None:
            await ctx.call_activity("never")

        work = ctx.spawn(part())
        work.cancel()
        said = []

        try:
            await work
        except TaskCancelled:
            said.append("cancelled")

        work.cancel()
        await ctx.wait_for_external_event("go")

        return [*said, type(work.get_exception()).__name__]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        def part() -> Flow:
            yield ctx.call_activity("never")

        work = ctx.spawn(part())
        work.cancel()
        said = []

        try:
            yield work
        except TaskCancelled:
            said.append("cancelled")

        work.cancel()
        yield ctx.wait_for_external_event("go")

        return [*said, type(work.get_exception()).__name__]


@case(
    "a limit that is over before the event comes, which is left to others",
    told=[[], [timer_fired(1)], [event_raised("go", 1)]],
    asks=["timer", "", "completed"],
    output=[True, 1],
)
class EventAfterLimit(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[object]:
        limit = ctx.timeout(ctx.current_utc_datetime + SECOND)

        with suppress(TimeoutError):
            async with limit:
                await ctx.wait_for_external_event("go")

        return [limit.expired, await ctx.wait_for_external_event("go")]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        limit = ctx.timeout(ctx.current_utc_datetime + SECOND)

        with suppress(TimeoutError), limit:
            yield ctx.wait_for_external_event("go")

        return [limit.expired, (yield ctx.wait_for_external_event("go"))]


@case(
    "a limit that is not needed: its timer is not even asked for",
    told=[[event_raised("go", 1)], [task_completed(2)]],
    asks=["activity", "completed"],
    output=[1, False],
)
class NoLimit(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[object]:
        async with ctx.timeout(SECOND) as limit:
            number = await ctx.wait_for_external_event("go")

        await ctx.call_activity("a")

        return [number, limit.expired]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        with ctx.timeout(SECOND) as limit:
            number = yield ctx.wait_for_external_event("go")

        yield ctx.call_activity("a")

        return [number, limit.expired]


@case(
    "a limit of a part, which cleans up in its own time; the rest goes on",
    told=[[], [timer_fired(2)], [task_completed(1, "a"), task_completed(3, "late")], [task_completed(4, "tidied")]],
    asks=["activity timer activity", "activity", "", "completed"],
    output=["a", "tidied", "TimeoutError"],
)
class LimitOfAPart(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        said: list[str] = []

        async def part() -> None:
            async with ctx.timeout(NEW_YEAR):
                try:
                    await ctx.call_activity("b")
                finally:
                    said.append(await ctx.call_activity("tidy"))

        work = ctx.spawn(part())
        first = await ctx.call_activity("a")

        try:
            await work
        except TimeoutError as error:
            said.append(type(error).__name__)

        return [first, *said]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        said: list[str] = []

        def part() -> Flow:
            with ctx.timeout(NEW_YEAR):
                try:
                    yield ctx.call_activity("b")
                finally:
                    said.append((yield ctx.call_activity("tidy")))

        work = ctx.spawn(part())
        first = yield ctx.call_activity("a")

        try:
            yield work
        except TimeoutError as error:
            said.append(type(error).__name__)

        return [first, *said]


@case(
    "a wait for an event in a group of which another member fails: the event is left to others",
    told=[[], [task_failed(1, "no")], [event_raised("go", 1)]],
    asks=["activity", "", "completed"],
    output=[False, 1],
)
class EventOfAGroup(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[object]:
        event = ctx.wait_for_external_event("go")

        try:
            async with ctx.group() as group:
                group.start(ctx.call_activity("a"))
                group.start(event)
        except* TaskFailedError:
            pass

        number = await ctx.wait_for_external_event("go")

        return [event.is_complete, number]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        event, group = ctx.wait_for_external_event("go"), ctx.group()
        group.start(ctx.call_activity("a"))
        group.start(event)

        try:
            yield group.join()
        except* TaskFailedError:
            pass

        number = yield ctx.wait_for_external_event("go")

        return [event.is_complete, number]
