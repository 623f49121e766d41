"""Rewinding through the wire: what workers are given, and what callers are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING

import grpc
import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.testing import serving
from google.protobuf.wrappers_pb2 import StringValue

if TYPE_CHECKING:
    from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceAsyncStub

FAILURE = pb.TaskFailureDetails(errorType="Boom", errorMessage="boom")
SCHEDULE = pb.OrchestratorAction(id=0, scheduleTask=pb.ScheduleTaskAction(name="activity"))
CHILD = pb.OrchestratorAction(
    id=0, createSubOrchestration=pb.CreateSubOrchestrationAction(name="child", instanceId="child")
)


def complete(result: str) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(
        id=9,
        completeOrchestration=pb.CompleteOrchestrationAction(
            orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED, result=StringValue(value=result)
        ),
    )


FAIL = pb.OrchestratorAction(
    id=9,
    completeOrchestration=pb.CompleteOrchestrationAction(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=FAILURE
    ),
)


class Worker:
    """A worker that does what the test says, and the client beside it."""

    def __init__(self, stub: TaskHubSidecarServiceAsyncStub) -> None:
        self.stub = stub
        self._stream = stub.GetWorkItems(pb.GetWorkItemsRequest())

    async def item(self) -> pb.WorkItem:
        while True:
            received = await self._stream.read()
            assert isinstance(received, pb.WorkItem)

            if not received.HasField("healthPing"):
                return received

    async def turn(self, instance_id: str, *actions: pb.OrchestratorAction) -> pb.OrchestratorRequest:
        """Answer the next work item, a turn of that instance."""
        item = await self.item()
        assert item.orchestratorRequest.instanceId == instance_id
        await self.stub.CompleteOrchestratorTask(
            pb.OrchestratorResponse(instanceId=instance_id, completionToken=item.completionToken, actions=actions)
        )

        return item.orchestratorRequest

    async def activity(self, result: str | None) -> None:
        """Answer the next work item, an activity; without a result it fails."""
        item = await self.item()
        task = item.activityRequest
        await self.stub.CompleteActivityTask(
            pb.ActivityResponse(
                instanceId=task.orchestrationInstance.instanceId,
                taskId=task.taskId,
                completionToken=item.completionToken,
                result=None if result is None else StringValue(value=result),
                failureDetails=FAILURE if result is None else None,
            )
        )

    async def start(self, instance_id: str) -> None:
        await self.stub.StartInstance(pb.CreateInstanceRequest(instanceId=instance_id, name="orchestrator"))

    async def rewind(self, instance_id: str, reason: str = "") -> None:
        await self.stub.RewindInstance(
            pb.RewindInstanceRequest(instanceId=instance_id, reason=StringValue(value=reason))
        )

    async def state(self, instance_id: str) -> pb.OrchestrationState:
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)

        return (await self.stub.GetInstance(request)).orchestrationState

    async def history(self, instance_id: str) -> list[pb.HistoryEvent]:
        stream = self.stub.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId=instance_id))

        return [event async for chunk in stream for event in chunk.events]

    def close(self) -> None:
        self._stream.cancel()


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with serving(MemoryBackend()) as served:
        double = Worker(served.stub)
        yield double
        double.close()


async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call

    return caught.value.code(), caught.value.details() or ""


def kinds(events: object) -> list[str | None]:
    return [event.WhichOneof("eventType") for event in events]  # type: ignore[attr-defined]


async def failed(worker: Worker, instance_id: str) -> None:
    await worker.start(instance_id)
    await worker.turn(instance_id, SCHEDULE)
    await worker.activity(None)
    await worker.turn(instance_id, FAIL)


async def test_a_rewound_instance_goes_on_and_no_worker_learns_of_it(worker: Worker) -> None:
    await failed(worker, "i")
    before = await worker.state("i")
    await worker.rewind("i", "put right")
    state = await worker.state("i")
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_RUNNING
    assert (state.executionId, state.createdTimestamp) == (before.executionId, before.createdTimestamp)
    assert not state.HasField("failureDetails")
    assert not state.HasField("completedTimestamp")

    request = await worker.turn("i", SCHEDULE)
    assert kinds(request.pastEvents) == ["orchestratorStarted", "executionStarted", "orchestratorStarted"]
    assert kinds(request.newEvents) == ["orchestratorStarted"]

    await worker.activity("1")
    request = await worker.turn("i", complete("2"))
    assert kinds(request.pastEvents)[2:] == ["orchestratorStarted", "orchestratorStarted", "taskScheduled"]
    state = await worker.state("i")
    assert (state.orchestrationStatus, state.output.value) == (pb.ORCHESTRATION_STATUS_COMPLETED, "2")

    history = await worker.history("i")
    assert kinds(history).count("executionCompleted") == 1
    assert [each.executionRewound.reason.value for each in history if each.HasField("executionRewound")] == [
        "put right"
    ]


async def test_who_waits_after_the_rewind_waits_for_the_new_end(worker: Worker) -> None:
    await failed(worker, "i")
    await worker.rewind("i")
    waiting = worker.stub.WaitForInstanceCompletion(pb.GetInstanceRequest(instanceId="i", getInputsAndOutputs=True))
    await worker.turn("i", complete("late"))
    assert (await waiting).orchestrationState.output.value == "late"


async def test_the_children_that_failed_are_rewound_with_their_parent(worker: Worker) -> None:
    await worker.start("parent")
    await worker.turn("parent", CHILD)
    await worker.turn("child", SCHEDULE)
    await worker.activity(None)
    await worker.turn("child", FAIL)
    await worker.turn("parent", FAIL)
    await worker.rewind("parent")

    for instance_id in ("parent", "child"):
        assert (await worker.state(instance_id)).orchestrationStatus == pb.ORCHESTRATION_STATUS_RUNNING

    turns = {}

    for _ in range(2):
        item = await worker.item()
        turns[item.orchestratorRequest.instanceId] = item

    for instance_id, action in (("parent", None), ("child", SCHEDULE)):
        await worker.stub.CompleteOrchestratorTask(
            pb.OrchestratorResponse(
                instanceId=instance_id,
                completionToken=turns[instance_id].completionToken,
                actions=[] if action is None else [action],
            )
        )

    await worker.activity("1")
    await worker.turn("child", complete("2"))
    request = await worker.turn("parent", complete("3"))
    assert request.newEvents[-1].subOrchestrationInstanceCompleted.result.value == "2"
    assert (await worker.state("parent")).output.value == "3"


async def test_a_purged_child_comes_again(worker: Worker) -> None:
    await worker.start("parent")
    await worker.turn("parent", CHILD)
    await worker.turn("child", FAIL)
    await worker.turn("parent", FAIL)
    await worker.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="child"))
    await worker.rewind("parent")
    items = {item.orchestratorRequest.instanceId: item for item in [await worker.item(), await worker.item()]}
    assert kinds(items["child"].orchestratorRequest.newEvents) == ["orchestratorStarted", "executionStarted"]


async def test_an_instance_can_be_rewound_twice(worker: Worker) -> None:
    await failed(worker, "i")

    for _ in range(2):
        await worker.rewind("i")
        request = await worker.turn("i", SCHEDULE)
        assert "executionRewound" not in kinds(request.pastEvents)
        await worker.activity(None)
        await worker.turn("i", FAIL)

    assert kinds(await worker.history("i")).count("executionRewound") == 2


async def test_an_instance_that_was_rewound_can_be_terminated_before_its_next_turn_is_answered(worker: Worker) -> None:
    await failed(worker, "i")
    await worker.rewind("i")
    item = await worker.item()
    await worker.stub.TerminateInstance(pb.TerminateRequest(instanceId="i", output=StringValue(value="stop")))
    request = pb.GetInstanceRequest(instanceId="i", getInputsAndOutputs=True)
    state = (await worker.stub.WaitForInstanceCompletion(request, timeout=10)).orchestrationState
    assert item.orchestratorRequest.instanceId == "i"
    assert (state.orchestrationStatus, state.output.value) == (pb.ORCHESTRATION_STATUS_TERMINATED, "stop")


async def test_only_orchestrations_that_have_failed_are_rewound(worker: Worker) -> None:
    code, details = await refused(worker.rewind("nobody"))
    assert code is grpc.StatusCode.NOT_FOUND
    assert "nobody" in details

    await worker.start("i")
    await worker.turn("i", SCHEDULE)
    code, details = await refused(worker.rewind("i"))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "not allowed" in details
    assert "'i' is running" in details

    for instance_id in ("@entity@key", ""):
        code, details = await refused(worker.rewind(instance_id))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "instanceId" in details
