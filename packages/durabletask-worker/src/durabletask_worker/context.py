"""What user code is given: the context of an orchestration, and that of an activity."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypedDict, TypeVar, Unpack, overload
from uuid import UUID, uuid5

from durabletask_worker._signature import name_of, signature_of
from durabletask_worker.errors import OrchestrationUnloaded
from durabletask_worker.execution.actions import CreateChild, ScheduleActivity, SendEvent
from durabletask_worker.execution.mailbox import EventTask
from durabletask_worker.execution.state import Continuation, State
from durabletask_worker.execution.tasks import OpenTask, Task
from durabletask_worker.retry import RetryPolicy

__all__ = ["ActivityContext", "ActivityOptions", "ChildOptions", "OrchestrationContext", "ReplaySafeLogger"]

I = TypeVar("I")  # noqa: E741 - input, beside O for output
O = TypeVar("O")  # noqa: E741 - output
T = TypeVar("T")

_UUIDS = UUID("f0b0c8c1-8f0e-4c49-8d6f-57e4b2a3f4c6")
"""The namespace of `OrchestrationContext.new_uuid`."""


class ActivityOptions(TypedDict, total=False):
    """The options of `OrchestrationContext.call_activity`, which says what they mean."""

    retry_policy: RetryPolicy | None
    tags: Mapping[str, str] | None


class ChildOptions(TypedDict, total=False):
    """The options of `OrchestrationContext.call_sub_orchestrator`, which says what they mean."""

    instance_id: str | None
    retry_policy: RetryPolicy | None
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityContext:
    """What an activity knows of the task that it carries out."""

    orchestration_id: str
    """The orchestration that asked for it."""
    task_id: int
    """The number of the task in that orchestration. With the orchestration's id it is the same each time that the task is
    handed out again, and so tells a repetition."""


class OrchestrationContext:
    """What an orchestrator knows, and the only way for it to do anything. Made by the worker."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def instance_id(self) -> str:
        """The orchestration."""
        return self._state.instance_id

    @property
    def execution_id(self) -> str | None:
        """Its generation: a continue-as-new begins another one. None if the server names none."""
        return self._state.execution_id

    @property
    def name(self) -> str:
        """The orchestrator's name."""
        return self._state.name

    @property
    def version(self) -> str | None:
        """The version it was started with; None for none."""
        return self._state.version

    @property
    def parent_instance_id(self) -> str | None:
        """The orchestration that started this one; None if none did."""
        return self._state.parent_instance_id

    @property
    def current_utc_datetime(self) -> datetime:
        """The time, aware and in UTC. It stands still between two waits, and a replay sees it again as it was."""
        return self._state.now()

    @property
    def is_replaying(self) -> bool:
        """Whether the code runs through what it has done before. Do not decide by it what to do."""
        return self._state.is_replaying

    @property
    def is_suspended(self) -> bool:
        """Whether the orchestration is suspended."""
        return self._state.is_suspended

    @overload
    def call_activity(
        self,
        activity: Callable[[ActivityContext, I], Awaitable[O]],
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
        activity: Callable[[ActivityContext], Awaitable[O]],
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
            retry_policy: When to try again after a failure; None for never.
            tags: Labels that travel with the task.
            return_type: What to rebuild the result as; None for what the activity's annotations say, if they are at hand.

        Returns:
            The task. Waiting for it gives the result, or raises `TaskFailedError`.

        Raises:
            RegistrationError: The activity has no name.
            TypeError: The input cannot be written as a payload.
        """
        state = self._live()
        name, payload = name_of(activity), state.converter.serialize(input)
        action = ScheduleActivity(state.schedule.next_id(), name, payload, tags)

        return state.schedule.call(action, self._decoder(activity, return_type), retry_policy)

    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext, I], Awaitable[O]],
        input: I,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext, I], Generator[Any, Any, O]],
        input: I,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext, I], O],
        input: I,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext], Awaitable[O]],
        input: None = None,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext], Generator[Any, Any, O]],
        input: None = None,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext], O],
        input: None = None,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: str | Callable[..., object],
        input: object = None,
        *,
        return_type: type[T],
        **options: Unpack[ChildOptions],
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: str,
        input: object = None,
        **options: Unpack[ChildOptions],
    ) -> Task[Any]: ...
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[..., object] | str,
        input: object = None,
        *,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        return_type: object = None,
    ) -> Task[Any]:
        """Run another orchestration, a child of this one. It begins with the end of this turn, whether it is waited for or not.

        Sent as `CreateSubOrchestrationAction`.

        Args:
            orchestrator: The orchestrator, or its name.
            input: What it is given.
            instance_id: The child's id, used for every attempt; None for one that follows from this generation and the number
                of the attempt's step.
            retry_policy: When to try again after a failure; None for never.
            version: The child's version; None for none.
            return_type: What to rebuild the result as; None for what the orchestrator's annotations say, if they are at hand.

        Returns:
            The task. Waiting for it gives the result, or raises `TaskFailedError`.

        Raises:
            RegistrationError: The orchestrator has no name.
            TypeError: The input cannot be written as a payload.
        """
        state = self._live()
        name, payload = name_of(orchestrator), state.converter.serialize(input)
        action = CreateChild(
            id=state.schedule.next_id(),
            name=name,
            input=payload,
            instance_id=instance_id,
            parent=state.execution_id or state.instance_id,
            version=version,
        )

        return state.schedule.call(action, self._decoder(orchestrator, return_type), retry_policy)

    def create_timer(self, fire_at: timedelta | datetime) -> Task[None]:
        """Wait for a time. Sent as `CreateTimerAction`.

        Args:
            fire_at: How long from now, or an aware time. One that is past fires at once.

        Returns:
            The task.

        Raises:
            ValueError: The time is naive.
        """
        state = self._live()

        if isinstance(fire_at, timedelta):
            fire_at = state.now() + fire_at
        elif fire_at.tzinfo is None:
            raise ValueError(
                f"fire_at is {fire_at}, a naive time; give an aware one, such as ctx.current_utc_datetime + timedelta(…)"
            )

        timer: OpenTask[None] = OpenTask()
        state.schedule.start_timer(fire_at, partial(timer.complete, None))

        return timer

    @overload
    def wait_for_external_event(
        self, name: str, *, timeout: timedelta | None = None, return_type: type[T]
    ) -> Task[T]: ...
    @overload
    def wait_for_external_event(
        self, name: str, *, timeout: timedelta | None = None, return_type: None = None
    ) -> Task[Any]: ...
    def wait_for_external_event(
        self, name: str, *, timeout: timedelta | None = None, return_type: object = None
    ) -> Task[Any]:
        """Wait for an event from outside. One that came before and that nobody took counts.

        Events of a name are handed out in the order in which they come to the waits in the order in which they were begun.

        Args:
            name: The event's name, in any case.
            timeout: How long to wait; zero to take only what is there already. None for as long as it takes.
            return_type: What to rebuild the event's data as; None for plain values.

        Returns:
            The task. Waiting for it gives the event's data, or raises `TimeoutError`.
        """
        state = self._live()
        event = EventTask(state.mailbox, name, partial(_decode, state, return_type))
        state.mailbox.listen(event)

        if timeout is None or event.is_complete:
            return event

        expire = partial(event.expire, timeout)

        if timeout <= timedelta(0):
            expire()
        else:
            timer_id = state.schedule.start_timer(state.now() + timeout, expire)
            event.on_received = partial(state.schedule.drop_timer, timer_id)

        return event

    def send_event(self, instance_id: str, event_name: str, *, data: object = None) -> None:
        """Send an event to another orchestration; what becomes of it is not known here. Sent as `SendEventAction`.

        Args:
            instance_id: Whom to send it to.
            event_name: The event's name.
            data: What goes with it.

        Raises:
            TypeError: The data cannot be written as a payload.
        """
        state = self._live()
        payload = state.converter.serialize(data)
        state.schedule.add(SendEvent(state.schedule.next_id(), instance_id, event_name, payload))

    def set_custom_status(self, custom_status: object) -> None:
        """Say where the orchestration is, for who reads its state. It becomes visible with the end of the turn.

        Args:
            custom_status: Any value that can be written as a payload; None to clear it.

        Raises:
            TypeError: The value cannot be written as a payload.
        """
        state = self._live()
        state.custom_status = state.converter.serialize(custom_status)

    def continue_as_new(self, new_input: object = None, *, save_events: bool = False) -> None:
        """Begin anew under the same id, with another input and an empty history.

        It takes effect when the orchestrator returns or waits next; return at once. Activities and sub-orchestrations that are
        not done are left behind.

        Args:
            new_input: The input of the next generation.
            save_events: Whether external events that nobody took go on to the next generation.

        Raises:
            TypeError: The input cannot be written as a payload.
        """
        state = self._live()
        state.continuation = Continuation(input=state.converter.serialize(new_input), save_events=save_events)

    def new_uuid(self) -> str:
        """Make an id that is unique, and the same again in a replay.

        Returns:
            A UUID as text.
        """
        state = self._live()
        state.uuids += 1

        return str(uuid5(_UUIDS, f"{state.instance_id} {state.now().isoformat()} {state.uuids}"))

    def create_replay_safe_logger(self, logger: logging.Logger) -> ReplaySafeLogger:
        """Wrap a logger so that each line is logged once, not again with each replay.

        Args:
            logger: The logger.

        Returns:
            A logger for use in this orchestrator.
        """
        return ReplaySafeLogger(logger, self)

    def _live(self) -> State:
        if self._state.is_closed:
            raise OrchestrationUnloaded(f"{self._state} is being unloaded")

        return self._state

    def _decoder(self, function: Callable[..., object] | str, return_type: object) -> Callable[[str | None], object]:
        if return_type is None and not isinstance(function, str):
            return_type = signature_of(function).result_type

        return partial(_decode, self._state, return_type)


def _decode(state: State, type_hint: object, payload: str | None) -> object:
    return state.converter.deserialize(payload, type_hint)


class ReplaySafeLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that is silent while its orchestration replays."""

    def __init__(self, logger: logging.Logger, context: OrchestrationContext) -> None:
        super().__init__(logger)
        self._context = context

    def isEnabledFor(self, level: int) -> bool:
        """Whether a line of this level is logged now."""
        return not self._context.is_replaying and super().isEnabledFor(level)
