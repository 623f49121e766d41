"""What is known of an orchestration while its code runs. The replay core keeps it, the context shows it to the code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from durabletask_client.serialization import DataConverter
from google.protobuf.timestamp_pb2 import Timestamp

from durabletask_worker.execution.mailbox import Mailbox
from durabletask_worker.execution.schedule import Schedule

__all__ = ["Continuation", "State"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """The wish to begin anew."""

    input: str | None
    """The payload for the next generation."""
    save_events: bool
    """Whether unread external events go with it."""


class State:
    """An orchestration as its code finds it.

    Args:
        instance_id: The orchestration.
        execution_id: Its generation; None if the server names none.
        converter: Turns values into payloads and back.
    """

    def __init__(self, instance_id: str, execution_id: str | None, converter: DataConverter) -> None:
        self.instance_id = instance_id
        self.execution_id = execution_id
        self.converter = converter
        self.name = ""
        self.version: str | None = None
        self.parent_instance_id: str | None = None
        self.is_replaying = True
        self.is_suspended = False
        self.is_closed = False
        self.custom_status: str | None = None
        self.continuation: Continuation | None = None
        self.mailbox = Mailbox()
        self.schedule = Schedule(self.now)
        self.uuids = 0
        self._timestamp = Timestamp()
        self._now: datetime | None = None

    def __str__(self) -> str:
        return f"orchestration {self.instance_id!r} ({self.name})"

    def set_time(self, timestamp: Timestamp) -> None:
        """Take over the time of a turn."""
        self._timestamp = timestamp
        self._now = None

    def now(self) -> datetime:
        """The orchestration's time: that of the turn which is done, or done again. Aware, in UTC."""
        if self._now is None:
            self._now = self._timestamp.ToDatetime(tzinfo=UTC)

        return self._now
