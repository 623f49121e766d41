"""Rewinding: an instance that has failed goes on from before it did, and so do the children that failed it.

An orchestrator's code is replayed over what is left of its history. So a failure can only be left out if nothing was decided
after the code had seen it, or else the code decides what the history does not have. A retried attempt's failure stays, for
example: the timer to the next attempt came of it; only the last attempt is made again.

The generation stays the same, so that children that still run, and answers on their way, find their parent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from durabletask_backend.mutations import AppendMessage, CompleteTurn, Effect, RewindInstances
from durabletask_backend.values import TERMINAL_STATUSES, Instance, InstanceKey, Micros, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError

from durabletask_server.engine import events
from durabletask_server.engine.actions import Draft, performer
from durabletask_server.engine.framing import PAST_EVENT, frames, split
from durabletask_server.engine.ids import NewId
from durabletask_server.engine.lifecycle import NotAllowedError
from durabletask_server.engine.locks import Section, Sections, regain
from durabletask_server.engine.orchestration import CANCELED, TERMINATED
from durabletask_server.engine.state import Parent, fold

_FAILURES = frozenset({"taskFailed", "subOrchestrationInstanceFailed", "entityOperationFailed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An instance of the tree, as it was read."""

    instance: Instance
    history: bytes
    """The framed events of its generation; of one that has not failed, the first of them are enough."""


def awaited(found: Found) -> list[InstanceKey]:
    """The children that a failed instance waits for once it is rewound: what becomes of them depends on how they stand.

    Raises:
        NotAllowedError: Its history cannot be read, or has no start.
    """
    return [found.instance.key._replace(instance_id=child) for child in _Rewriting(found).children.values()]


def rewind(
    root: InstanceKey, tree: Mapping[InstanceKey, Found], reason: str | None, now: Micros, new_id: NewId
) -> RewindInstances:
    """Rewind an instance, and with it those of its descendants whose failure it waits for.

    Args:
        root: The instance.
        tree: It, and of every failed instance those that `awaited` names, as far as they exist.
        reason: Why, as the histories will say.
        now: The clock's time.
        new_id: Makes execution ids, for children that were purged.

    Raises:
        NotAllowedError: The instance has not failed, or its history cannot be read, or has no start.
    """
    instance = tree[root].instance

    if instance.status is not RuntimeStatus.FAILED:
        raise NotAllowedError(
            f"rewinding is not allowed: instance {root.instance_id!r} is {instance.status.name.lower()}; "
            "only an instance that has failed can be rewound"
        )

    turns: dict[InstanceKey, CompleteTurn] = {}
    waiting = [root]

    while waiting:
        key = waiting.pop()
        turn, failed = _Rewinding(_Rewriting(tree[key]), tree, now, new_id).turn(reason)
        turns[key] = turn
        waiting.extend(child for child in failed if child not in turns)

    return RewindInstances(turns=tuple(turns.values()))


