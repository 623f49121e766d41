"""What the actions of a worker's answer do. Each confirms itself in history under its own id."""

from __future__ import annotations

from collections.abc import Callable

from durabletask_backend.mutations import AppendMessage, CreateInstance, Effect
from durabletask_backend.values import TERMINAL_STATUSES, Instance, InstanceKey, Micros, RuntimeStatus, Task, TaskKey
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import events
from durabletask_server.engine.ids import NewId
from durabletask_server.engine.lifecycle import InvalidRequestError, check_instance_id

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
    """

    def __init__(self, instance: Instance, at: Micros, new_id: NewId) -> None:
        self.instance = instance
        self.at = at
        self.new_id = new_id
        self.confirmed: list[pb.HistoryEvent] = []
        """The events that confirm actions, in order."""
        self.tasks: list[Task] = []
        self.effects: list[Effect] = []

    def confirm(self, action_id: int) -> pb.HistoryEvent:
        """Add the event, still empty, that confirms an action."""
        event = pb.HistoryEvent(eventId=action_id, timestamp=events.timestamp(self.at))
        self.confirmed.append(event)

        return event

    def key(self, instance_id: str) -> InstanceKey:
        """Another instance of the same hub."""
        return InstanceKey(self.instance.key.hub, instance_id)

    def clear(self) -> None:
        """Nothing of it counts."""
        self.confirmed.clear()
        self.tasks.clear()
        self.effects.clear()


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
    draft.tasks.append(Task(key=key, name=task.name, version=version, payload=request.SerializeToString()))


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

    raised = events.event_raised(draft.at, sent.name, events.optional(sent, "data"))
    draft.effects.append(AppendMessage(key=draft.key(sent.instance.instanceId), payload=raised.SerializeToString()))


def _terminate_other(draft: Draft, action: pb.OrchestratorAction) -> None:
    other = action.terminateOrchestration
    told = events.execution_terminated(draft.at, events.optional(other, "reason"), other.recurse)
    draft.effects.append(AppendMessage(key=draft.key(other.instanceId), payload=told.SerializeToString()))


PERFORM: dict[str, Callable[[Draft, pb.OrchestratorAction], None]] = {
    "scheduleTask": _schedule_task,
    "createTimer": _create_timer,
    "createSubOrchestration": _create_child,
    "sendEvent": _send_event,
    "terminateOrchestration": _terminate_other,
}
"""By the action's type, as the protocol's oneof names it. A completion is not among them: it ends the turn."""
