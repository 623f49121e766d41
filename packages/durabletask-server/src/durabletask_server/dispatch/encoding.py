"""Work items as they are sent: spliced from bytes that are encoded already, never built and encoded anew."""

from __future__ import annotations

from collections.abc import Iterable

from durabletask_backend.values import Entity, Instance, Task
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing.contexts import operation_context

from durabletask_server.engine.framing import NEW_EVENT, frame, frames
from durabletask_server.engine.turn import Turn

# Tags of WorkItem.
_ORCHESTRATOR_REQUEST = 0x0A
_ACTIVITY_REQUEST = 0x12
_ENTITY_REQUEST = 0x2A
_COMPLETION_TOKEN = 0x52
# Tags of OrchestratorRequest; its past events are framed already.
_INSTANCE_ID = 0x0A
_EXECUTION_ID = 0x12
_TURN_CONTEXT = 0x42
_STRING_VALUE = 0x0A
# Tags of EntityRequest.
_ENTITY_STATE = 0x1A
_OPERATION = 0x22
# `entityParameters` with an `entityMessageReorderWindow` of zero: one SDK needs both to be there.
_ENTITY_PARAMETERS = b"\x2a\x02\x0a\x00"
_REQUIRES_HISTORY_STREAMING = b"\x30\x01"

LEFT_OUT = "x-durabletask-past-events"
"""The property of a turn that says how many past events were left out."""

HEALTH_PING = b"\x22\x00"
"""A `WorkItem` with a `healthPing`."""


def encode_turn(
    instance: Instance, turn: Turn, past: bytes | None, token: str, *, left_out: int | None = None
) -> bytes:
    """The `WorkItem` of a turn.

    Args:
        instance: The instance as the turn took it.
        turn: The turn.
        past: The framed history; None: the worker is told to fetch it.
        token: The completion token.
        left_out: How many past events the worker is spared, as it keeps the execution; None: it is not.
    """
    request = [
        frame(_INSTANCE_ID, instance.key.instance_id.encode()),
        frame(_EXECUTION_ID, frame(_STRING_VALUE, instance.execution_id.encode())),
        _REQUIRES_HISTORY_STREAMING if past is None else past,
        frames(NEW_EVENT, turn.shown),
        _ENTITY_PARAMETERS,
    ]

    if instance.turn_context is not None:
        request.append(frame(_TURN_CONTEXT, instance.turn_context))

    if left_out is not None:
        spared = pb.OrchestratorRequest()
        spared.properties[LEFT_OUT].number_value = left_out
        request.append(spared.SerializeToString())

    return frame(_ORCHESTRATOR_REQUEST, b"".join(request)) + frame(_COMPLETION_TOKEN, token.encode())


def encode_activity(task: Task, token: str) -> bytes:
    """The `WorkItem` of an activity."""
    return frame(_ACTIVITY_REQUEST, task.payload) + frame(_COMPLETION_TOKEN, token.encode())


def encode_operations(entity: Entity, operations: Iterable[bytes], token: str) -> bytes:
    """The `WorkItem` of operations of an entity, as an `EntityRequest`.

    Args:
        entity: The entity as the operations find it.
        operations: Their events, serialized.
        token: The completion token.
    """
    request = [frame(_INSTANCE_ID, entity.key.instance_id.encode())]

    if entity.state is not None:
        request.append(frame(_ENTITY_STATE, frame(_STRING_VALUE, entity.state.encode())))

    request.append(frames(_OPERATION, operations))

    return frame(_ENTITY_REQUEST, b"".join(request)) + frame(_COMPLETION_TOKEN, token.encode())


def encode_batch(entity: Entity, operations: Iterable[pb.HistoryEvent], token: str) -> bytes:
    """The `WorkItem` of operations of an entity, as an `EntityBatchRequest`."""
    batch = pb.EntityBatchRequest(instanceId=entity.key.instance_id)

    if entity.state is not None:
        batch.entityState.value = entity.state

    for event in operations:
        asked = (
            event.entityOperationCalled if event.HasField("entityOperationCalled") else event.entityOperationSignaled
        )
        request = batch.operations.add(operation=asked.operation, requestId=asked.requestId)

        if asked.HasField("input"):
            request.input.CopyFrom(asked.input)

        if (context := operation_context(asked)) is not None:
            context.write(request.traceContext)

    return pb.WorkItem(entityRequest=batch, completionToken=token).SerializeToString()
