"""What the context, which user code works on, and the replay, which drives it, both know of an orchestration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID, uuid5

from durabletask_client.failures import FailureDetails
from durabletask_client.serialization import DataConverter
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from durabletask_worker.errors import TaskFailedError
from durabletask_worker.execution.actions import PATCHES, SendEvent
from durabletask_worker.execution.determinism import waiting_line
from durabletask_worker.execution.fibers import Fibers
from durabletask_worker.execution.host import Host
from durabletask_worker.execution.mailbox import Mailbox
from durabletask_worker.execution.schedule import Schedule
from durabletask_worker.execution.sections import Sections
from durabletask_worker.retry import RetryPolicy, fraction

__all__ = ["Continuation", "State"]

_Time: TypeAlias = tuple[int, int]
"""Seconds since 1970, and nanoseconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALWAYS_WRITTEN = frozenset({type(None), bool, int, str})
"""Types whose values every converter writes."""
_CENTURY = 36_500
"""Days after which, and before which, there still are dates."""
_UUIDS = UUID("f0b0c8c1-8f0e-4c49-8d6f-57e4b2a3f4c6")
"""The namespace of an orchestration's ids."""


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
        self.execution_id = execution_id
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
        self.mailbox = Mailbox(host.converter.deserialize)
        self.schedule = Schedule(
            self.now,
            host.converter.deserialize,
            self._exception,
            lambda action_id: fraction(f"{instance_id}:{action_id}"),
            traces=traces,
        )
        self.sections = Sections(instance_id, self.schedule, self._exception, self._id_of)
        self.fibers = Fibers(f"orchestration {instance_id!r}")
        self._uuids = 0
        self._patches: dict[str, bool] = {}
        self._recorded_patches: set[str] | None = None
        self._began: _Time | None = None
        self._seed: str | None = None
        self._turn: pb.HistoryEvent | _Time = (0, 0)
        self._now: datetime | None = None

    def __str__(self) -> str:
        return f"orchestration {self.instance_id!r} ({self.name})"

    def begin_turn(self, event: pb.HistoryEvent) -> None:
        """Take over the time of a turn from its OrchestratorStarted."""
        # Few turns of a replay are asked for their time.
        self._turn = event
        self._now = None

        if self._began is None:
            self._began = self._time()

        if not self.is_suspended:
            self.schedule.begin_turn()

    def leave_events(self) -> None:
        """Keep nothing of the events that it was told of: one alone would keep the whole message in memory that it came with."""
        self._turn = self._time()

    def now(self) -> datetime:
        """The orchestration's time: that of the turn which is done, or done again. Aware, in UTC."""
        if self._now is None:
            # Timestamp.ToDatetime takes several times as long.
            seconds, nanoseconds = self._time()
            self._now = _EPOCH + timedelta(0, seconds, nanoseconds // 1000)

        return self._now

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

        return self.time(when)

    def time(self, when: timedelta | datetime) -> datetime:
        """A time, given as one, where a naive one is in UTC, or from now."""
        if isinstance(when, timedelta):
            return self.now() + when

        return when if when.tzinfo is not None else when.replace(tzinfo=UTC)

    def new_uuid(self) -> str:
        """A unique id, the same again in a replay."""
        self._uuids += 1

        return str(uuid5(_UUIDS, f"{self.instance_id} {self.now().isoformat()} {self._uuids}"))

    def seed(self) -> str:
        """What random numbers may follow from: another text for each generation."""
        if self._seed is None:
            seconds, nanoseconds = self._began or (0, 0)
            began = Timestamp(seconds=seconds, nanos=nanoseconds).ToJsonString()
            self._seed = f"{self.instance_id} {self.execution_id} {began}"

        return self._seed

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

    def _time(self) -> _Time:
        if isinstance(self._turn, tuple):
            return self._turn

        at = self._turn.timestamp

        return at.seconds, at.nanos

    def _id_of(self, action_id: int) -> str:
        # From the number of the action, not from that of the id, so that a change of the code that is found out later still gets
        # its answers.
        return str(uuid5(_UUIDS, f"{self.seed()} {action_id}"))

    def _exception(self, what: str, details: FailureDetails) -> BaseException:
        return self.host.failures.to_exception(details, TaskFailedError(what, details))

    def _recorded(self) -> set[str]:
        if self._recorded_patches is None:
            self._recorded_patches = {
                event.eventSent.name
                for event in self.past_events
                if event.HasField("eventSent") and event.eventSent.instanceId == PATCHES
            }

        return self._recorded_patches
