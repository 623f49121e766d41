"""Ids that are used again, through the wire: restarts, reuse policies old and new; and ends without ceremony."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.testing import serving
from google.protobuf.wrappers_pb2 import StringValue

if TYPE_CHECKING:
    from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceAsyncStub

RUNNING = pb.ORCHESTRATION_STATUS_RUNNING
PENDING = pb.ORCHESTRATION_STATUS_PENDING
COMPLETED = pb.ORCHESTRATION_STATUS_COMPLETED
TERMINATED = pb.ORCHESTRATION_STATUS_TERMINATED
DONE = pb.OrchestratorAction(
    id=9,
    completeOrchestration=pb.CompleteOrchestrationAction(
        orchestrationStatus=COMPLETED, result=StringValue(value="done")
    ),
)
CHILD = pb.OrchestratorAction(
    id=4, createSubOrchestration=pb.CreateSubOrchestrationAction(name="child", instanceId="child")
)
LOCK = pb.OrchestratorAction(
    id=1,
    sendEntityMessage=pb.SendEntityMessageAction(
        entityLockRequested=pb.EntityLockRequestedEvent(
            criticalSectionId="section", lockSet=["@e@1"], parentInstanceId=StringValue(value="locking")
        )
    ),
)


@dataclass(frozen=True)
class Sidecar:
    stub: TaskHubSidecarServiceAsyncStub
    stream: grpc.aio.UnaryStreamCall[pb.GetWorkItemsRequest, pb.WorkItem]

    async def start(self, instance_id: str, policy: pb.OrchestrationIdReusePolicy | None = None) -> str:
        request = pb.CreateInstanceRequest(
            instanceId=instance_id,
            name="orchestrator",
            version=StringValue(value="1.5"),
            input=StringValue(value="in"),
            tags={"team": "blue"},
            orchestrationIdReusePolicy=policy,
        )

        return (await self.stub.StartInstance(request)).instanceId

    async def turn(self, instance_id: str, *actions: pb.OrchestratorAction) -> pb.OrchestratorRequest:
        """Answer the next work item, a turn of that instance."""
        received = await self.stream.read()
        assert isinstance(received, pb.WorkItem)

        if received.HasField("healthPing"):
            return await self.turn(instance_id, *actions)

        assert received.orchestratorRequest.instanceId == instance_id
        await self.stub.CompleteOrchestratorTask(
            pb.OrchestratorResponse(instanceId=instance_id, completionToken=received.completionToken, actions=actions)
        )

        return received.orchestratorRequest

    async def state(self, instance_id: str) -> pb.OrchestrationState:
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)

        return (await self.stub.GetInstance(request)).orchestrationState

    async def restart(self, instance_id: str, *, new: bool = False) -> str:
        request = pb.RestartInstanceRequest(instanceId=instance_id, restartWithNewInstanceId=new)

        return (await self.stub.RestartInstance(request)).instanceId

    async def end(self, *instance_ids: str) -> list[str]:
        """End instances without ceremony; which were left alone."""
        request = pb.SkipGracefulOrchestrationTerminationsRequest(
            instanceBatch=pb.InstanceBatch(instanceIds=instance_ids), reason=StringValue(value="enough")
        )

        return list((await self.stub.SkipGracefulOrchestrationTerminations(request)).unterminatedInstanceIds)


@pytest.fixture
async def sidecar() -> AsyncIterator[Sidecar]:
    async with serving(MemoryBackend()) as served:
        stream = served.stub.GetWorkItems(pb.GetWorkItemsRequest(maxConcurrentEntityWorkItems=1))
        yield Sidecar(served.stub, stream)
        stream.cancel()


async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call

    return caught.value.code(), caught.value.details() or ""


def policy(*statuses: int, action: int = 0) -> pb.OrchestrationIdReusePolicy:
    """A reuse policy; with an action, as older clients have it, in field 2."""
    current = pb.OrchestrationIdReusePolicy(replaceableStatus=statuses)  # type: ignore[arg-type]
    encoded = current.SerializeToString() + (bytes((0x10, action)) if action else b"")

    return pb.OrchestrationIdReusePolicy.FromString(encoded)


IGNORE = 1
TERMINATE = 2


# Restarts.


async def test_an_instance_that_has_ended_is_restarted_under_its_id(sidecar: Sidecar) -> None:
    await sidecar.start("i")
    await sidecar.turn("i", DONE)
    before = await sidecar.state("i")
    assert await sidecar.restart("i") == "i"
    state = await sidecar.state("i")
    assert (state.orchestrationStatus, state.HasField("output")) == (PENDING, False)
    assert state.executionId != before.executionId

    started = (await sidecar.turn("i", DONE)).newEvents[1].executionStarted
    assert (started.name, started.version.value, started.input.value) == ("orchestrator", "1.5", "in")
    assert dict(started.tags) == {"team": "blue"}


async def test_a_running_instance_is_restarted_only_under_another_id(sidecar: Sidecar) -> None:
    await sidecar.start("i")
    await sidecar.turn("i")
    code, details = await refused(sidecar.restart("i"))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "'i' is running and cannot be restarted" in details

    copy = await sidecar.restart("i", new=True)
    assert len(copy) == 32
    started = (await sidecar.turn(copy, DONE)).newEvents[1].executionStarted
    assert (started.version.value, started.input.value, dict(started.tags)) == ("1.5", "in", {"team": "blue"})
    assert (await sidecar.state("i")).orchestrationStatus == RUNNING


async def test_a_restarted_child_has_no_parent(sidecar: Sidecar) -> None:
    await sidecar.start("parent")
    await sidecar.turn("parent", CHILD)
    await sidecar.turn("child", DONE)
    await sidecar.turn("parent", DONE)
    await sidecar.restart("child")
    started = (await sidecar.turn("child", DONE)).newEvents[1].executionStarted
    assert not started.HasField("parentInstance")
    assert not (await sidecar.state("child")).HasField("parentInstanceId")


@pytest.mark.parametrize("new", [False, True])
async def test_what_does_not_exist_is_not_restarted(sidecar: Sidecar, new: bool) -> None:
    code, details = await refused(sidecar.restart("nobody", new=new))
    assert code is grpc.StatusCode.NOT_FOUND
    assert "nobody" in details


# Reuse policies.


async def test_ignore_is_content_with_an_instance_in_a_listed_status(sidecar: Sidecar) -> None:
    await sidecar.start("i")
    await sidecar.turn("i", DONE)
    before = await sidecar.state("i")
    assert await sidecar.start("i", policy(COMPLETED, action=IGNORE)) == "i"
    assert await sidecar.state("i") == before

    code, _ = await refused(sidecar.start("i", policy(RUNNING, action=IGNORE)))
    assert code is grpc.StatusCode.ALREADY_EXISTS


async def test_ignore_starts_what_does_not_exist(sidecar: Sidecar) -> None:
    await sidecar.start("i", policy(COMPLETED, action=IGNORE))
    assert (await sidecar.state("i")).orchestrationStatus == PENDING


async def test_terminate_replaces_what_runs_if_its_status_is_listed(sidecar: Sidecar) -> None:
    await sidecar.start("i")
    await sidecar.turn("i")
    before = await sidecar.state("i")
    code, _ = await refused(sidecar.start("i", policy(COMPLETED, action=TERMINATE)))
    assert code is grpc.StatusCode.ALREADY_EXISTS

    assert await sidecar.start("i", policy(RUNNING, action=TERMINATE)) == "i"
    after = await sidecar.state("i")
    assert after.executionId != before.executionId
    assert (await sidecar.turn("i", DONE)).executionId == after.executionId


async def test_without_an_action_a_running_instance_is_replaced_only_if_it_may_be_terminated(sidecar: Sidecar) -> None:
    await sidecar.start("i")
    await sidecar.turn("i")
    code, details = await refused(sidecar.start("i", policy(RUNNING)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot exclude 'Terminated'" in details

    assert await sidecar.start("i", policy(RUNNING, TERMINATED)) == "i"


@pytest.mark.parametrize("begun", [False, True])
async def test_the_parent_of_a_child_that_is_replaced_learns_it(sidecar: Sidecar, begun: bool) -> None:
    await sidecar.start("parent")
    await sidecar.turn("parent", CHILD)

    if begun:
        await sidecar.turn("child")

    await sidecar.start("child", policy(RUNNING, PENDING, TERMINATED))
    turns = {}

    # The turn of a child that has not begun is out already.
    for _ in range(2 if begun else 3):
        received = await sidecar.stream.read()
        assert isinstance(received, pb.WorkItem)
        turns[received.orchestratorRequest.instanceId] = received.orchestratorRequest

    told = turns["parent"].newEvents[-1].subOrchestrationInstanceFailed
    assert told.taskScheduledId == 4
    assert "'child' was replaced" in told.failureDetails.errorMessage
    assert not turns["child"].newEvents[1].executionStarted.HasField("parentInstance")


# Ends without ceremony.


async def test_live_instances_end_at_once_and_the_others_are_named(sidecar: Sidecar) -> None:
    await sidecar.start("running")
    await sidecar.turn("running")
    await sidecar.start("ended")
    await sidecar.turn("ended", DONE)
    assert await sidecar.end("running", "nobody", "ended", "@entity@key", "running", "") == [
        "nobody",
        "ended",
        "@entity@key",
        "",
    ]
    state = await sidecar.state("running")
    assert (state.orchestrationStatus, state.output.value) == (TERMINATED, "enough")


async def test_a_pending_instance_and_a_suspended_one_end_too(sidecar: Sidecar) -> None:
    await sidecar.start("suspended")
    await sidecar.turn("suspended")
    await sidecar.stub.SuspendInstance(pb.SuspendRequest(instanceId="suspended"))
    await sidecar.turn("suspended")
    sidecar.stream.cancel()
    await sidecar.start("pending")
    assert await sidecar.end("suspended", "pending") == []
    assert (await sidecar.state("suspended")).orchestrationStatus == TERMINATED
    assert (await sidecar.state("pending")).orchestrationStatus == TERMINATED


async def test_an_instance_in_a_critical_section_is_left_alone(sidecar: Sidecar) -> None:
    await sidecar.start("locking")
    await sidecar.turn("locking", LOCK)
    granted = await sidecar.turn("locking")
    assert granted.newEvents[-1].HasField("entityLockGranted")
    assert await sidecar.end("locking") == ["locking"]
    assert (await sidecar.state("locking")).orchestrationStatus == RUNNING


async def test_too_many_ids_are_refused(sidecar: Sidecar) -> None:
    code, details = await refused(sidecar.end(*map(str, range(501))))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "500" in details
