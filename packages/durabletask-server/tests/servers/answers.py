"""What workers answer, in few words."""

from __future__ import annotations

from collections.abc import Sequence

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue


def _end(status: pb.OrchestrationStatus.ValueType, failure: pb.TaskFailureDetails | None) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(
        id=1000,
        completeOrchestration=pb.CompleteOrchestrationAction(orchestrationStatus=status, failureDetails=failure),
    )


DONE = _end(pb.ORCHESTRATION_STATUS_COMPLETED, None)
FAIL = _end(pb.ORCHESTRATION_STATUS_FAILED, pb.TaskFailureDetails(errorType="Boom", errorMessage="boom"))


def schedule(number: int, name: str = "a") -> pb.OrchestratorAction:
    return pb.OrchestratorAction(id=number, scheduleTask=pb.ScheduleTaskAction(name=name))


def child(number: int, instance_id: str) -> pb.OrchestratorAction:
    created = pb.CreateSubOrchestrationAction(name="child", instanceId=instance_id)

    return pb.OrchestratorAction(id=number, createSubOrchestration=created)


def send_event(number: int, instance_id: str) -> pb.OrchestratorAction:
    target = pb.OrchestrationInstance(instanceId=instance_id)

    return pb.OrchestratorAction(id=number, sendEvent=pb.SendEventAction(instance=target, name="go"))


def call_entity(number: int, entity_id: str) -> pb.OrchestratorAction:
    called = pb.EntityOperationCalledEvent(
        requestId=f"call-{number}", operation="get", targetInstanceId=StringValue(value=entity_id)
    )

    return pb.OrchestratorAction(id=number, sendEntityMessage=pb.SendEntityMessageAction(entityOperationCalled=called))


def lock_entity(number: int, entity_id: str) -> pb.OrchestratorAction:
    requested = pb.EntityLockRequestedEvent(criticalSectionId="section", lockSet=[entity_id])

    return pb.OrchestratorAction(id=number, sendEntityMessage=pb.SendEntityMessageAction(entityLockRequested=requested))


def batch_result(item: pb.WorkItem, state: str) -> pb.EntityBatchResult:
    """Every operation of an entity's batch succeeds, and this is its state then."""
    success = pb.OperationResult(success=pb.OperationResultSuccess())

    return pb.EntityBatchResult(
        entityState=StringValue(value=state), results=[success] * len(item.entityRequestV2.operationRequests)
    )


def signals(item: pb.WorkItem) -> Sequence[str]:
    """The operations that an entity was signaled to do, in a batch of nothing else."""
    return [event.entityOperationSignaled.operation for event in item.entityRequestV2.operationRequests]
