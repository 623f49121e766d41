"""What an orchestration does, as far as the server has a part in it: one value for each kind of the protocol's `OrchestratorAction`.

They stay plain until they are sent: a replay makes them again each turn, and most are confirmed by the history and dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias

from durabletask_protos import orchestrator_service_pb2 as pb

__all__ = ["Action", "CreateChild", "CreateTimer", "ScheduleActivity", "SendEvent"]


class ScheduleActivity(NamedTuple):
    """Run an activity."""

    id: int
    name: str
    input: str | None
    tags: Mapping[str, str] | None

    def __str__(self) -> str:
        return f"activity {self.name!r}"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        return event.HasField("taskScheduled") and event.taskScheduled.name == self.name

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id
        task = message.scheduleTask
        task.name = self.name

        if self.input is not None:
            task.input.value = self.input

        if self.tags:
            task.tags.update(self.tags)


class CreateChild(NamedTuple):
    """Run a sub-orchestration."""

    id: int
    name: str
    input: str | None
    instance_id: str | None
    """None for an id that follows from the parent's."""
    parent: str
    """What such an id begins with."""
    version: str | None

    def __str__(self) -> str:
        return f"sub-orchestration {self.name!r}"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        created = event.subOrchestrationInstanceCreated

        return event.HasField("subOrchestrationInstanceCreated") and created.name == self.name

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id
        child = message.createSubOrchestration
        child.instanceId = self.instance_id or f"{self.parent}:{self.id:04x}"
        child.name = self.name

        if self.input is not None:
            child.input.value = self.input

        if self.version is not None:
            child.version.value = self.version


class CreateTimer(NamedTuple):
    """Wake up at a time."""

    id: int
    fire_at: datetime

    def __str__(self) -> str:
        return "a timer"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        return event.HasField("timerCreated")

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id
        message.createTimer.fireAt.FromDatetime(self.fire_at)


class SendEvent(NamedTuple):
    """Send an event to another orchestration."""

    id: int
    instance_id: str
    name: str
    data: str | None

    def __str__(self) -> str:
        return f"event {self.name!r} to {self.instance_id!r}"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        sent = event.eventSent

        return (
            event.HasField("eventSent")
            and sent.instanceId == self.instance_id
            and sent.name.casefold() == self.name.casefold()
        )

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id
        event = message.sendEvent
        event.instance.instanceId = self.instance_id
        event.name = self.name

        if self.data is not None:
            event.data.value = self.data


Action: TypeAlias = ScheduleActivity | CreateChild | CreateTimer | SendEvent
