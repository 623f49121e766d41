"""Cases: the end of critical sections, whatever it is, and what entities answer."""

from __future__ import annotations

from functools import partial

from durabletask_client.failures import MappedFailureConverter
from durabletask_worker import EntityInstanceId, OrchestrationContext
from durabletask_worker.errors import CriticalSectionError
from durabletask_worker.testing import Story, event_raised, task_completed

from .table import Case, Flow, Styles, add_to, answered, granted, refused

CASES: list[Case] = []
case = partial(add_to, CASES)

ONE, TWO = (EntityInstanceId("counter", key) for key in ("one", "two"))


class DeclinedError(Exception):
    """An error of the user's own."""


MAPPED = MappedFailureConverter()
MAPPED.map(DeclinedError, error_type="Error")


def asked_in_order(story: Story) -> None:
    requested = [event.entityLockRequested for event in story.history if event.HasField("entityLockRequested")]
    given_back = [event.entityUnlockSent for event in story.history if event.HasField("entityUnlockSent")]
    first, second = (request.criticalSectionId for request in requested)

    assert [list(request.lockSet) for request in requested] == [["@counter@one"], ["@counter@one", "@counter@two"]]
    assert [(sent.criticalSectionId, sent.targetInstanceId.value) for sent in given_back] == [
        (first, "@counter@one"),
        (second, "@counter@one"),
        (second, "@counter@two"),
    ]


@case(
    "a section that the code ends itself, and another one after it, which it returns from",
    told=[[], [granted(1)], [answered(2, 5)], [granted(4)]],
    asks=["lock", "call", "unlock lock", "unlock unlock completed"],
    output=5,
    look=asked_in_order,
)
class TwoSections(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> int:
        lock = await ctx.lock_entities([ONE, ONE])
        number = await ctx.call_entity(ONE, "get", return_type=int)
        lock.release()
        lock.release()

        async with ctx.lock_entities([TWO, ONE]):
            return number

    def generator(self, ctx: OrchestrationContext) -> Flow:
        lock = yield ctx.lock_entities([ONE, ONE])
        number = yield ctx.call_entity(ONE, "get", return_type=int)
        lock.release()
        lock.release()

        with (yield ctx.lock_entities([TWO, ONE])):
            return number


@case(
    "locks are given back when a next generation begins",
    told=[[], [granted(1)], [event_raised("go")]],
    asks=["lock", "", "unlock continued"],
    output=2,
)
class NextGeneration(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        async with ctx.lock_entities([ONE]):
            await ctx.wait_for_external_event("go")
            ctx.continue_as_new(2)
            await ctx.wait_for_external_event("never")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        with (yield ctx.lock_entities([ONE])):
            yield ctx.wait_for_external_event("go")
            ctx.continue_as_new(2)
            yield ctx.wait_for_external_event("never")


@case(
    "what may be done in a section besides calls, and what asks for a second one",
    told=[[], [granted(1)], [task_completed(2)]],
    asks=["lock", "activity signal child", "unlock completed"],
    output=["asked for", "held"],
)
class AllowedInside(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        said: list[str] = []
        asked = ctx.lock_entities([ONE])

        try:
            ctx.lock_entities([TWO])
        except CriticalSectionError:
            said.append("asked for")

        async with asked:
            activity = ctx.call_activity("a")
            ctx.signal_entity(TWO, "add", 1)
            ctx.start_orchestration("other")

            try:
                ctx.lock_entities([TWO])
            except CriticalSectionError:
                said.append("held")

            await activity

        return said

    def generator(self, ctx: OrchestrationContext) -> Flow:
        said: list[str] = []
        asked = ctx.lock_entities([ONE])

        try:
            ctx.lock_entities([TWO])
        except CriticalSectionError:
            said.append("asked for")

        with (yield asked):
            activity = ctx.call_activity("a")
            ctx.signal_entity(TWO, "add", 1)
            ctx.start_orchestration("other")

            try:
                ctx.lock_entities([TWO])
            except CriticalSectionError:
                said.append("held")

            yield activity

        return said


@case(
    "a failure in a section that is an exception of the user's, and ends it",
    told=[[], [granted(1)], [refused(2, "no")]],
    asks=["lock", "call", "unlock completed"],
    output=["no", "call of 'take' of entity '@counter@one' failed: no"],
    host={"failures": MAPPED},
)
class Declined(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        try:
            async with ctx.lock_entities([ONE]):
                await ctx.call_entity(ONE, "take", 1)
        except DeclinedError as error:
            return [str(error), str(error.__cause__)]

        return []

    def generator(self, ctx: OrchestrationContext) -> Flow:
        try:
            with (yield ctx.lock_entities([ONE])):
                yield ctx.call_entity(ONE, "take", 1)
        except DeclinedError as error:
            return [str(error), str(error.__cause__)]


@case(
    "answers of entities in another order than the calls, outside of a section",
    told=[[], [answered(2, "second")], [answered(1, "first")]],
    asks=["call call", "", "completed"],
    output=["first", "second"],
)
class AnyOrder(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        calls = [ctx.call_entity(ONE, "get", return_type=str) for _ in range(2)]

        return [await call for call in calls]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        calls = [ctx.call_entity(ONE, "get", return_type=str) for _ in range(2)]
        first = yield calls[0]
        second = yield calls[1]

        return [first, second]
