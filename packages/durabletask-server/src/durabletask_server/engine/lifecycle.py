"""From what clients ask of an instance to mutations."""

from __future__ import annotations

from durabletask_backend.mutations import AppendMessage, CreateInstance
from durabletask_backend.values import TERMINAL_STATUSES, Instance, InstanceKey, Micros, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import events
from durabletask_server.engine.ids import NewId

MAX_ID_LENGTH = 1024
"""Characters of an instance id or an execution id. Generous: default ids of children grow with their depth."""


class InvalidRequestError(ValueError):
    """A request that can never be carried out. Its text names the field and what to put there.

    Args:
        field: The request's field, as the protocol names it.
        problem: What is wrong with it and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


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

    return listed if RuntimeStatus.TERMINATED in listed else listed & TERMINAL_STATUSES


def _listed(request: pb.CreateInstanceRequest) -> frozenset[RuntimeStatus]:
    known = {status.value for status in RuntimeStatus}

    return frozenset(
        RuntimeStatus(status) for status in request.orchestrationIdReusePolicy.replaceableStatus if status in known
    )


def refuses_termination(request: pb.CreateInstanceRequest, existing: RuntimeStatus | None) -> bool:
    """Whether a start was refused because its policy replaces a running instance without allowing to terminate it."""
    return existing is not None and existing not in TERMINAL_STATUSES and existing in _listed(request)


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


def _to(hub: str, instance_id: str, event: pb.HistoryEvent) -> AppendMessage:
    key = InstanceKey(hub, check_instance_id(instance_id))

    return AppendMessage(key=key, payload=event.SerializeToString())
