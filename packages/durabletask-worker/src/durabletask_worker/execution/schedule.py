"""What an orchestration asked for: actions that no event has confirmed yet, and work that is not done yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from durabletask_client.models import FailureDetails
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.errors import TaskFailedError
from durabletask_worker.execution.actions import Action, CreateChild, CreateTimer, ScheduleActivity
from durabletask_worker.execution.determinism import check_step
from durabletask_worker.execution.tasks import OpenTask
from durabletask_worker.retry import RetryPolicy

__all__ = ["Schedule"]


@dataclass(slots=True)
class _Call:
    """An activity or a sub-orchestration that is not done, over all its attempts."""

    action: ScheduleActivity | CreateChild
    task: OpenTask[object]
    decode: Callable[[str | None], object]
    policy: RetryPolicy | None
    first_attempt_at: datetime | None
    attempts: int = 0


class Schedule:
    """The actions of an orchestration and the work that came of them.

    Actions count from 1. The server records an action in an event with the action's number, and answers under it.

    Args:
        now: The orchestration's time.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._last_id = 0
        self._unconfirmed: dict[int, Action] = {}
        self._calls: dict[int, _Call] = {}
        self._timers: dict[int, Callable[[], None]] = {}

    @property
    def unconfirmed(self) -> list[Action]:
        """The actions that no event has confirmed, in order: what the server is to be told."""
        return list(self._unconfirmed.values())

    def next_id(self) -> int:
        """The number of the next action."""
        self._last_id += 1

        return self._last_id

    def add(self, action: Action) -> None:
        """Take on an action that is not answered."""
        self._unconfirmed[action.id] = action

    def call(
        self,
        action: ScheduleActivity | CreateChild,
        decode: Callable[[str | None], object],
        policy: RetryPolicy | None,
    ) -> OpenTask[object]:
        """Take on an activity or a sub-orchestration.

        Args:
            action: The first attempt.
            decode: Turns the payload of the result into its value.
            policy: When to try again; None for never.

        Returns:
            The task of all attempts together.
        """
        task: OpenTask[object] = OpenTask()
        self._attempt(_Call(action, task, decode, policy, None if policy is None else self._now()), action)

        return task

    def start_timer(self, fire_at: datetime, on_fired: Callable[[], None]) -> int:
        """Take on a timer.

        Args:
            fire_at: When it is due.
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

    def confirm(self, event: pb.HistoryEvent, orchestration: object) -> None:
        """Take note that the history records an action.

        Args:
            event: The event that says so.
            orchestration: Whose history it is; its text goes into the message.

        Raises:
            NonDeterminismError: The code did something else.
        """
        check_step(event, self._unconfirmed.pop(event.eventId, None), orchestration)

    def succeeded(self, action_id: int, payload: str | None) -> bool:
        """Take note of a result. False if nothing open has that number."""
        call = self._calls.pop(action_id, None)

        if call is None:
            return False

        try:
            result = call.decode(payload)
        except Exception as error:  # noqa: BLE001 - a converter may raise anything, and the orchestrator is to see it
            call.task.fail(error)
        else:
            call.task.complete(result)

        return True

    def failed(self, action_id: int, failure: pb.TaskFailureDetails) -> bool:
        """Take note of a failure: plan the next attempt, or fail the task. False if nothing open has that number."""
        call = self._calls.pop(action_id, None)

        if call is None:
            return False

        details = FailureDetails.from_proto(failure)
        delay = self._delay(call, details)

        if delay is None:
            call.task.fail(TaskFailedError(str(call.action), details))
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

    def _attempt(self, call: _Call, action: ScheduleActivity | CreateChild) -> None:
        call.attempts += 1
        self._calls[action.id] = call
        self.add(action)

    def _attempt_again(self, call: _Call) -> None:
        self._attempt(call, call.action._replace(id=self.next_id()))

    def _delay(self, call: _Call, details: FailureDetails) -> timedelta | None:
        if call.policy is None or call.first_attempt_at is None or details.is_non_retriable:
            return None

        return call.policy.next_delay(call.attempts, call.first_attempt_at, self._now())
