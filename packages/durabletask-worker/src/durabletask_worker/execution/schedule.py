"""What an orchestration asked for: actions that no event has confirmed yet, and work that is not done yet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from durabletask_client.failures import FailureDetails
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.execution.actions import (
    PATCHES,
    Action,
    CreateChild,
    CreateTimer,
    ScheduleActivity,
    SendEvent,
    Terminate,
)
from durabletask_worker.execution.determinism import Place, departure, here, line_of
from durabletask_worker.execution.tasks import OpenTask
from durabletask_worker.retry import RetryAttempt, RetryPolicy

__all__ = ["CallTask", "Schedule"]


class CallTask(OpenTask[object]):
    """The task of an activity or a sub-orchestration, over all its attempts.

    Args:
        action: The first attempt.
        result_type: What to rebuild the result as; None for plain values.
        policy: When to try again; None for never.
        first_attempt_at: When the first attempt began; None without a policy.
        place: Where in the code it was called; None if nobody asks.
    """

    __slots__ = ("action", "attempts", "first_attempt_at", "place", "policy", "result_type")

    def __init__(
        self,
        action: ScheduleActivity | CreateChild,
        result_type: object,
        policy: RetryPolicy | None,
        first_attempt_at: datetime | None,
        place: Place | None,
    ) -> None:
        OpenTask.__init__(self)  # not super(), which takes longer, for each step of each replay
        self.action = action
        self.result_type = result_type
        self.policy = policy
        self.first_attempt_at = first_attempt_at
        self.place = place
        self.attempts = 1


class Schedule:
    """The actions of an orchestration and the work that came of them.

    Actions count from 1. The server records an action in an event with the action's number, and answers under it.

    Args:
        now: The orchestration's time.
        read: Rebuilds a value from a payload and the type that it is to have.
        to_exception: Makes the exception that a failed task raises.
        chance: Gives each action a number from 0 up to, not including, 1: the same in each replay.
        traces: Whether to keep where in the code each action was done.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        read: Callable[[str | None, object], object],
        to_exception: Callable[[str, FailureDetails], BaseException],
        chance: Callable[[int], float],
        *,
        traces: bool,
    ) -> None:
        self.recorded = 0
        """The number up to which actions are taken for recorded, while a history is replayed; 0 for none."""
        self._now = now
        self._read = read
        self._to_exception = to_exception
        self._chance = chance
        self._traces = traces
        self._last_id = 0
        self._unconfirmed: dict[int, Action] = {}
        self._places: dict[int, Place | None] = {}
        self._unrecorded: list[int] = []
        self._calls: dict[int, CallTask] = {}
        self._timers: dict[int, Callable[[], None]] = {}

    @property
    def unconfirmed(self) -> list[Action]:
        """The actions that no event has confirmed, in order: what the server is to be told."""
        return list(self._unconfirmed.values())

    @property
    def is_next_recorded(self) -> bool:
        """Whether the history is taken to have the next action, so that nobody will read what is in it."""
        return self._last_id < self.recorded

    @property
    def lacks_something(self) -> bool:
        """Whether an action was taken for recorded that has still to be told to the server."""
        return any(action_id <= self.recorded and action_id not in self._unrecorded for action_id in self._unconfirmed)

    def line_of(self, action_id: int) -> str | None:
        """Where in the code an action was done, as `file:line`; None if nobody asked for it to be kept."""
        return line_of(self._places.get(action_id))

    def next_id(self) -> int:
        """The number of the next action."""
        self._last_id += 1

        return self._last_id

    def add(self, action: Action, place: Place | None = None) -> None:
        """Take on an action.

        Args:
            action: The action.
            place: Where the code did it; None for where it is now.
        """
        self._unconfirmed[action.id] = action

        if self._traces:
            self._places[action.id] = place or here()

    def add_unrecorded(self, action: Terminate) -> None:
        """Take on an action that no event will record."""
        self.add(action)
        self._unrecorded.append(action.id)

    def take_patches(self) -> list[Action]:
        """The unconfirmed actions that record a patch, which count as confirmed from now on."""
        patches: list[Action] = [
            action
            for action in self._unconfirmed.values()
            if isinstance(action, SendEvent) and action.instance_id == PATCHES
        ]

        for action in patches:
            del self._unconfirmed[action.id]

        return patches

    def begin_turn(self) -> None:
        """Take note that the server has got the answer to the turn before."""
        if self._unrecorded:
            for action_id in self._unrecorded:
                self._unconfirmed.pop(action_id, None)

            self._unrecorded.clear()

    def confirm_all(self) -> None:
        """Take note that the history has all actions, without being shown the events."""
        self._unconfirmed.clear()

    def call(
        self,
        action: ScheduleActivity | CreateChild,
        result_type: object,
        policy: RetryPolicy | None,
    ) -> CallTask:
        """Take on an activity or a sub-orchestration.

        Args:
            action: The first attempt.
            result_type: What to rebuild the result as; None for plain values.
            policy: When to try again; None for never.

        Returns:
            The task of all attempts together.
        """
        first_attempt_at = None if policy is None else self._now()
        place = here() if self._traces else None
        task = self._calls[action.id] = CallTask(action, result_type, policy, first_attempt_at, place)
        self.add(action, place)

        return task

    def start_timer(self, fire_at: datetime | None, on_fired: Callable[[], None]) -> int:
        """Take on a timer.

        Args:
            fire_at: When it is due; None where the history has it.
            on_fired: What to do then.

        Returns:
            Its number.
        """
        timer_id = self.next_id()
        self._timers[timer_id] = on_fired
        self.add(CreateTimer(timer_id, fire_at))

        return timer_id

    def drop_timer(self, timer_id: int) -> None:
        """Forget a timer. If the server has not been told of it yet, it never is."""
        self._timers.pop(timer_id, None)
        self._unconfirmed.pop(timer_id, None)

    def confirm(self, event: pb.HistoryEvent, waits_at: Callable[[], str | None], orchestration: object) -> None:
        """Take note that the history records an action.

        Args:
            event: The event that says so.
            waits_at: Tells where the code waits, for the message.
            orchestration: Whose history it is; its text goes into the message.

        Raises:
            NonDeterminismError: The code did something else.
        """
        action = self._unconfirmed.pop(event.eventId, None)

        if action is None or not action.is_confirmed_by(event):
            raise departure(event, action, self._places.get(event.eventId), waits_at(), orchestration)

    def succeeded(self, action_id: int, payload: str | None) -> bool:
        """Take note of a result. False if nothing open has that number."""
        call = self._calls.pop(action_id, None)

        if call is None:
            return False

        try:
            result = self._read(payload, call.result_type)
        except Exception as error:  # noqa: BLE001 - a converter may raise anything, and the orchestrator is to see it
            call.fail(error)
        else:
            call.complete(result)

        return True

    def failed(self, action_id: int, failure: pb.TaskFailureDetails) -> bool:
        """Take note of a failure: plan the next attempt, or fail the task. False if nothing open has that number."""
        call = self._calls.pop(action_id, None)

        if call is None:
            return False

        details = FailureDetails.from_proto(failure)

        try:
            delay = self._delay(call, action_id, details)
        except Exception as error:  # noqa: BLE001 - a policy's handler may raise anything, and the orchestrator is to see it
            call.fail(error)

            return True

        if delay is None:
            call.fail(self._to_exception(str(call.action), details))
        else:
            self.start_timer(self._now() + delay, partial(self._attempt_again, call))

        return True

    def fired(self, timer_id: int) -> bool:
        """Take note that a timer is due. False if nothing open has that number."""
        on_fired = self._timers.pop(timer_id, None)

        if on_fired is None:
            return False

        on_fired()

        return True

    def _attempt_again(self, call: CallTask) -> None:
        action = call.action._replace(id=self.next_id())
        call.attempts += 1
        self._calls[action.id] = call
        self.add(action, call.place)

    def _delay(self, call: CallTask, action_id: int, details: FailureDetails) -> timedelta | None:
        if call.policy is None or call.first_attempt_at is None:
            return None

        return call.policy.next_delay(
            RetryAttempt(
                number=call.attempts,
                failure=details,
                first_attempt_at=call.first_attempt_at,
                now=self._now(),
                random=self._chance(action_id),
            )
        )
