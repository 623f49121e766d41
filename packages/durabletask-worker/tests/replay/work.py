"""Cases: activities, their failures and retries."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from durabletask_client.failures import MappedFailureConverter
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import ActivityContext, OrchestrationContext, RetryAttempt, RetryPolicy, TaskFailedError
from durabletask_worker.testing import Story, task_completed, task_failed, timer_fired

from .table import Case, Flow, Styles, add_to

CASES: list[Case] = []
case = partial(add_to, CASES)

SECOND = timedelta(seconds=1)
TWICE = RetryPolicy(first_retry_interval=SECOND, max_number_of_attempts=2)


class DeclinedError(Exception):
    """An error of the user's own."""


MAPPED = MappedFailureConverter()
MAPPED.map(DeclinedError, error_type="Declined")


def greet(_: ActivityContext, name: str) -> tuple[str, int]:
    return name, len(name)


def scheduled_with(**expected: Any) -> Any:
    def look(story: Story) -> None:
        for event in story.history:
            if event.HasField("taskScheduled"):
                task = event.taskScheduled
                found = {"name": task.name, "input": task.input.value, "tags": dict(task.tags)}
                assert found == expected

    return look


@case("nothing to wait for", told=[[]], asks=["completed"], output=1)
class Nothing(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> int:
        return 1

    def generator(self, ctx: OrchestrationContext) -> Flow:
        return 1
        yield

    def plain(self, ctx: OrchestrationContext) -> int:
        return 1


@case(
    "an activity, by its function",
    told=[[], [task_completed(1, ["Ada", 3])]],
    asks=["activity", "completed"],
    output=["Ada", 3],
    look=scheduled_with(name="greet", input='"Ada"', tags={"a": "b"}),
)
class Activity(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> Any:
        return await ctx.call_activity(greet, "Ada", tags={"a": "b"})

    def generator(self, ctx: OrchestrationContext) -> Flow:
        return (yield ctx.call_activity(greet, "Ada", tags={"a": "b"}))

    def plain(self, ctx: OrchestrationContext) -> Any:
        return ctx.call_activity(greet, "Ada", tags={"a": "b"})


@case(
    "activities by name, one after the other, and one that nobody waits for",
    told=[[], [task_completed(1, 1)], [task_completed(2, 2), task_completed(3, 3)]],
    asks=["activity", "activity activity", "completed"],
    output=[1, 3],
)
class Sequence(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[int]:
        first = await ctx.call_activity("a", return_type=int)
        ctx.call_activity("c")

        return [first, await ctx.call_activity("b", return_type=int)]

    def generator(self, ctx: OrchestrationContext) -> Flow:
        first = yield ctx.call_activity("a", return_type=int)
        ctx.call_activity("c")
        second = ctx.call_activity("b", return_type=int)
        yield second

        return [first, second.get_result()]


@case(
    "a failure that is caught",
    told=[[], [task_failed(1, "no", error_type="builtins.KeyError")]],
    asks=["activity", "completed"],
    output=["activity 'a' failed: no", True],
)
class Caught(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[object]:
        try:
            await ctx.call_activity("a")
        except TaskFailedError as error:
            return [str(error), error.details.is_caused_by(LookupError)]

        return []

    def generator(self, ctx: OrchestrationContext) -> Flow:
        try:
            yield ctx.call_activity("a")
        except TaskFailedError as error:
            return [str(error), error.details.is_caused_by(LookupError)]


@case(
    "a failure that is not caught", told=[[], [task_failed(1, "no")]], asks=["activity", "failed"], failure="failed: no"
)
class NotCaught(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        await ctx.call_activity("a")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        yield ctx.call_activity("a")

    def plain(self, ctx: OrchestrationContext) -> Any:
        return ctx.call_activity("a")


@case("an error of the code", told=[[]], asks=["failed"], failure="builtins.ValueError: broken")
class Broken(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        raise ValueError("broken")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        raise ValueError("broken")
        yield

    def plain(self, ctx: OrchestrationContext) -> None:
        raise ValueError("broken")


@case(
    "a failure that is an exception of the user's",
    told=[[], [task_failed(1, "no", error_type="Declined")]],
    asks=["activity", "completed"],
    output=["no", "activity 'a' failed: no"],
    host={"failures": MAPPED},
)
class Mapped(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        try:
            await ctx.call_activity("a")
        except DeclinedError as error:
            return [str(error), str(error.__cause__)]

        return []

    def generator(self, ctx: OrchestrationContext) -> Flow:
        try:
            yield ctx.call_activity("a")
        except DeclinedError as error:
            return [str(error), str(error.__cause__)]


@case(
    "an input that cannot be written",
    told=[[], [task_completed(1)]],
    asks=["activity", "completed"],
    output="cannot be written",
)
class Unwritable(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> str:
        said = ""

        try:
            ctx.call_activity("a", object())
        except TypeError as error:
            said = str(error)

        await ctx.call_activity("a", 1)

        return "cannot be written" if "cannot be written" in said else said

    def generator(self, ctx: OrchestrationContext) -> Flow:
        said = ""

        try:
            ctx.call_activity("a", object())
        except TypeError as error:
            said = str(error)

        yield ctx.call_activity("a", 1)

        return "cannot be written" if "cannot be written" in said else said


@case(
    "a retry that succeeds",
    told=[[], [task_failed(1, "no")], [timer_fired(2)], [task_completed(3, "yes")]],
    asks=["activity", "timer", "activity", "completed"],
    output="yes",
    look=scheduled_with(name="a", input="[1]", tags={}),
)
class Retried(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> Any:
        return await ctx.call_activity("a", [1], retry_policy=TWICE)

    def generator(self, ctx: OrchestrationContext) -> Flow:
        return (yield ctx.call_activity("a", [1], retry_policy=TWICE))

    def plain(self, ctx: OrchestrationContext) -> Any:
        return ctx.call_activity("a", [1], retry_policy=TWICE)


@case(
    "retries that end, by the worker's policy; and none where a call says so",
    told=[[], [task_failed(1, "no")], [timer_fired(2)], [task_failed(3, "still no")], [task_failed(4, "never")]],
    asks=["activity", "timer", "activity", "activity", "completed"],
    output=["activity 'a' failed: still no", "activity 'b' failed: never"],
    host={"default_retry_policy": TWICE},
)
class DefaultPolicy(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        said = []

        for name, policy in (("a", None), ("b", RetryPolicy.never())):
            try:
                await ctx.call_activity(name, retry_policy=policy)
            except TaskFailedError as error:
                said.append(str(error))

        return said

    def generator(self, ctx: OrchestrationContext) -> Flow:
        said = []

        for name, policy in (("a", None), ("b", RetryPolicy.never())):
            try:
                yield ctx.call_activity(name, retry_policy=policy)
            except TaskFailedError as error:
                said.append(str(error))

        return said


def once_if_busy(attempt: RetryAttempt) -> bool:
    return attempt.failure.message == "busy"


BUSY = RetryPolicy(first_retry_interval=SECOND, max_number_of_attempts=9, jitter=1.0, handler=once_if_busy)


def some_jitter(story: Story) -> None:
    (timer,) = (event.timerCreated for event in story.history if event.HasField("timerCreated"))
    delay = timer.fireAt.ToDatetime() - story.history[story.turns[1]].timestamp.ToDatetime()

    assert timedelta() <= delay < SECOND


@case(
    "a handler that decides, and a delay by lot",
    told=[[], [task_failed(1, "busy")], [timer_fired(2)], [task_failed(3, "gone")]],
    asks=["activity", "timer", "activity", "failed"],
    failure="gone",
    look=some_jitter,
)
class Handler(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> Any:
        return await ctx.call_activity("a", retry_policy=BUSY)

    def generator(self, ctx: OrchestrationContext) -> Flow:
        return (yield ctx.call_activity("a", retry_policy=BUSY))


FINAL = RetryPolicy(first_retry_interval=SECOND, max_number_of_attempts=9, non_retryable=(ValueError,))


@case(
    "an error that is not tried again",
    told=[[], [task_failed(1, "no", error_type="builtins.ValueError")]],
    asks=["activity", "failed"],
    failure="no",
)
class NonRetryable(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> Any:
        return await ctx.call_activity("a", retry_policy=FINAL)

    def generator(self, ctx: OrchestrationContext) -> Flow:
        return (yield ctx.call_activity("a", retry_policy=FINAL))


PATIENT = RetryPolicy(
    first_retry_interval=SECOND, max_number_of_attempts=None, backoff_coefficient=2.0, retry_timeout=4 * SECOND
)


@case(
    "retries until the time for them is over",
    told=[[], [task_failed(1, "one")], [timer_fired(2)], [task_failed(3, "two")]],
    asks=["activity", "timer", "activity", "failed"],
    failure="two",
)
class Patient(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> Any:
        return await ctx.call_activity("a", retry_policy=PATIENT)

    def generator(self, ctx: OrchestrationContext) -> Flow:
        return (yield ctx.call_activity("a", retry_policy=PATIENT))

    def plain(self, ctx: OrchestrationContext) -> Any:
        return ctx.call_activity("a", retry_policy=PATIENT)


def with_cause(event: pb.HistoryEvent, error_type: str) -> pb.HistoryEvent:
    event.taskFailed.failureDetails.innerFailure.errorType = error_type

    return event


@case(
    "a failure that says of itself that it is final, and its cause",
    told=[[], [with_cause(task_failed(1, "no", is_non_retriable=True), "builtins.KeyError")]],
    asks=["activity", "completed"],
    output=[True, False, True],
)
class Final(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[bool]:
        try:
            await ctx.call_activity("a", retry_policy=TWICE)
        except TaskFailedError as error:
            return self.known(error)

        return []

    def generator(self, ctx: OrchestrationContext) -> Flow:
        try:
            yield ctx.call_activity("a", retry_policy=TWICE)
        except TaskFailedError as error:
            return self.known(error)

    def known(self, error: TaskFailedError) -> list[bool]:
        details = error.details

        return [details.is_caused_by(LookupError), details.is_caused_by(ValueError), details.is_non_retriable]
