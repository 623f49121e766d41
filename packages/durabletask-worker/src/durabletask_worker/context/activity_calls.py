"""How an orchestration has activities run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypedDict, TypeVar, Unpack, overload

from durabletask_worker._signature import callee_of
from durabletask_worker.context.activity import ActivityContext
from durabletask_worker.context.facts import Facts
from durabletask_worker.execution.actions import ScheduleActivity
from durabletask_worker.execution.tasks import Task
from durabletask_worker.retry import RetryPolicy

__all__ = ["ActivityCalls", "ActivityOptions"]

I = TypeVar("I")  # noqa: E741 - input, beside O for output
O = TypeVar("O")  # noqa: E741 - output
T = TypeVar("T")
# Y and S, what a coroutine or generator yields and is sent, are there for mypy: with Any in their places it cannot choose between
# the overloads as soon as a function has an Any of its own, in a `dict[str, Any]` say, and gives up on the result's type.
Y = TypeVar("Y")
S = TypeVar("S")


class ActivityOptions(TypedDict, total=False):
    """The options of `OrchestrationContext.call_activity`, which says what they mean."""

    retry_policy: RetryPolicy | None
    tags: Mapping[str, str] | None


class ActivityCalls(Facts):
    """The part of `OrchestrationContext` that has to do with activities."""

    @overload
    def call_activity(
        self,
        activity: Callable[[ActivityContext, I], Coroutine[Y, S, O]],
        input: I,
        **options: Unpack[ActivityOptions],
    ) -> Task[O]: ...
    @overload
    def call_activity(
        self,
        activity: Callable[[ActivityContext, I], O],
        input: I,
        **options: Unpack[ActivityOptions],
    ) -> Task[O]: ...
    @overload
    def call_activity(
        self,
        activity: Callable[[ActivityContext], Coroutine[Y, S, O]],
        input: None = None,
        **options: Unpack[ActivityOptions],
    ) -> Task[O]: ...
    @overload
    def call_activity(
        self,
        activity: Callable[[ActivityContext], O],
        input: None = None,
        **options: Unpack[ActivityOptions],
    ) -> Task[O]: ...
    @overload
    def call_activity(
        self,
        activity: str | Callable[..., object],
        input: object = None,
        *,
        return_type: type[T],
        **options: Unpack[ActivityOptions],
    ) -> Task[T]: ...
    @overload
    def call_activity(
        self,
        activity: str,
        input: object = None,
        *,
        return_type: object = None,
        **options: Unpack[ActivityOptions],
    ) -> Task[Any]: ...
    def call_activity(
        self,
        activity: Callable[..., object] | str,
        input: object = None,
        *,
        retry_policy: RetryPolicy | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: object = None,
    ) -> Task[Any]:
        """Run an activity. It begins with the end of this turn, whether it is waited for or not.

        Sent as `ScheduleTaskAction`.

        Args:
            activity: The activity, or its name.
            input: What it is given.
            retry_policy: When to try again after a failure; None for the worker's `default_retry_policy`, and
                `RetryPolicy.never()` for never.
            tags: Labels that travel with the task.
            return_type: What to rebuild the result as; None for what the activity's annotations say, if they are at hand.

        Returns:
            The task. Waiting for it gives the result, or raises `TaskFailedError`, or what the worker's `failure_converter` makes
            of the failure.

        Raises:
            RegistrationError: The activity has no name.
            TypeError: The input cannot be written as a payload.
        """
        state, (name, result_type) = self._live(), callee_of(activity)
        policy = retry_policy or state.host.default_retry_policy
        payload = state.write_input(input, policy)
        action = ScheduleActivity(state.schedule.next_id(), name, payload, tags)

        return state.schedule.call(action, return_type or result_type, policy)
