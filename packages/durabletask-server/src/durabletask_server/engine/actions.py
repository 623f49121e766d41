"""What the actions of a worker's answer do. Each confirms itself in history under its own id."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from durabletask_backend.mutations import AppendMessage, CreateInstance, Effect
from durabletask_backend.values import (
    TERMINAL_STATUSES,
    EntityLock,
    Instance,
    InstanceKey,
    Micros,
    RuntimeStatus,
    Task,
    TaskKey,
)
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing.contexts import TraceContext, operation_context, travel_with

from durabletask_server.engine import events, legacy, locks
from durabletask_server.engine.ids import NewId
from durabletask_server.engine.lifecycle import InvalidRequestError, check_instance_id, entity_key
from durabletask_server.engine.locks import Section, Sections
from durabletask_server.engine.postmark import Postmark, stamp

INSTANCE_EXISTS = "OrchestrationInstanceAlreadyExists"
"""The error type that a parent sees of a child whose id was taken."""
INVALID_ID = "InvalidInstanceId"
"""The error type that a parent sees of a child whose id no orchestration can have."""


def child_id(execution_id: str, action_id: int) -> str:
    """The id of a sub-orchestration whose parent chose none."""
    return f"{execution_id}:{action_id:04x}"


class Draft:
    """What a turn of an instance has come to so far.

    Args:
        instance: The record as the turn took it.
        at: The time of all that the turn does.
        new_id: Makes execution ids.
        sections: The critical sections that it is in, or waits for.
    """

    def __init__(self, instance: Instance, at: Micros, new_id: NewId, sections: Mapping[str, Section]) -> None:
        self.instance = instance
        self.at = at
        self.new_id = new_id
        self.sections = Sections(sections)
        self.confirmed: list[pb.HistoryEvent] = []
        """The events that confirm actions, in order."""
        self.tasks: list[Task] = []
        self.effects: list[Effect] = []
        self.notes: list[str] = []
        """What was asked for in vain."""
        self.trace: Callable[[], TraceContext | None] = _untraced
        """Where the span of the orchestration is."""

    def confirm(self, action_id: int) -> pb.HistoryEvent:
        """Add the event, still empty, that confirms an action."""
        event = pb.HistoryEvent(eventId=action_id, timestamp=events.timestamp(self.at))
        self.confirmed.append(event)

        return event

    def key(self, instance_id: str) -> InstanceKey:
        """Another instance of the same hub."""
        return InstanceKey(self.instance.key.hub, instance_id)

    def lock(self, section_id: str) -> EntityLock:
        """A critical section of this generation."""
        instance = self.instance

        return EntityLock(
            instance_id=instance.key.instance_id, execution_id=instance.execution_id, section_id=section_id
        )

    def clear(self, sections: Mapping[str, Section]) -> None:
        """Nothing of it counts; the critical sections are as they were."""
        self.sections = Sections(sections)
        self.confirmed.clear()
        self.tasks.clear()
        self.effects.clear()


def _untraced() -> None:
    """Nobody has told."""


def _schedule_task(draft: Draft, action: pb.OrchestratorAction) -> None:
    task = action.scheduleTask
    version = events.optional(task, "version")
    scheduled = draft.confirm(action.id).taskScheduled
    scheduled.name = task.name

    request = pb.ActivityRequest(
        name=task.name,
        taskId=action.id,
        orchestrationInstance=pb.OrchestrationInstance(
            instanceId=draft.instance.key.instance_id,
            executionId=events.text(draft.instance.execution_id),
        ),
    )

    for copy in (scheduled, request):
        if task.HasField("version"):
            copy.version.CopyFrom(task.version)

        if task.HasField("input"):
            copy.input.CopyFrom(task.input)

        if task.HasField("parentTraceContext"):
            copy.parentTraceContext.CopyFrom(task.parentTraceContext)

        if task.tags:
            copy.tags.update(task.tags)

    key = TaskKey(*draft.instance.key, draft.instance.execution_id, action.id)
    draft.tasks.append(
        Task(
            key=key,
            name=task.name,
            version=version,
            caller_version=draft.instance.version,
            payload=request.SerializeToString(),
        )
    )


def _create_timer(draft: Draft, action: pb.OrchestratorAction) -> None:
    fire_at = events.micros(action.createTimer.fireAt)
    draft.confirm(action.id).timerCreated.fireAt.CopyFrom(events.timestamp(fire_at))
    draft.effects.append(
        AppendMessage(
            key=draft.instance.key,
            payload=events.timer_fired(action.id, fire_at).SerializeToString(),
            execution_id=draft.instance.execution_id,
            due_at=fire_at,
        )
    )


def _create_child(draft: Draft, action: pb.OrchestratorAction) -> None:
    child = action.createSubOrchestration
    parent = draft.instance
    instance_id = child.instanceId or child_id(parent.execution_id, action.id)
    created = draft.confirm(action.id).subOrchestrationInstanceCreated
    created.name = child.name
    created.instanceId = instance_id
    execution_id = draft.new_id()
    start = pb.HistoryEvent(eventId=events.NO_ID, timestamp=events.timestamp(draft.at))
    started = start.executionStarted
    started.name = child.name
    started.orchestrationInstance.instanceId = instance_id
    started.orchestrationInstance.executionId.value = execution_id
    link = started.parentInstance
    link.taskScheduledId = action.id
    link.name.value = parent.name
    link.orchestrationInstance.instanceId = parent.key.instance_id
    link.orchestrationInstance.executionId.value = parent.execution_id

    if parent.version is not None:
        link.version.value = parent.version

    for copy in (created, started):
        if child.HasField("version"):
            copy.version.CopyFrom(child.version)

        if child.HasField("input"):
            copy.input.CopyFrom(child.input)

        if child.HasField("parentTraceContext"):
            copy.parentTraceContext.CopyFrom(child.parentTraceContext)

        if child.tags:
            copy.tags.update(child.tags)

    try:
        check_instance_id(instance_id)
    except InvalidRequestError as error:
        draft.effects.append(_no_child(draft, action.id, INVALID_ID, str(error)))
        return

    draft.effects.append(
        CreateInstance(
            instance=Instance(
                key=draft.key(instance_id),
                execution_id=execution_id,
                name=child.name,
                version=events.optional(child, "version"),
                status=RuntimeStatus.PENDING,
                created_at=draft.at,
                updated_at=draft.at,
                input=events.optional(child, "input"),
                tags=dict(child.tags),
                parent_id=parent.key.instance_id,
            ),
            start=start.SerializeToString(),
            replace=TERMINAL_STATUSES,
            on_conflict=_no_child(
                draft, action.id, INSTANCE_EXISTS, f"a live instance has the id {instance_id!r} already"
            ),
        )
    )


def _no_child(draft: Draft, action_id: int, error_type: str, problem: str) -> AppendMessage:
    """Tells the instance itself that its sub-orchestration was not started."""
    refused = events.failure(error_type, f"cannot start the sub-orchestration: {problem}")

    return AppendMessage(
        key=draft.instance.key,
        payload=events.child_failed(draft.at, action_id, refused).SerializeToString(),
        execution_id=draft.instance.execution_id,
    )


def _send_event(draft: Draft, action: pb.OrchestratorAction) -> None:
    sent = action.sendEvent
    confirmed = draft.confirm(action.id).eventSent
    confirmed.instanceId = sent.instance.instanceId
    confirmed.name = sent.name

    if sent.HasField("data"):
        confirmed.input.CopyFrom(sent.data)

    if draft.key(sent.instance.instanceId).is_entity:
        _send_legacy(draft, sent)
        draft.sections.add(draft.confirmed[-1])
        return

    raised = events.event_raised(draft.at, sent.name, events.optional(sent, "data"))
    draft.effects.append(AppendMessage(key=draft.key(sent.instance.instanceId), payload=raised.SerializeToString()))


def _send_legacy(draft: Draft, sent: pb.SendEventAction) -> None:
    target = sent.instance.instanceId
    message = legacy.translate(target, sent.name, events.optional(sent, "data"))

    if message is None:
        draft.notes.append(f"event {sent.name!r} to entity {target!r} means nothing to it, and goes nowhere")
        return

    try:
        _post(draft, message, is_legacy=True)
    except InvalidRequestError as error:
        draft.notes.append(f"event {sent.name!r} to {target!r} goes nowhere: {error}")


def _terminate_other(draft: Draft, action: pb.OrchestratorAction) -> None:
    other = action.terminateOrchestration
    key = draft.key(other.instanceId)

    if key.is_entity:
        draft.notes.append(f"{other.instanceId!r} is an entity, and cannot be terminated")
        return

    told = events.execution_terminated(draft.at, events.optional(other, "reason"), other.recurse)
    draft.effects.append(AppendMessage(key=key, payload=told.SerializeToString()))


def _send_entity_message(draft: Draft, action: pb.OrchestratorAction) -> None:
    message = action.sendEntityMessage
    _post(draft, message)
    confirmed = draft.confirm(action.id)
    # The event that confirms it has the name of the message.
    kind = message.WhichOneof("EntityMessageType") or ""
    getattr(confirmed, kind).CopyFrom(getattr(message, kind))
    draft.sections.add(confirmed)


def _post(draft: Draft, message: pb.SendEntityMessageAction, *, is_legacy: bool = False) -> None:
    """Send a message to an entity.

    Raises:
        InvalidRequestError: An entity cannot have such an id.
    """
    hub = draft.instance.key.hub

    match message.WhichOneof("EntityMessageType"):
        case "entityOperationSignaled":
            _post_operation(draft, message.entityOperationSignaled, is_legacy=is_legacy)

        case "entityOperationCalled":
            _post_operation(draft, message.entityOperationCalled, is_legacy=is_legacy)

        case "entityLockRequested":
            requested = message.entityLockRequested

            for entity in requested.lockSet:
                entity_key(hub, entity, "lockSet")

            lock = draft.lock(requested.criticalSectionId)
            lock_set = locks.in_order(requested.lockSet)
            draft.effects.append(locks.request(hub, lock, lock_set, draft.at, is_legacy=is_legacy))

        case "entityUnlockSent":
            sent = message.entityUnlockSent
            key = entity_key(hub, sent.targetInstanceId.value, "targetInstanceId")
            section = draft.sections.open.get(sent.criticalSectionId)
            onward = () if section is None else section.beyond(key.instance_id)
            draft.effects.append(locks.unlock(key, draft.lock(sent.criticalSectionId), draft.at, onward))


def _post_operation(
    draft: Draft,
    asked: pb.EntityOperationSignaledEvent | pb.EntityOperationCalledEvent,
    *,
    is_legacy: bool,
) -> None:
    key = entity_key(draft.instance.key.hub, asked.targetInstanceId.value, "targetInstanceId")
    event = pb.HistoryEvent(eventId=events.NO_ID, timestamp=events.timestamp(draft.at))

    if isinstance(asked, pb.EntityOperationSignaledEvent):
        event.entityOperationSignaled.CopyFrom(asked)
        event.entityOperationSignaled.targetInstanceId.value = key.instance_id
    else:
        called = event.entityOperationCalled
        called.CopyFrom(asked)
        called.targetInstanceId.value = key.instance_id
        called.parentInstanceId.value = draft.instance.key.instance_id
        called.parentExecutionId.value = draft.instance.execution_id

    if operation_context(asked) is None and (context := draft.trace()) is not None:
        travel_with(
            event.entityOperationSignaled
            if isinstance(asked, pb.EntityOperationSignaledEvent)
            else event.entityOperationCalled,
            context,
        )

    draft.effects.append(
        AppendMessage(
            key=key,
            payload=stamp(event, Postmark(legacy=is_legacy)),
            due_at=events.due(asked, "scheduledTime", draft.at),
            at=draft.at,
        )
    )


_PERFORM: dict[str, Callable[[Draft, pb.OrchestratorAction], None]] = {
    "scheduleTask": _schedule_task,
    "createTimer": _create_timer,
    "createSubOrchestration": _create_child,
    "sendEvent": _send_event,
    "sendEntityMessage": _send_entity_message,
    "terminateOrchestration": _terminate_other,
}


def performer(action: pb.OrchestratorAction) -> Callable[[Draft, pb.OrchestratorAction], None] | None:
    """What carries out an action, unless it is a completion, which ends the turn. It raises InvalidRequestError if nothing could.

    Returns:
        None: it is of a kind unknown here.
    """
    kind = action.WhichOneof("orchestratorActionType") or ""

    if kind == "sendEntityMessage" and action.sendEntityMessage.WhichOneof("EntityMessageType") is None:
        return None

    return _PERFORM.get(kind)
