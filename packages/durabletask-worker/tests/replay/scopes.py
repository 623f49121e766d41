"""Cases: parts of the code beside each other, groups and limits of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from durabletask_worker import OrchestrationContext, TaskFailedError
from durabletask_worker.errors import TaskCancelled
from durabletask_worker.testing import task_completed, task_failed, timer_fired

from .table import Case, Flow, Styles, add_to

CASES: list[Case] = []
case = partial(add_to, CASES)

SECOND = timedelta(seconds=1)
NEW_YEAR = datetime(2030, 1, 1)


@case(
    "parts that run beside each other",
    told=[[], [task_completed(2, 20)], [task_completed(1, 1)], [task_completed(3, 300)]],
    asks=["activity activity", "activity", "", "completed"],
    output=[1, 320],
)
class Spawned(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[int]:
        async def twice() -> int:
            return await ctx.call_activity("b", return_type=int) + await ctx.call_activity("b", return_type=int)

        beside = ctx.spawn(twice())
        first = await ctx.call_activity("a", return_type=int)

        return [first, await beside]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        def twice() -> Flow:
            return (yield ctx.call_activity("b")) + (yield ctx.call_activity("b"))

        beside = ctx.spawn(twice())
        first = yield ctx.call_activity("a")

        return [first, (yield beside)]


@case(
    "a part that is cancelled, and cleans up; one that fails; one that nobody waits for",
    told=[[], [task_completed(1)], [task_completed(4)]],
    asks=["activity activity activity", "activity", "completed"],
    output=["cancelled", "no"],
)
class Cancelled(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        async def works(name: str) -> None:
            try:
                await ctx.call_activity(name)
            finally:
                await ctx.call_activity("tidy")

        async def fails() -> None:
            raise ValueError("no")

        work, failing = ctx.spawn(works("b")), ctx.spawn(fails())
        ctx.spawn(works("c"))
        await ctx.call_activity("a")
        work.cancel()
        said = []

        try:
            await work
        except TaskCancelled:
            said.append("cancelled")

        try:
            await failing
        except ValueError as error:
            said.append(str(error))

        return said

    def generator(self, ctx: OrchestrationContext) -> Flow:
        def works(name: str) -> Flow:
            try:
                yield ctx.call_activity(name)
            finally:
                yield ctx.call_activity("tidy")

        def fails() -> Flow:
            raise ValueError("no")
            yield

        work, failing = ctx.spawn(works("b")), ctx.spawn(fails())
        ctx.spawn(works("c"))
        yield ctx.call_activity("a")
        work.cancel()
        said = []

        try:
            yield work
        except TaskCancelled:
            said.append("cancelled")

        try:
            yield failing
        except ValueError as error:
            said.append(str(error))

        return said


@case(
    "a group whose members all come to their end",
    told=[[], [task_completed(2, 1)], [task_completed(3, 2), timer_fired(1)]],
    asks=["timer activity activity", "", "completed"],
    output=3,
)
class Group(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> int:
        async def part(name: str) -> int:
            return await ctx.call_activity(name, return_type=int)

        async with ctx.group() as group:
            parts = [group.start(part(name)) for name in "ab"]
            group.start(ctx.create_timer(SECOND))

        return sum(each.get_result() for each in parts)

    def generator(self, ctx: OrchestrationContext) -> Flow:
        def part(name: str) -> Flow:
            return (yield ctx.call_activity(name))

        group = ctx.group()
        parts = [group.start(part(name)) for name in "ab"]
        group.start(ctx.create_timer(SECOND))
        yield group.join()

        return sum(each.get_result() for each in parts)


@case(
    "a group of which one member fails, so that the others are cancelled",
    told=[[], [task_failed(2, "no")]],
    asks=["activity activity", "completed"],
    output=["cancelled", "activity 'b' failed: no"],
)
class FailedGroup(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        said: list[str] = []

        async def works() -> None:
            try:
                await ctx.call_activity("a")
            except TaskCancelled:
                said.append("cancelled")

                raise

        try:
            async with ctx.group() as group:
                group.start(works())
                group.start(self.part(ctx))
        except* TaskFailedError as errors:
            said += [str(error) for error in errors.exceptions]

        return said

    async def part(self, ctx: OrchestrationContext) -> None:
        await ctx.call_activity("b")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        said: list[str] = []

        def works() -> Flow:
            try:
                yield ctx.call_activity("a")
            except TaskCancelled:
                said.append("cancelled")

                raise

        group = ctx.group()
        group.start(works())
        group.start(self.part(ctx))

        try:
            yield group.join()
        except ExceptionGroup as errors:
            said += [str(error) for error in errors.exceptions]

        return said


@case(
    "a group whose failure is that of the orchestration",
    told=[[], [task_failed(1, "no")]],
    asks=["activity", "failed"],
    failure="ExceptionGroup: members of a group failed",
)
class UncaughtGroup(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        async with ctx.group() as group:
            group.start(ctx.call_activity("a"))

    def generator(self, ctx: OrchestrationContext) -> Flow:
        group = ctx.group()
        group.start(ctx.call_activity("a"))
        yield group.join()


@case(
    "limits of time: one that is kept, and one that is not",
    told=[[], [task_completed(2)], [timer_fired(3)], [task_completed(4)]],
    asks=["timer activity", "timer", "activity", "completed"],
    output="too late",
)
class Limits(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> str:
        async with ctx.timeout(SECOND):
            await ctx.call_activity("a")

        try:
            async with ctx.timeout(NEW_YEAR):
                await ctx.wait_for_external_event("go")
        except TimeoutError:
            await ctx.call_activity("b")

            return "too late"

        return "in time"

    def generator(self, ctx: OrchestrationContext) -> Flow:
        with ctx.timeout(SECOND):
            yield ctx.call_activity("a")

        try:
            with ctx.timeout(NEW_YEAR):
                yield ctx.wait_for_external_event("go")
        except TimeoutError:
            yield ctx.call_activity("b")

            return "too late"


@case(
    "limits inside each other, and around a group: the outer one is over first",
    told=[[], [timer_fired(1)]],
    asks=["timer timer activity", "completed"],
    output=["unwound", "outer"],
)
class NestedLimits(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        said: list[str] = []

        async def part() -> None:
            try:
                await ctx.call_activity("a")
            finally:
                said.append("unwound")

        try:
            async with ctx.timeout(SECOND):
                try:
                    async with ctx.timeout(2 * SECOND), ctx.group() as group:
                        group.start(part())
                except TimeoutError:
                    said.append("inner")
        except TimeoutError:
            said.append("outer")

        return said

    def generator(self, ctx: OrchestrationContext) -> Flow:
        said: list[str] = []

        try:
            with ctx.timeout(SECOND):
                try:
                    with ctx.timeout(2 * SECOND):
                        try:
                            yield ctx.call_activity("a")
                        finally:
                            said.append("unwound")
                except TimeoutError:
                    said.append("inner")
        except TimeoutError:
            said.append("outer")

        return said
