"""Cases: entities that are called, signaled and locked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from durabletask_worker import EntityInstanceId, OrchestrationContext, TaskFailedError
from durabletask_worker.errors import CriticalSectionError
from durabletask_worker.testing import Story, event_raised, task_completed

from .table import Case, Flow, Styles, add_to, answered, granted, refused

CASES: list[Case] = []
case = partial(add_to, CASES)

NEW_YEAR = datetime(2030, 1, 1)
ONE, TWO, THREE = (EntityInstanceId("counter", key) for key in ("one", "two", "three"))


@dataclass
class Counter:
    value: int = 0

    def add(self, amount: int) -> tuple[str, int]:
        self.value += amount

        return "now", self.value


@case(
    "calls, by name and by method",
    told=[[], [answered(1, 1)], [answered(2, ["now", 3])], [refused(3, "no")]],
    asks=["call", "call", "call", "completed"],
    output=[1, ["now", 3], "call of 'get' of entity '@counter@one' failed: no"],
)
class Calls(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[object]:
        found: list[object] = [await ctx.call_entity(ONE, "get", return_type=int)]
        found.append(await ctx.entity(Counter, "one").call(Counter.add, 2))

        try:
            await ctx.call_entity(ONE, "get")
        except TaskFailedError as error:
            found.append(str(error))

        return found

    def generator(self, ctx: OrchestrationContext) -> Flow:
        found: list[object] = [(yield ctx.call_entity(ONE, "get", return_type=int))]
        found.append((yield ctx.entity(Counter, "one").call(Counter.add, 2)))

        try:
            yield ctx.call_entity(ONE, "get")
        except TaskFailedError as error:
            found.append(str(error))

        return found


def at_new_year(story: Story) -> None:
    signals = [e.entityOperationSignaled for e in story.history if e.HasField("entityOperationSignaled")]

    assert [signal.scheduledTime.ToDatetime() for signal in signals[1:]] == [NEW_YEAR, NEW_YEAR]
    assert len({signal.requestId for signal in signals}) == len(signals)


@case("signals, now and later", told=[[]], asks=["signal signal signal completed"], look=at_new_year)
class Signals(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        self.plain(ctx)

    def generator(self, ctx: OrchestrationContext) -> Flow:
        self.plain(ctx)

        return
        yield

    def plain(self, ctx: OrchestrationContext) -> None:
        ctx.signal_entity(ONE, "add", 1)
        ctx.signal_entity(ONE, Counter.add, 1, NEW_YEAR)
        ctx.entity(Counter, "one").signal(Counter.add, 1, scheduled_time=NEW_YEAR.replace(tzinfo=UTC))


@case(
    "locks, and what may be done while they are held",
    told=[[], [granted(1)], [answered(2), answered(3)], [task_completed(6)]],
    asks=["lock", "call call", "unlock unlock activity", "completed"],
    output=5,
)
class Locks(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> int:
        async with ctx.lock_entities([TWO, ctx.entity(Counter, "one")]):
            calls = [ctx.call_entity(each, "get") for each in (ONE, TWO)]
            refusals = _refused(ctx)

            for call in calls:
                await call

        await ctx.call_activity("a")

        return refusals

    def generator(self, ctx: OrchestrationContext) -> Flow:
        with (yield ctx.lock_entities([TWO, ctx.entity(Counter, "one")])):
            calls = [ctx.call_entity(each, "get") for each in (ONE, TWO)]
            refusals = _refused(ctx)

            yield from calls

        yield ctx.call_activity("a")

        return refusals


def _refused(ctx: OrchestrationContext) -> int:
    """How much of what must not be done while locks are held is refused."""
    forbidden: list[Any] = [
        lambda: ctx.call_entity(THREE, "get"),
        lambda: ctx.call_entity(ONE, "get"),
        lambda: ctx.signal_entity(ONE, "get"),
        lambda: ctx.call_sub_orchestrator("child"),
        lambda: ctx.lock_entities([THREE]),
    ]
    refusals = 0

    for attempt in forbidden:
        try:
            attempt()
        except CriticalSectionError:
            refusals += 1

    return refusals


@case(
    "locks are given back when code fails while it holds them",
    told=[[], [granted(1)]],
    asks=["lock", "unlock failed"],
    failure="ValueError: broken",
)
class Broken(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        async with ctx.lock_entities([ONE]):
            raise ValueError("broken")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        yield ctx.lock_entities([ONE])

        raise ValueError("broken")


@case(
    "locks that are not waited for any longer are given back when they come",
    told=[[], [event_raised("go")], [granted(2)], [task_completed(3)]],
    asks=["timer lock", "activity", "unlock", "completed"],
)
class GivenUp(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        async def locks() -> None:
            await ctx.wait_for_external_event("go")
            raise ValueError("enough")

        try:
            async with ctx.timeout(NEW_YEAR), ctx.group() as group:
                group.start(locks())

                async with ctx.lock_entities([ONE]):
                    pass
        except* ValueError:
            pass

        await ctx.call_activity("a")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        # A generator has no `async with`; what it can give up is a part.
        yield from ctx.spawn(self.coroutine(ctx))
