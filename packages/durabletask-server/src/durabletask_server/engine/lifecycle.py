"""From what clients ask of an instance to mutations."""

from __future__ import annotations

from durabletask_backend.mutations import AppendMessage, CreateInstance
from durabletask_backend.values import TERMINAL_STATUSES, EntityLock, Instance, InstanceKey, Micros, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing.contexts import TraceContext, travel_with
from google.protobuf.unknown_fields import UnknownFieldSet

from durabletask_server.engine import events, locks
from durabletask_server.engine.ids import NewId, entity_id
from durabletask_server.engine.state import Parent

MAX_ID_LENGTH = 1024
"""Characters of an instance id or an execution id. Generous: default ids of children grow with their depth."""
MAX_ENTITY_ID_LENGTH = 100
"""Characters of an entity's id, as elsewhere: some SDKs count on the refusal."""
REPLACED = "OrchestrationReplaced"
"""The error type that a parent sees of a child in whose place another instance was started."""

# Older clients say in field 2 of a reuse policy what is to become of an instance in one of the statuses.
_REUSE_ACTION = 2
_IGNORE = 1
_TERMINATE = 2


class InvalidRequestError(ValueError):
    """A request that can never be carried out. Its text names the field and what to put there.

    Args:
        field: The request's field, as the protocol names it.
        problem: What is wrong with it and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class NotAllowedError(Exception):
    """A request that the instance's status does not allow. Its text names the instance and says what would."""


def check_instance_id(instance_id: str, field: str = "instanceId") -> str:
    """The id, if an orchestration can have it.

    Raises:
        InvalidRequestError: It is empty, begins with `@` (an entity's), is too long, or has control characters.
    """
    if not instance_id:
        raise InvalidRequestError(field, "must not be empty; give the id of an orchestration instance")

    if instance_id.startswith("@"):
        raise InvalidRequestError(
            field, f"{instance_id!r} is the id of an entity; orchestration ids do not begin with '@'"
        )

    return _check_id(instance_id, field)


def entity_key(hub: str, raw_id: str, field: str = "instanceId") -> InstanceKey:
    """An entity by its id as somebody writes it, `@name@key`. The name counts in lower case, the key as it is.

    Raises:
        InvalidRequestError: There is no name, or no second `@`; the id is too long, or has control characters.
    """
    if not raw_id.startswith("@") or raw_id.find("@", 1) < 2:
        raise InvalidRequestError(field, f"{raw_id!r} is not the id of an entity; give one of the form '@name@key'")

    if len(raw_id) > MAX_ENTITY_ID_LENGTH:
        raise InvalidRequestError(
            field, f"has a length of {len(raw_id)} characters; at most {MAX_ENTITY_ID_LENGTH} are allowed"
        )

    return InstanceKey(hub, _check_id(entity_id(raw_id), field))


def _check_id(value: str, field: str) -> str:
    if len(value) > MAX_ID_LENGTH:
        raise InvalidRequestError(field, f"has {len(value)} characters; at most {MAX_ID_LENGTH} are allowed")

    # They separate the parts of a completion token.
    if any(character < " " for character in value):
        raise InvalidRequestError(field, f"{value!r} has control characters; leave them out")

    return value


def create(hub: str, request: pb.CreateInstanceRequest, now: Micros, new_id: NewId) -> CreateInstance:
    """A client's request to start an orchestration.

    Without a reuse policy an instance that has ended gives way; with one, an instance in one of its statuses does. An instance
    that still runs gives way only if the policy lists TERMINATED too; see `refuses_termination`.

    Raises:
        InvalidRequestError: The name is empty, or an id is not one for an orchestration.
    """
    if not request.name:
        raise InvalidRequestError("name", "must not be empty; give the name of the orchestrator to start")

    instance_id = check_instance_id(request.instanceId or new_id())
    execution_id = _check_id(request.executionId.value or new_id(), "executionId")
    # Some SDKs send the epoch when they mean no time at all.
    asked = events.micros(request.scheduledStartTimestamp) if request.HasField("scheduledStartTimestamp") else 0
    scheduled = asked if asked > now else None
    start = pb.HistoryEvent(eventId=events.NO_ID, timestamp=events.timestamp(now))
    started = start.executionStarted
    started.name = request.name
    started.orchestrationInstance.instanceId = instance_id
    started.orchestrationInstance.executionId.value = execution_id

    if request.HasField("version"):
        started.version.CopyFrom(request.version)

    if request.HasField("input"):
        started.input.CopyFrom(request.input)

    if request.HasField("parentTraceContext"):
        started.parentTraceContext.CopyFrom(request.parentTraceContext)

    if request.tags:
        started.tags.update(request.tags)

    if scheduled is not None:
        started.scheduledStartTimestamp.CopyFrom(events.timestamp(scheduled))

    return CreateInstance(
        instance=Instance(
            key=InstanceKey(hub, instance_id),
            execution_id=execution_id,
            name=request.name,
            version=events.optional(request, "version"),
            status=RuntimeStatus.PENDING,
            created_at=now,
            updated_at=now,
            scheduled_at=scheduled,
            input=events.optional(request, "input"),
            tags=dict(request.tags),
        ),
        start=start.SerializeToString(),
        due_at=scheduled,
        replace=_replaceable(request),
    )


