"""What an orchestration does, as far as the server has a part in it: one value for each kind of the protocol's `OrchestratorAction`.

They stay plain until they are sent: a replay makes them again each turn, and most are confirmed by the history and dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias

from durabletask_protos import orchestrator_service_pb2 as pb

__all__ = [
    "Action",
    "CallEntity",
    "CreateChild",
    "CreateTimer",
    "ReleaseEntity",
    "RequestLocks",
    "ScheduleActivity",
    "SendEvent",
    "SignalEntity",
    "Terminate",
    "sent_words",
]


def sent_words(instance_id: str, name: str) -> str:
    """Name an event that is sent, or that stands for a patch."""
    if instance_id == PATCHES:
        return f"patch {name!r}"

    return f"event {name!r} to {instance_id!r}"


PATCHES = "durabletask-patches"
"""No orchestration, but whom the events are for that record which patches an orchestration runs with: every engine keeps events
that are sent, and none minds that nobody gets them."""


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
        return event.taskScheduled.name == self.name

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
    tags: Mapping[str, str] | None = None

    def __str__(self) -> str:
        return f"sub-orchestration {self.name!r}"

    @property
    def child_id(self) -> str:
        """The child's instance id."""
        return self.instance_id or f"{self.parent}:{self.id:04x}"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        return event.subOrchestrationInstanceCreated.name == self.name

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id
        child = message.createSubOrchestration
        child.instanceId = self.child_id
        child.name = self.name

        if self.input is not None:
            child.input.value = self.input

        if self.version is not None:
            child.version.value = self.version

        if self.tags:
            child.tags.update(self.tags)


class CreateTimer(NamedTuple):
    """Wake up at a time."""

    id: int
    fire_at: datetime | None
    """None where the history has it."""

    def __str__(self) -> str:
        return "a timer"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        return event.HasField("timerCreated")

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id

        if self.fire_at is not None:
            message.createTimer.fireAt.FromDatetime(self.fire_at)


class SendEvent(NamedTuple):
    """Send an event to another orchestration."""

    id: int
    instance_id: str
    name: str
    data: str | None

    def __str__(self) -> str:
        return sent_words(self.instance_id, self.name)

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


class Terminate(NamedTuple):
    """End another orchestration. No event records it."""

    id: int
    instance_id: str
    output: str | None
    recursive: bool

    def __str__(self) -> str:
        return f"termination of {self.instance_id!r}"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        return False

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id
        terminate = message.terminateOrchestration
        terminate.instanceId = self.instance_id
        terminate.recurse = self.recursive

        if self.output is not None:
            terminate.reason.value = self.output


class CallEntity(NamedTuple):
    """Have an entity do something, and answer."""

    id: int
    entity: str
    operation: str
    input: str | None
    request_id: str
    caller: str

    def __str__(self) -> str:
        return f"call of {self.operation!r} of entity {self.entity!r}"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        called = event.entityOperationCalled

        return (
            event.HasField("entityOperationCalled")
            and called.operation.casefold() == self.operation.casefold()
            and called.targetInstanceId.value.casefold() == self.entity.casefold()
        )

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id
        called = message.sendEntityMessage.entityOperationCalled
        called.requestId = self.request_id
        called.operation = self.operation
        called.targetInstanceId.value = self.entity
        called.parentInstanceId.value = self.caller

        if self.input is not None:
            called.input.value = self.input


class SignalEntity(NamedTuple):
    """Have an entity do something, now or later, without an answer."""

    id: int
    entity: str
    operation: str
    input: str | None
    request_id: str
    scheduled_time: datetime | None

    def __str__(self) -> str:
        return f"signal {self.operation!r} to entity {self.entity!r}"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        signaled = event.entityOperationSignaled

        return (
            event.HasField("entityOperationSignaled")
            and signaled.operation.casefold() == self.operation.casefold()
            and signaled.targetInstanceId.value.casefold() == self.entity.casefold()
        )

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id
        signaled = message.sendEntityMessage.entityOperationSignaled
        signaled.requestId = self.request_id
        signaled.operation = self.operation
        signaled.targetInstanceId.value = self.entity

        if self.input is not None:
            signaled.input.value = self.input

        if self.scheduled_time is not None:
            signaled.scheduledTime.FromDatetime(self.scheduled_time)


class RequestLocks(NamedTuple):
    """Ask for the locks of entities, all or none."""

    id: int
    section_id: str
    entities: tuple[str, ...]
    caller: str

    def __str__(self) -> str:
        return f"lock of entities {', '.join(self.entities)}"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        return event.HasField("entityLockRequested") and tuple(event.entityLockRequested.lockSet) == self.entities

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id
        requested = message.sendEntityMessage.entityLockRequested
        requested.criticalSectionId = self.section_id
        requested.lockSet.extend(self.entities)
        requested.parentInstanceId.value = self.caller


class ReleaseEntity(NamedTuple):
    """Give the lock of an entity back."""

    id: int
    section_id: str
    entity: str
    caller: str

    def __str__(self) -> str:
        return f"release of entity {self.entity!r}"

    def is_confirmed_by(self, event: pb.HistoryEvent) -> bool:
        """Whether the event records this action."""
        sent = event.entityUnlockSent

        return event.HasField("entityUnlockSent") and sent.targetInstanceId.value.casefold() == self.entity.casefold()

    def write(self, message: pb.OrchestratorAction) -> None:
        """Fill the protocol's message."""
        message.id = self.id
        sent = message.sendEntityMessage.entityUnlockSent
        sent.criticalSectionId = self.section_id
        sent.targetInstanceId.value = self.entity
        sent.parentInstanceId.value = self.caller


Action: TypeAlias = (
    ScheduleActivity
    | CreateChild
    | CreateTimer
    | SendEvent
    | Terminate
    | CallEntity
    | SignalEntity
    | RequestLocks
    | ReleaseEntity
)
