"""What the operations of an entity send: replies to callers, signals, and starts of orchestrations."""

from __future__ import annotations

from uuid import UUID

from durabletask_backend.mutations import AppendMessage, Effect
from durabletask_backend.values import InstanceKey, Micros
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import events, legacy, lifecycle
from durabletask_server.engine.ids import NewId
from durabletask_server.engine.lifecycle import InvalidRequestError
from durabletask_server.engine.postmark import postmark
from durabletask_server.engine.turn import Letter

UNKNOWN_FAILURE = "EntityOperationFailed"
"""The error type of an operation whose worker did not say how it failed."""


def reply(hub: str, letter: Letter, result: pb.OperationResult, at: Micros) -> AppendMessage | None:
    """What the caller of an operation hears.

    Args:
        hub: Where they are.
        letter: The operation.
        result: How it ended.
        at: Now.

    Returns:
        None: nobody waits.
    """
    if letter.kind != "entityOperationCalled":
        return None

    called = letter.event.entityOperationCalled
    speaks = legacy if postmark(letter.event).legacy else events

    if result.HasField("failure"):
        failure = (
            events.bounded(result.failure.failureDetails)
            if result.failure.HasField("failureDetails")
            else events.failure(UNKNOWN_FAILURE, f"operation {called.operation!r} failed; its worker did not say why")
        )
        answer = speaks.operation_failed(at, called.requestId, failure)
    else:
        answer = speaks.operation_completed(at, called.requestId, events.optional(result.success, "result"))

    return AppendMessage(
        key=InstanceKey(hub, called.parentInstanceId.value),
        payload=answer.SerializeToString(),
        execution_id=called.parentExecutionId.value or None,
    )


def perform(key: InstanceKey, action: pb.OperationAction, at: Micros, new_id: NewId) -> Effect:
    """What an operation asked for.

    Args:
        key: The entity.
        action: What it is to be.
        at: Now.
        new_id: Makes ids of requests and executions.

    Raises:
        InvalidRequestError: It can never be carried out.
    """
    match action.WhichOneof("operationActionType"):
        case "sendSignal":
            signal = action.sendSignal

            return lifecycle.signal_entity(
                key.hub,
                pb.SignalEntityRequest(
                    instanceId=signal.instanceId,
                    name=signal.name,
                    input=signal.input if signal.HasField("input") else None,
                    requestId=str(UUID(hex=new_id())),
                    scheduledTime=signal.scheduledTime if signal.HasField("scheduledTime") else None,
                    parentTraceContext=signal.parentTraceContext if signal.HasField("parentTraceContext") else None,
                ),
                at,
            )

        case "startNewOrchestration":
            start = action.startNewOrchestration
            request = pb.CreateInstanceRequest(
                instanceId=start.instanceId,
                name=start.name,
                version=start.version if start.HasField("version") else None,
                input=start.input if start.HasField("input") else None,
                scheduledStartTimestamp=start.scheduledTime if start.HasField("scheduledTime") else None,
                parentTraceContext=start.parentTraceContext if start.HasField("parentTraceContext") else None,
            )

            return lifecycle.create(key.hub, request, at, new_id)

        case _:
            raise InvalidRequestError("operationActionType", "is none that this server knows")
