"""Cases: times, events, and tasks together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from durabletask_worker import OrchestrationContext, Task, when_all, when_any
from durabletask_worker.testing import Story, event_raised, task_completed, task_failed, timer_fired

from .table import Case, Flow, Styles, add_to

CASES: list[Case] = []
case = partial(add_to, CASES)

SECOND = timedelta(seconds=1)
NEW_YEAR = datetime(2030, 1, 1)


def three_times(story: Story) -> None:
    first, *rest = [event.timerCreated.fireAt.ToDatetime() for event in story.history if event.HasField("timerCreated")]

    assert first == story.history[0].timestamp.ToDatetime() + SECOND
    assert rest == [NEW_YEAR, NEW_YEAR]


@case(
    "timers: from now, at a naive time, at an aware one",
    told=[[], [timer_fired(1)], [timer_fired(2)], [timer_fired(3)]],
    asks=["timer", "timer", "timer", "completed"],
    look=three_times,
)
class Timers(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        for when in (SECOND, NEW_YEAR, NEW_YEAR.replace(tzinfo=UTC)):
            await ctx.create_timer(when)

    def generator(self, ctx: OrchestrationContext) -> Flow:
        for when in (SECOND, NEW_YEAR, NEW_YEAR.replace(tzinfo=UTC)):
            yield ctx.create_timer(when)


@case("a timer", told=[[], [timer_fired(1)]], asks=["timer", "completed"])
class Timer(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        await ctx.create_timer(SECOND)

    def generator(self, ctx: OrchestrationContext) -> Flow:
        yield ctx.create_timer(SECOND)

    def plain(self, ctx: OrchestrationContext) -> Any:
        return ctx.create_timer(SECOND)


@case(
    "events: one that was there before, in any case, and one that comes",
    told=[[event_raised("GO", 1)], [timer_fired(1)], [event_raised("go", 2)]],
    asks=["timer", "", "completed"],
    output=[1, 2],
)
class Events(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[int]:
        await ctx.create_timer(SECOND)

        return [await ctx.wait_for_external_event("go", data_type=int) for _ in range(2)]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        yield ctx.create_timer(SECOND)
        first = yield ctx.wait_for_external_event("go", data_type=int)
        second = yield ctx.wait_for_external_event("go", data_type=int)

        return [first, second]


@case(
    "an event that comes in time",
    told=[[], [event_raised("go", 1)], [timer_fired(1), task_completed(2)]],
    asks=["timer", "activity", "completed"],
    output=1,
)
class InTime(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> Any:
        number = await ctx.wait_for_external_event("go", timeout=SECOND)
        await ctx.call_activity("a")

        return number

    def generator(self, ctx: OrchestrationContext) -> Flow:
        number = yield ctx.wait_for_external_event("go", timeout=SECOND)
        yield ctx.call_activity("a")

        return number


@case(
    "an event that comes too late is left for the next wait; no time at all takes what is there",
    told=[[], [timer_fired(1), event_raised("go", 1)]],
    asks=["timer", "completed"],
    output=["TimeoutError", 1, "TimeoutError"],
)
class TooLate(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[object]:
        found: list[object] = []

        for timeout in (SECOND, None, timedelta(0)):
            try:
                found.append(await ctx.wait_for_external_event("go", timeout=timeout))
            except TimeoutError as error:
                found.append(type(error).__name__)

        return found

    def generator(self, ctx: OrchestrationContext) -> Flow:
        found: list[object] = []

        for timeout in (SECOND, None, timedelta(0)):
            try:
                found.append((yield ctx.wait_for_external_event("go", timeout=timeout)))
            except TimeoutError as error:
                found.append(type(error).__name__)

        return found


@case(
    "all of some tasks, in their order",
    told=[[], [task_completed(2, "b")], [task_completed(1, "a")]],
    asks=["activity activity", "", "completed"],
    output=["a", "b"],
)
class All(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> Any:
        return await when_all([ctx.call_activity(name) for name in "ab"])

    def generator(self, ctx: OrchestrationContext) -> Flow:
        return (yield when_all([ctx.call_activity(name) for name in "ab"]))

    def plain(self, ctx: OrchestrationContext) -> Any:
        return when_all([ctx.call_activity(name) for name in "ab"])


@case(
    "all of some tasks, of which one fails; and all of none",
    told=[[], [task_failed(2, "no")]],
    asks=["activity activity", "completed"],
    output=["activity 'b' failed: no", []],
)
class AllButOne(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[object]:
        try:
            await when_all([ctx.call_activity(name) for name in "ab"])
        except Exception as error:  # noqa: BLE001 - whichever it is, it is looked at
            none: Task[list[int]] = when_all([])

            return [str(error), await none]

        return []

    def generator(self, ctx: OrchestrationContext) -> Flow:
        try:
            yield when_all([ctx.call_activity(name) for name in "ab"])
        except Exception as error:  # noqa: BLE001 - whichever it is, it is looked at
            none: Task[list[int]] = when_all([])

            return [str(error), (yield none)]


@case(
    "the first of an event and a timer, and the event after all",
    told=[[], [timer_fired(1)], [event_raised("go", 7)]],
    asks=["timer", "", "completed"],
    output=[True, False, 7],
)
class First(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[object]:
        timer, event = ctx.create_timer(SECOND), ctx.wait_for_external_event("go")
        first = await when_any([event, timer])

        return [first is timer, event.is_complete, await ctx.wait_for_external_event("go")]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        timer, event = ctx.create_timer(SECOND), ctx.wait_for_external_event("go")
        first = yield when_any([event, timer])

        return [first is timer, event.is_complete, (yield ctx.wait_for_external_event("go"))]


@dataclass
class Order:
    number: int


@case(
    "events of a name to the waits in their order, with their types; a timer for a time that is past",
    told=[[], [event_raised("Order", {"number": 1}), timer_fired(1)], [event_raised("order", {"number": 2})]],
    asks=["timer", "", "completed"],
    output=[1, 2, None],
)
class InOrder(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[object]:
        orders = [ctx.wait_for_external_event("order", data_type=Order) for _ in range(2)]
        past = ctx.create_timer(datetime(2000, 1, 1))
        first, second = await when_all(orders)

        return [first.number, second.number, past.get_result()]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        orders = [ctx.wait_for_external_event("order", data_type=Order) for _ in range(2)]
        past = ctx.create_timer(datetime(2000, 1, 1))
        first, second = yield when_all(orders)

        return [first.number, second.number, past.get_result()]


@case(
    "the first of some tasks, which has failed; the others go on",
    told=[[], [task_failed(2, "no")], [task_completed(1, "a")]],
    asks=["activity activity", "", "completed"],
    output=["activity 'b' failed: no", False, "a"],
)
class FirstFailed(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[object]:
        tasks = [ctx.call_activity(name) for name in "ab"]
        first = await when_any(tasks)

        return [str(first.get_exception()), tasks[0].is_complete or tasks[0].is_failed, await tasks[0]]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        tasks = [ctx.call_activity(name) for name in "ab"]
        first = yield when_any(tasks)

        return [str(first.get_exception()), tasks[0].is_complete or tasks[0].is_failed, (yield tasks[0])]