class _Rewriting:
    """What is left of the history of a failed instance, and which children it waits for then.

    Args:
        found: The instance.

    Raises:
        NotAllowedError: The history cannot be read, or has no start.
    """

    def __init__(self, found: Found) -> None:
        self.found = found
        self._encoded = split(found.history)

        try:
            self._events = [pb.HistoryEvent.FromString(event) for event in self._encoded]
        except DecodeError as error:
            raise _unreadable(found.instance, f"cannot be read ({error})") from None

        if not any(event.HasField("executionStarted") for event in self._events):
            raise _unreadable(found.instance, "has no start")

        self._kinds = [event.WhichOneof("eventType") or "" for event in self._events]
        self._removed = {at for at, kind in enumerate(self._kinds) if kind == "executionCompleted"}
        self.created: dict[int, pb.SubOrchestrationInstanceCreatedEvent] = {}
        """How the children that it waits for were created, by the ids of the actions."""
        self._leave_out(self._regretted())

    @property
    def children(self) -> Mapping[int, str]:
        """The ids of the children, by those of the actions."""
        return {task_id: created.instanceId for task_id, created in self.created.items()}

    @property
    def sections(self) -> Mapping[str, Section]:
        """The critical sections that it is in, by what is left."""
        sections = Sections({})

        for at, event in enumerate(self._events):
            if at not in self._removed:
                sections.add(event)

        return sections.open

    @property
    def kept(self) -> list[bytes]:
        """The events that are left, in order."""
        return [event for at, event in enumerate(self._encoded) if at not in self._removed]

    def _regretted(self) -> set[int]:
        """The places of the failures that the instance may have failed by, and of what its last turn did because of them."""
        turn = 0
        turns: list[int] = []

        for kind in self._kinds:
            turn += kind == "orchestratorStarted"
            turns.append(turn)

        decided = {at for at, event in enumerate(self._events) if event.eventId != events.NO_ID} - self._removed
        deciding = {turns[at] for at in decided} - {turn}
        failures = [at for at, kind in enumerate(self._kinds) if kind in _FAILURES]
        regretted = {at for at in failures if turns[at] not in deciding}

        if any(turns[at] == turn for at in regretted):
            return regretted | {at for at in decided if turns[at] == turn}

        return regretted or self._repeated(failures)

    def _repeated(self, failures: Iterable[int]) -> set[int]:
        """The last failure whose message the instance's own failure repeats."""
        own = b"".join(
            event.executionCompleted.failureDetails.SerializeToString()
            for event in self._events
            if event.HasField("executionCompleted")
        )
        repeated = [at for at in failures if (said := _message(self._events[at])) and said.encode() in own]

        return set(repeated[-1:])

    def _leave_out(self, regretted: set[int]) -> None:
        """Remove what is regretted and what it answers, and what nobody will answer any more; replay makes it anew."""
        # The places of what is not answered, by what the answer names.
        unanswered: dict[tuple[str, int | str], int] = {}
        suspended: int | None = None

        for at, (event, kind) in enumerate(zip(self._events, self._kinds, strict=True)):
            opened, answered = _opens(event, kind), _answers(event, kind)

            if opened is not None and at not in regretted:
                unanswered[opened] = at
            elif answered is not None and at not in regretted:
                unanswered.pop(answered, None)
            elif kind == "executionSuspended":
                suspended = at
            elif kind == "executionResumed":
                suspended = None

        self._removed |= regretted

        if suspended is not None:
            # To be rewound is to go on.
            self._removed.add(suspended)

        for (what, task_id), at in unanswered.items():
            if what == "child":
                self.created[int(task_id)] = self._events[at].subOrchestrationInstanceCreated
            else:
                self._removed.add(at)


class _Rewinding:
    """From what is left of a history to the turn that puts it in place.

    Args:
        rewriting: The history.
        tree: How the children stand.
        now: The clock's time.
        new_id: Makes execution ids.
    """

    def __init__(self, rewriting: _Rewriting, tree: Mapping[InstanceKey, Found], now: Micros, new_id: NewId) -> None:
        self._rewriting = rewriting
        self._instance = rewriting.found.instance
        self._tree = tree
        self._at = max(now, self._instance.updated_at)
        self._new_id = new_id

    def turn(self, reason: str | None) -> tuple[CompleteTurn, list[InstanceKey]]:
        """The turn, and the children that are to be rewound with it."""
        instance = self._instance
        effects: list[Effect] = [self._send(self._rewound(reason), front=True)]
        effects += regain(instance.key, instance.execution_id, self._rewriting.sections, self._at)
        failed: list[InstanceKey] = []

        for task_id, created in self._rewriting.created.items():
            child = self._child(task_id, created)

            if child is None:
                effects += self._create(task_id, created)
            elif child.instance.status is RuntimeStatus.FAILED:
                failed.append(child.instance.key)
            elif child.instance.status in TERMINAL_STATUSES:
                effects.append(self._send(_answer(child.instance, task_id, self._at)))

        kept = self._rewriting.kept
        turn = CompleteTurn(
            key=instance.key,
            execution_id=instance.execution_id,
            turn=instance.turn,
            status=RuntimeStatus.RUNNING,
            updated_at=self._at,
            custom_status=instance.custom_status,
            turn_context=instance.turn_context,
            history=frames(PAST_EVENT, kept),
            history_count=len(kept),
            effects=tuple(effects),
        )

        return turn, failed

    def _rewound(self, reason: str | None) -> pb.HistoryEvent:
        instance = self._instance
        rewound = pb.ExecutionRewoundEvent(
            reason=events.text(reason),
            instanceId=events.text(instance.key.instance_id),
            name=events.text(instance.name),
        )

        return pb.HistoryEvent(eventId=events.NO_ID, timestamp=events.timestamp(self._at), executionRewound=rewound)

    def _send(self, event: pb.HistoryEvent, *, front: bool = False) -> AppendMessage:
        instance = self._instance

        return AppendMessage(
            key=instance.key, payload=event.SerializeToString(), execution_id=instance.execution_id, front=front
        )

    def _child(self, task_id: int, created: pb.SubOrchestrationInstanceCreatedEvent) -> Found | None:
        """A child as it stands. None: it is not there, or another has its id, or it has failed beyond repair."""
        instance = self._instance
        found = self._tree.get(instance.key._replace(instance_id=created.instanceId))

        if found is None or found.instance.parent_id != instance.key.instance_id:
            return None

        link = Parent(key=instance.key, execution_id=instance.execution_id, task_id=task_id)

        try:
            state = fold(found.instance, found.history)
        except DecodeError:
            return None

        if state.start is None:
            # It has not begun, if it has not failed.
            return None if found.instance.status is RuntimeStatus.FAILED else found

        return found if state.parent == link else None

    def _create(self, task_id: int, created: pb.SubOrchestrationInstanceCreatedEvent) -> list[Effect]:
        """Create a child as the action did, of which the history has all."""
        action = pb.OrchestratorAction(id=task_id)
        child = action.createSubOrchestration
        child.instanceId = created.instanceId
        child.name = created.name

        for field in ("version", "input", "parentTraceContext"):
            if created.HasField(field):
                getattr(child, field).CopyFrom(getattr(created, field))

        child.tags.update(created.tags)
        draft = Draft(self._instance, self._at, self._new_id, {})
        perform = performer(action)
        assert perform is not None
        perform(draft, action)

        return draft.effects