def _replaceable(request: pb.CreateInstanceRequest) -> frozenset[RuntimeStatus]:
    if not request.HasField("orchestrationIdReusePolicy"):
        return TERMINAL_STATUSES

    listed = _listed(request)
    action = _reuse_action(request)

    if action == _IGNORE:
        return frozenset()

    return listed if action == _TERMINATE or RuntimeStatus.TERMINATED in listed else listed & TERMINAL_STATUSES


def _reuse_action(request: pb.CreateInstanceRequest) -> int:
    """What an older client wants done; 0: it is a newer one, or wants an error."""
    fields = UnknownFieldSet(request.orchestrationIdReusePolicy)
    actions = [
        field.data for field in map(fields.__getitem__, range(len(fields))) if field.field_number == _REUSE_ACTION
    ]

    return actions[-1] if actions and isinstance(actions[-1], int) else 0


def _listed(request: pb.CreateInstanceRequest) -> frozenset[RuntimeStatus]:
    known = {status.value for status in RuntimeStatus}

    return frozenset(
        RuntimeStatus(status) for status in request.orchestrationIdReusePolicy.replaceableStatus if status in known
    )


def refuses_termination(request: pb.CreateInstanceRequest, existing: RuntimeStatus | None) -> bool:
    """Whether a start was refused because its policy replaces a running instance without allowing to terminate it."""
    return existing is not None and existing not in TERMINAL_STATUSES and existing in _listed(request)


def ignores(request: pb.CreateInstanceRequest, existing: RuntimeStatus | None) -> bool:
    """Whether a start is content with the instance that stands in its way."""
    return existing in _listed(request) and _reuse_action(request) == _IGNORE


def replaced(parent: Parent, child: InstanceKey, now: Micros) -> AppendMessage:
    """Tells the parent of an instance that another was started in its place."""
    failure = events.failure(
        REPLACED, f"sub-orchestration {child.instance_id!r} was replaced: another instance was started under its id"
    )

    return AppendMessage(
        key=parent.key,
        payload=events.child_failed(now, parent.task_id, failure).SerializeToString(),
        execution_id=parent.execution_id,
    )


def restart(instance: Instance, now: Micros, new_id: NewId, *, new: bool) -> CreateInstance:
    """Start an instance over, with the name, input, version and tags that it had. It has no parent then.

    Args:
        instance: The instance. Under the same id it gives way only if it has ended.
        now: The clock's time.
        new_id: Makes ids.
        new: Whether under a new id.
    """
    request = pb.CreateInstanceRequest(
        instanceId=new_id() if new else instance.key.instance_id,
        name=instance.name,
        version=events.text(instance.version),
        input=events.text(instance.input),
        tags=instance.tags,
    )

    return create(instance.key.hub, request, now, new_id)


def raise_event(hub: str, request: pb.RaiseEventRequest, now: Micros) -> AppendMessage:
    """A client's external event.

    Raises:
        InvalidRequestError: The id or the event's name is empty or not valid.
    """
    if not request.name:
        raise InvalidRequestError("name", "must not be empty; give the name of the event")

    event = events.event_raised(now, request.name, events.optional(request, "input"))

    return _to(hub, request.instanceId, event)


def request_termination(hub: str, request: pb.TerminateRequest, now: Micros) -> AppendMessage:
    """A client's wish to end an instance."""
    event = events.execution_terminated(now, events.optional(request, "output"), request.recursive)

    return _to(hub, request.instanceId, event)


def request_suspension(hub: str, request: pb.SuspendRequest, now: Micros) -> AppendMessage:
    """A client's wish to pause an instance."""
    return _to(hub, request.instanceId, events.execution_suspended(now, request.reason.value or None))


def request_resumption(hub: str, request: pb.ResumeRequest, now: Micros) -> AppendMessage:
    """A client's wish to let a paused instance go on."""
    return _to(hub, request.instanceId, events.execution_resumed(now, request.reason.value or None))


def signal_entity(hub: str, request: pb.SignalEntityRequest, now: Micros) -> AppendMessage:
    """A client's wish that an entity does something. The entity comes to be by it.

    Raises:
        InvalidRequestError: The id is not that of an entity, or the operation's name is empty.
    """
    key = entity_key(hub, request.instanceId)

    if not request.name:
        raise InvalidRequestError("name", "must not be empty; give the name of the operation")

    due = events.due(request, "scheduledTime", now)
    event = events.operation_signaled(
        now, key.instance_id, request.name, events.optional(request, "input"), request.requestId, due
    )

    if (context := TraceContext.of(request.parentTraceContext)) is not None:
        travel_with(event.entityOperationSignaled, context)

    return AppendMessage(key=key, payload=event.SerializeToString(), due_at=due, at=now)


def release_lock(key: InstanceKey, lock: EntityLock, now: Micros) -> AppendMessage:
    """Free an entity from a section whose orchestration has ended without doing so."""
    return locks.unlock(key, lock, now)


def _to(hub: str, instance_id: str, event: pb.HistoryEvent) -> AppendMessage:
    key = InstanceKey(hub, check_instance_id(instance_id))

    return AppendMessage(key=key, payload=event.SerializeToString())
