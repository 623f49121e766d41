"""What the context, which user code works on, and the replay, which drives it, both know of an orchestration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from durabletask_client.failures import FailureDetails
from durabletask_client.serialization import DataConverter
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.errors import TaskFailedError
from durabletask_worker.execution.actions import PATCHES, SendEvent
from durabletask_worker.execution.clock import Clock, Ids
from durabletask_worker.execution.determinism import waiting_line
from durabletask_worker.execution.fibers import Fibers
from durabletask_worker.execution.host import Host
from durabletask_worker.execution.mailbox import Mailbox
from durabletask_worker.execution.schedule import Schedule
from durabletask_worker.execution.sections import Sections
from durabletask_worker.retry import RetryPolicy, fraction

__all__ = ["Continuation", "State"]

_ALWAYS_WRITTEN = frozenset({type(None), bool, int, str})
"""Types whose values every converter writes."""
_CENTURY = 36_500
"""Days after which, and before which, there still are dates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """The wish to begin anew."""

    input: str | None
    """The payload for the next generation."""
    save_events: bool
    """Whether unread external events go with it."""
    version: str | None
    """The version of the next generation; None for the same."""


class State:
    """An orchestration as its code finds it.

    Args:
        instance_id: The orchestration.
        execution_id: Its generation; None if the server names none.
        host: The worker that hosts it.
        traces: Whether to keep where in the code each action is done.
    """

    def __init__(self, instance_id: str, execution_id: str | None, host: Host, *, traces: bool = False) -> None:
        self.instance_id = instance_id
        self.host = host
        self.converter: DataConverter = host.converter
        self.name = ""
        self.version: str | None = None
        self.parent_instance_id: str | None = None
        self.tags: dict[str, str] = {}
        self.past_events: Sequence[pb.HistoryEvent] = ()
        self.is_replaying = True
        self.is_suspended = False
        self.is_closed = False
        self.custom_status: str | None = None
        self.continuation: Continuation | None = None
        # None of these holds the state: it is gone at once when nobody needs it, without the collector of garbage.
        self.clock = Clock()
        self.ids = Ids(instance_id, execution_id, self.clock)
        self.mailbox = Mailbox(host.converter.deserialize)
        to_exception = partial(_exception, host)
        self.schedule = Schedule(
            self.clock.now,
            host.converter.deserialize,
            to_exception,
            lambda action_id: fraction(f"{instance_id}:{action_id}"),
            traces=traces,
        )
        self.sections = Sections(instance_id, self.schedule, to_exception, self.ids.of_action)
        self.fibers = Fibers(f"orchestration {instance_id!r}")
        self._patches: dict[str, bool] = {}
        self._recorded_patches: set[str] | None = None

    def __str__(self) -> str:
        return f"orchestration {self.instance_id!r} ({self.name})"

    def begin_turn(self, event: pb.HistoryEvent) -> None:
        """Begin a turn, with its OrchestratorStarted."""
        self.clock.begin_turn(event)

        if not self.is_suspended:
            self.schedule.begin_turn()

    def write_input(self, value: object, policy: RetryPolicy | None) -> str | None:
        """The payload of the next action's input; None for none, and where nobody needs it because the history has it."""
        # Others may have no payload, which the code would learn of the first time, and must learn of again.
        if type(value) in _ALWAYS_WRITTEN and policy is None and self.schedule.is_next_recorded:
            return None

        return self.converter.serialize(value)

    def due(self, when: timedelta | datetime) -> datetime | None:
        """When the next action is due, a timer; None where nobody needs it because the history has it."""
        # Longer ones may be beyond all dates, which the code would learn of the first time, and must learn of again.
        if type(when) is timedelta and abs(when.days) < _CENTURY and self.schedule.is_next_recorded:
            return None

        return self.clock.time(when)

    def waiting_line(self) -> str | None:
        """Where the orchestrator waits, as `file:line`; None if it does not."""
        main = self.fibers.main

        return None if main is None else waiting_line(main.started)

    def patched(self, name: str) -> bool:
        """Whether this orchestration runs with a change of its code: decided where it is first asked, and recorded if so."""
        known = self._patches.get(name)

        if known is None:
            known = self._patches[name] = not self.is_replaying or name in self._recorded()

            if known:
                self.schedule.add(SendEvent(self.schedule.next_id(), PATCHES, name, None))

        return known

    def _recorded(self) -> set[str]:
        if self._recorded_patches is None:
            self._recorded_patches = {
                event.eventSent.name
                for event in self.past_events
                if event.HasField("eventSent") and event.eventSent.instanceId == PATCHES
            }

        return self._recorded_patches


def _exception(host: Host, what: str, details: FailureDetails) -> BaseException:
    return host.failures.to_exception(details, TaskFailedError(what, details))
