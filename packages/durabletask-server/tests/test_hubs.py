"""Task hubs through the wire: they are made, emptied and deleted, and know nothing of each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING

import grpc
import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_backend.testing import FaultyBackend
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.testing import serving

if TYPE_CHECKING:
    from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceAsyncStub

START = pb.CreateInstanceRequest(instanceId="i", name="orchestrator")
SCHEDULE = pb.OrchestratorAction(id=0, scheduleTask=pb.ScheduleTaskAction(name="activity"))


@pytest.fixture
async def stub() -> AsyncIterator[TaskHubSidecarServiceAsyncStub]:
    async with serving(MemoryBackend()) as served:
        yield served.stub


def of(name: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call for a hub."""
    return (("taskhub", name),)


async def create(stub: TaskHubSidecarServiceAsyncStub, name: str, *, recreate: bool = False) -> None:
    await stub.CreateTaskHub(pb.CreateTaskHubRequest(recreateIfExists=recreate), metadata=of(name))


async def exists(stub: TaskHubSidecarServiceAsyncStub, name: str) -> bool:
    return (await stub.GetInstance(pb.GetInstanceRequest(instanceId="i"), metadata=of(name))).exists


async def item(stream: grpc.aio.UnaryStreamCall[pb.GetWorkItemsRequest, pb.WorkItem]) -> pb.WorkItem:
    while True:
        received = await stream.read()
        assert isinstance(received, pb.WorkItem)

        if not received.HasField("healthPing"):
            return received


async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call

    return caught.value.code(), caught.value.details() or ""


async def test_an_instance_is_in_the_hub_of_its_start_alone(stub: TaskHubSidecarServiceAsyncStub) -> None:
    await create(stub, "blue")
    await create(stub, "red")
    await stub.StartInstance(START, metadata=of("blue"))
    assert [await exists(stub, name) for name in ("blue", "red", "default", "")] == [True, False, False, False]


async def test_a_worker_gets_the_work_of_its_hub_alone(stub: TaskHubSidecarServiceAsyncStub) -> None:
    await create(stub, "blue")
    stream = stub.GetWorkItems(pb.GetWorkItemsRequest(), metadata=of("blue"))
    await stub.StartInstance(START)
    await stub.StartInstance(pb.CreateInstanceRequest(instanceId="mine", name="orchestrator"), metadata=of("blue"))
    assert (await item(stream)).orchestratorRequest.instanceId == "mine"
    stream.cancel()


@pytest.mark.parametrize("call", ["StartInstance", "GetInstance", "DeleteTaskHub", "Hello"])
async def test_a_hub_that_was_not_created_is_not_found(stub: TaskHubSidecarServiceAsyncStub, call: str) -> None:
    request = {"StartInstance": START, "GetInstance": pb.GetInstanceRequest(instanceId="i")}.get(
        call, pb.DeleteTaskHubRequest()
    )
    code, details = await refused(getattr(stub, call)(request, metadata=of("nowhere")))
    assert code is grpc.StatusCode.NOT_FOUND
    assert "'nowhere'" in details
    assert "CreateTaskHub" in details


async def test_no_work_is_streamed_of_a_hub_that_was_not_created(stub: TaskHubSidecarServiceAsyncStub) -> None:
    stream = stub.GetWorkItems(pb.GetWorkItemsRequest(), metadata=of("nowhere"))
    code, _ = await refused(stream.read())
    assert code is grpc.StatusCode.NOT_FOUND


async def test_to_create_a_hub_that_is_there_changes_nothing(stub: TaskHubSidecarServiceAsyncStub) -> None:
    await create(stub, "blue")
    await stub.StartInstance(START, metadata=of("blue"))
    await create(stub, "blue")
    assert await exists(stub, "blue")


@pytest.mark.parametrize("name", ["blue", "default"])
async def test_a_hub_that_is_recreated_is_empty_and_answers_from_before_have_no_effect(
    stub: TaskHubSidecarServiceAsyncStub, name: str
) -> None:
    await create(stub, name)
    stream = stub.GetWorkItems(pb.GetWorkItemsRequest(), metadata=of(name))
    await stub.StartInstance(START, metadata=of(name))
    late = await item(stream)
    await create(stub, name, recreate=True)
    assert not await exists(stub, name)

    await stub.StartInstance(START, metadata=of(name))
    await stub.CompleteOrchestratorTask(
        pb.OrchestratorResponse(instanceId="i", completionToken=late.completionToken, actions=[SCHEDULE]),
        metadata=of(name),
    )
    stream = stub.GetWorkItems(pb.GetWorkItemsRequest(), metadata=of(name))
    request = (await item(stream)).orchestratorRequest
    assert len(request.pastEvents) == 0
    assert request.newEvents[1].HasField("executionStarted")
    stream.cancel()


async def test_a_deleted_hub_is_gone_until_it_is_created_again(stub: TaskHubSidecarServiceAsyncStub) -> None:
    await create(stub, "blue")
    await stub.StartInstance(START, metadata=of("blue"))
    await stub.DeleteTaskHub(pb.DeleteTaskHubRequest(), metadata=of("blue"))
    code, _ = await refused(exists(stub, "blue"))
    assert code is grpc.StatusCode.NOT_FOUND

    await create(stub, "blue")
    assert not await exists(stub, "blue")


async def test_the_streams_of_a_deleted_hub_end(stub: TaskHubSidecarServiceAsyncStub) -> None:
    await create(stub, "blue")
    stream = stub.GetWorkItems(pb.GetWorkItemsRequest(), metadata=of("blue"))
    await stream.read()
    await stub.DeleteTaskHub(pb.DeleteTaskHubRequest(), metadata=of("blue"))
    assert await stream.read() is grpc.aio.EOF


async def test_deleting_the_default_hub_empties_it(stub: TaskHubSidecarServiceAsyncStub) -> None:
    await stub.StartInstance(START)
    await stub.DeleteTaskHub(pb.DeleteTaskHubRequest())
    assert not await exists(stub, "default")

    await stub.StartInstance(START)
    assert await exists(stub, "default")


@pytest.mark.parametrize("name", ["blue", "default"])
async def test_a_hub_that_could_not_be_deleted_is_still_there_with_all_that_is_in_it(name: str) -> None:
    backend = FaultyBackend()
    backend.fail("delete_hub")

    async with serving(backend) as served:
        stub = served.stub
        await create(stub, name)
        await stub.StartInstance(START, metadata=of(name))
        await refused(stub.DeleteTaskHub(pb.DeleteTaskHubRequest(), metadata=of(name)))
        is_there = await exists(stub, name)
        stream = stub.GetWorkItems(pb.GetWorkItemsRequest(), metadata=of(name))
        request = (await item(stream)).orchestratorRequest
        stream.cancel()

    assert is_there
    assert request.instanceId == "i"


@pytest.mark.parametrize("call", ["CreateTaskHub", "GetInstance"])
async def test_a_name_that_no_hub_can_have_is_refused(stub: TaskHubSidecarServiceAsyncStub, call: str) -> None:
    request = pb.CreateTaskHubRequest() if call == "CreateTaskHub" else pb.GetInstanceRequest(instanceId="i")
    code, details = await refused(getattr(stub, call)(request, metadata=of("x" * 101)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "taskhub" in details
