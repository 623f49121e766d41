"""What the engine knows of an instance: its record, and what its history left open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from durabletask_backend.values import Instance, InstanceKey
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine.locks import Section, Sections


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The orchestration that waits for this one."""

    key: InstanceKey
    execution_id: str
    task_id: int
    """The id of the action by which the parent started it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """An instance between two turns, folded from the history of its current generation."""

    instance: Instance
    """The record as committed."""
    start: pb.ExecutionStartedEvent | None = None
    """How the generation was started; None until its first turn."""
    suspended: bool = False
    tasks: frozenset[int] = frozenset()
    """The activities that are not answered, by the id of their action; likewise `timers` and `children`."""
    timers: frozenset[int] = frozenset()
    children: Mapping[int, str] = field(default_factory=dict)
    """The sub-orchestrations that are not answered, with their instance ids."""
    calls: frozenset[str] = frozenset()
    """The calls of entities that are not answered, by the id of their request."""
    sections: Mapping[str, Section] = field(default_factory=dict)
    """The critical sections that were asked for and not left."""
    length: int = 0
    """How many events the history has."""

    @property
    def key(self) -> InstanceKey:
        """The instance."""
        return self.instance.key

    @property
    def holds_locks(self) -> bool:
        """Whether it is in a critical section."""
        return any(section.granted for section in self.sections.values())

    @property
    def parent(self) -> Parent | None:
        """Who waits for the instance to end."""
        if self.start is None or not self.start.HasField("parentInstance"):
            return None

        link = self.start.parentInstance
        instance = link.orchestrationInstance

        return Parent(
            key=InstanceKey(self.key.hub, instance.instanceId),
            execution_id=instance.executionId.value,
            task_id=link.taskScheduledId,
        )


class Fold:
    """Follows events onto a state, one by one."""

    def __init__(self, state: State) -> None:
        self._instance = state.instance
        self._start = state.start
        self._suspended = state.suspended
        self._tasks = set(state.tasks)
        self._timers = set(state.timers)
        self._children = dict(state.children)
        self._calls = set(state.calls)
        self._sections = Sections(state.sections)
        self._length = state.length

    def admits(self, event: pb.HistoryEvent) -> bool:
        """Whether the event may come next: an answer only to what is open, a start only once, a pause only of what runs."""
        match event.WhichOneof("eventType"):
            case "taskCompleted":
                return event.taskCompleted.taskScheduledId in self._tasks
            case "taskFailed":
                return event.taskFailed.taskScheduledId in self._tasks
            case "timerFired":
                return event.timerFired.timerId in self._timers
            case "subOrchestrationInstanceCompleted":
                return event.subOrchestrationInstanceCompleted.taskScheduledId in self._children
            case "subOrchestrationInstanceFailed":
                return event.subOrchestrationInstanceFailed.taskScheduledId in self._children
            case "entityOperationCompleted":
                return event.entityOperationCompleted.requestId in self._calls
            case "entityOperationFailed":
                return event.entityOperationFailed.requestId in self._calls
            case "entityLockGranted":
                return self._sections.waits_for(event.entityLockGranted.criticalSectionId)
            case "executionStarted":
                return self._start is None
            case "executionSuspended":
                return not self._suspended
            case _:
                return True

    def add(self, event: pb.HistoryEvent) -> None:
        """Follow one event."""
        self._length += 1

        match event.WhichOneof("eventType"):
            case "taskCompleted":
                self._tasks.discard(event.taskCompleted.taskScheduledId)
            case "taskFailed":
                self._tasks.discard(event.taskFailed.taskScheduledId)
            case "taskScheduled":
                self._tasks.add(event.eventId)
            case "timerCreated":
                self._timers.add(event.eventId)
            case "timerFired":
                self._timers.discard(event.timerFired.timerId)
            case "subOrchestrationInstanceCreated":
                self._children[event.eventId] = event.subOrchestrationInstanceCreated.instanceId
            case "subOrchestrationInstanceCompleted":
                self._children.pop(event.subOrchestrationInstanceCompleted.taskScheduledId, None)
            case "subOrchestrationInstanceFailed":
                self._children.pop(event.subOrchestrationInstanceFailed.taskScheduledId, None)
            case "executionStarted":
                self._start = _without_payload(event.executionStarted)
            case "executionSuspended":
                self._suspended = True
            case "executionResumed":
                self._suspended = False
            case kind:
                self._add_of_entities(kind, event)

    def _add_of_entities(self, kind: str | None, event: pb.HistoryEvent) -> None:
        match kind:
            case "entityOperationCalled":
                self._calls.add(event.entityOperationCalled.requestId)
            case "entityOperationCompleted":
                self._calls.discard(event.entityOperationCompleted.requestId)
            case "entityOperationFailed":
                self._calls.discard(event.entityOperationFailed.requestId)
            case (
                "entityLockRequested"
                | "entityLockGranted"
                | "entityUnlockSent"
                | "eventSent"
                | "eventRaised"
                | "executionRewound"
            ):
                self._sections.add(event)
            case _:
                pass

    @property
    def suspended(self) -> bool:
        """Whether the instance is suspended after what was followed so far."""
        return self._suspended

    @property
    def start(self) -> pb.ExecutionStartedEvent | None:
        """How the generation was started, as far as was followed."""
        return self._start

    @property
    def children(self) -> Mapping[int, str]:
        """The sub-orchestrations that are not answered after what was followed so far."""
        return self._children

    def state(self, instance: Instance) -> State:
        """The state after all that was followed, with the record as it stands then."""
        return State(
            instance=instance,
            start=self._start,
            suspended=self._suspended,
            tasks=frozenset(self._tasks) if self._tasks else _NONE,
            timers=frozenset(self._timers) if self._timers else _NONE,
            children=self._children or _NO_CHILDREN,
            calls=frozenset(self._calls) if self._calls else _NO_CALLS,
            sections=self._sections.open or _NO_SECTIONS,
            length=self._length,
        )


# For all instances together: an empty set made of an empty set takes as much as one with members.
_NONE: frozenset[int] = frozenset()
_NO_CALLS: frozenset[str] = frozenset()
_NO_CHILDREN: Mapping[int, str] = MappingProxyType({})
_NO_SECTIONS: Mapping[str, Section] = MappingProxyType({})


def _without_payload(started: pb.ExecutionStartedEvent) -> pb.ExecutionStartedEvent:
    """How a generation was started. Its input is in the instance's record, and can be large.

    It is decoded anew: a part of a message keeps all of it in memory, a field that is cleared included.
    """
    kept = pb.ExecutionStartedEvent()
    kept.CopyFrom(started)
    kept.ClearField("input")

    return pb.ExecutionStartedEvent.FromString(kept.SerializeToString())


def fold(instance: Instance, history: bytes) -> State:
    """Rebuild the state of an instance from its record and framed history."""
    folded = Fold(State(instance=instance))

    # A frame is a past event of a request: one parse reads them all.
    for event in pb.OrchestratorRequest.FromString(history).pastEvents:
        folded.add(event)

    return folded.state(instance)