def _opens(event: pb.HistoryEvent, kind: str) -> tuple[str, int | str] | None:
    """What an event waits for from then on."""
    match kind:
        case "taskScheduled":
            return "task", event.eventId
        case "timerCreated":
            return "timer", event.eventId
        case "subOrchestrationInstanceCreated":
            return "child", event.eventId
        case "entityOperationCalled":
            return "call", event.entityOperationCalled.requestId
        case "entityLockRequested":
            return "section", event.entityLockRequested.criticalSectionId
        case _:
            return None


def _answers(event: pb.HistoryEvent, kind: str) -> tuple[str, int | str] | None:
    """What an event is the answer to."""
    match kind:
        case "taskCompleted":
            return "task", event.taskCompleted.taskScheduledId
        case "taskFailed":
            return "task", event.taskFailed.taskScheduledId
        case "timerFired":
            return "timer", event.timerFired.timerId
        case "subOrchestrationInstanceCompleted":
            return "child", event.subOrchestrationInstanceCompleted.taskScheduledId
        case "subOrchestrationInstanceFailed":
            return "child", event.subOrchestrationInstanceFailed.taskScheduledId
        case "entityOperationCompleted":
            return "call", event.entityOperationCompleted.requestId
        case "entityOperationFailed":
            return "call", event.entityOperationFailed.requestId
        case "entityLockGranted":
            return "section", event.entityLockGranted.criticalSectionId
        case _:
            return None


def _message(event: pb.HistoryEvent) -> str:
    """What a failure says."""
    return str(getattr(event, event.WhichOneof("eventType") or "").failureDetails.errorMessage)


def _answer(child: Instance, task_id: int, at: Micros) -> pb.HistoryEvent:
    """What a child has told its parent, who had failed then."""
    if child.status is RuntimeStatus.COMPLETED:
        return events.child_completed(at, task_id, child.output)

    if child.failure is not None:
        return events.child_failed(at, task_id, pb.TaskFailureDetails.FromString(child.failure))

    error_type = CANCELED if child.status is RuntimeStatus.CANCELED else TERMINATED
    problem = f"sub-orchestration {child.key.instance_id!r} was {child.status.name.lower()}"

    return events.child_failed(
        at, task_id, events.failure(error_type, problem + (f": {child.output}" if child.output else ""))
    )


def _unreadable(instance: Instance, problem: str) -> NotAllowedError:
    return NotAllowedError(
        f"rewinding is not allowed: the history of instance {instance.key.instance_id!r} {problem}; restart the instance"
    )
