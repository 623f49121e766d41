"""Both faces, against real gRPC endpoints: none at all, one without the service, and one that answers by a script.

What they do with a hub is tested in `integration/`, against a real one.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from durabletask_client import (
    AsyncTaskHubGrpcClient,
    ClientClosedError,
    OrchestrationState,
    OrchestrationStatus,
    ServerUnavailableError,
    TaskHubGrpcClient,
    UnsupportedRequestError,
)
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.message import Message

from .clients import Face
from .endpoint import Endpoint


def state(status: OrchestrationStatus = OrchestrationStatus.COMPLETED) -> pb.GetInstanceResponse:
    return pb.GetInstanceResponse(
        exists=True,
        orchestrationState=pb.OrchestrationState(
            instanceId="i", orchestrationStatus=pb.OrchestrationStatus.ValueType(status.value)
        ),
    )


def test_both_faces_have_the_same_methods_with_the_same_parameters() -> None:
    def methods(client: type) -> dict[str, list[str]]:
        return {
            name: [str(parameter) for parameter in inspect.signature(method).parameters.values()]
            for name, method in inspect.getmembers(client, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(TaskHubGrpcClient) == methods(AsyncTaskHubGrpcClient)
    assert "wait_for_orchestration_completion" in methods(TaskHubGrpcClient)

    ours, theirs = (inspect.signature(each).parameters for each in (TaskHubGrpcClient, AsyncTaskHubGrpcClient))
    assert list(ours) == list(theirs)


async def test_what_a_server_does_not_offer_is_a_clear_error(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    client = face(host_address=endpoint.address)

    for method in ("restart_orchestration", "rewind_orchestration"):
        with pytest.raises(UnsupportedRequestError, match="orchestration 'i'"):
            await client(method, "i")

    await client.close()


async def test_no_server_is_a_clear_error_as_soon_as_patience_ends(face: Callable[..., Face]) -> None:
    client = face(host_address="localhost:1", patience=0.05)

    with pytest.raises(ServerUnavailableError, match="StartInstance of orchestration 'i'"):
        await client("schedule_new_orchestration", "flow", instance_id="i")

    with pytest.raises(TimeoutError, match=r"orchestration 'i' took longer than 0\.05 s"):
        await client("wait_for_orchestration_completion", "i", timeout=0.05)

    await client.close()


async def test_a_start_is_repeated_with_the_same_ids(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["StartInstance"] = [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNAVAILABLE,
        pb.CreateInstanceResponse(instanceId="given"),
    ]
    client = face(host_address=endpoint.address)

    assert await client("schedule_new_orchestration", "flow", input=1) == "given"
    first, second, third = endpoint.sent("StartInstance")
    assert first == second == third
    assert len(pb.CreateInstanceRequest.FromString(first).executionId.value) == 32
    await client.close()


async def test_an_event_is_not_repeated(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["RaiseEvent"] = [grpc.StatusCode.UNAVAILABLE, pb.RaiseEventResponse()]
    client = face(host_address=endpoint.address)

    with pytest.raises(ServerUnavailableError):
        await client("raise_orchestration_event", "i", "go", data=1)

    assert len(endpoint.sent("RaiseEvent")) == 1
    await client.close()


@pytest.mark.parametrize("method", ["wait_for_orchestration_start", "wait_for_orchestration_completion"])
@pytest.mark.parametrize("seconds", [None, 30])
async def test_a_wait_outlives_what_a_restarting_server_does(
    endpoint: Endpoint, face: Callable[..., Face], method: str, seconds: float | None
) -> None:
    answers: list[Message | list[Message] | grpc.StatusCode] = [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        state(),
    ]
    endpoint.answers = {"WaitForInstanceStart": list(answers), "WaitForInstanceCompletion": list(answers)}
    client = face(host_address=endpoint.address)

    found = await client(method, "i", timeout=seconds)
    assert found.runtime_status is OrchestrationStatus.COMPLETED
    assert len(endpoint.received) == len(answers)
    await client.close()


async def test_a_wait_ends_at_its_timeout(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["WaitForInstanceCompletion"] = []
    client = face(host_address=endpoint.address)

    with pytest.raises(TimeoutError, match=r"orchestration 'i' took longer than 0\.1 s"):
        await client("wait_for_orchestration_completion", "i", timeout=0.1)

    await client.close()


async def test_closing_ends_a_wait_and_all_that_comes_later(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["WaitForInstanceCompletion"] = []
    client = face(host_address=endpoint.address)
    wait = asyncio.create_task(as_coroutine(client("wait_for_orchestration_completion", "i")))
    await asyncio.to_thread(endpoint.holding.wait)
    await client.close()

    with pytest.raises(ClientClosedError):
        await wait

    with pytest.raises(ClientClosedError):
        await client("get_orchestration_state", "i")

    await client.close()


async def as_coroutine(result: Awaitable[Any]) -> Any:
    return await result


async def test_cancelling_an_async_wait_cancels_it(endpoint: Endpoint) -> None:
    endpoint.answers["WaitForInstanceCompletion"] = []

    async with AsyncTaskHubGrpcClient(host_address=endpoint.address) as client:
        wait = asyncio.create_task(client.wait_for_orchestration_completion("i"))
        await asyncio.to_thread(endpoint.holding.wait)
        wait.cancel()

        with pytest.raises(asyncio.CancelledError):
            await wait


async def test_metadata_goes_along_with_every_call(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["GetInstance"] = [state(), state()]
    tokens = iter(["t1", "t2"])
    client = face(
        host_address=endpoint.address, taskhub="mine", metadata=lambda: [("authorization", next(tokens))], patience=0
    )
    await client("get_orchestration_state", "i")
    await client("get_orchestration_state", "i")

    assert [metadata["authorization"] for _, _, metadata in endpoint.received] == ["t1", "t2"]
    assert {metadata["taskhub"] for _, _, metadata in endpoint.received} == {"mine"}
    await client.close()


async def test_a_message_of_any_size_is_received(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    large = state()
    large.orchestrationState.output.value = '"' + "x" * 5_000_000 + '"'
    endpoint.answers["GetInstance"] = [large]
    client = face(host_address=endpoint.address)

    found = await client("get_orchestration_state", "i")
    assert len(found.get_output(str)) == 5_000_000
    await client.close()


def test_a_channel_of_the_callers_own_stays_open(endpoint: Endpoint) -> None:
    endpoint.answers["GetInstance"] = [state(), state()]

    with grpc.insecure_channel(endpoint.address) as channel:
        for _ in range(2):
            with TaskHubGrpcClient(channel=channel) as client:
                assert client.get_orchestration_state("i") is not None


async def test_an_async_channel_of_the_callers_own_stays_open(endpoint: Endpoint) -> None:
    endpoint.answers["GetInstance"] = [state(), state()]

    async with grpc.aio.insecure_channel(endpoint.address) as channel:
        for _ in range(2):
            async with AsyncTaskHubGrpcClient(channel=channel) as client:
                assert await client.get_orchestration_state("i") is not None


def test_an_async_client_can_be_made_before_its_event_loop(endpoint: Endpoint) -> None:
    endpoint.answers["GetInstance"] = [state()]
    client = AsyncTaskHubGrpcClient(host_address=endpoint.address)

    async def use() -> None:
        async with client:
            assert await client.get_orchestration_state("i") is not None

    asyncio.run(use())


async def test_a_client_is_shared(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["GetInstance"] = [state() for _ in range(20)]
    client = face(host_address=endpoint.address)
    found = await asyncio.gather(*(client("get_orchestration_state", f"i-{number}") for number in range(20)))

    assert len(found) == 20
    assert len(set(endpoint.sent("GetInstance"))) == 20
    await client.close()


def test_a_client_is_shared_by_threads(endpoint: Endpoint) -> None:
    endpoint.answers["GetInstance"] = [state() for _ in range(80)]
    meet = threading.Barrier(8)
    found: list[OrchestrationState | None] = []

    def look(number: int) -> None:
        meet.wait()
        found.extend(client.get_orchestration_state(f"i-{number}-{turn}") for turn in range(10))

    with TaskHubGrpcClient(host_address=endpoint.address) as client:
        threads = [threading.Thread(target=look, args=[number]) for number in range(8)]

        for thread in threads:
            thread.start()

        for thread in threads:
            thread.join()

    assert len([each for each in found if each is not None]) == 80
    assert len(set(endpoint.sent("GetInstance"))) == 80


def test_an_async_client_says_that_it_belongs_to_another_event_loop(endpoint: Endpoint) -> None:
    endpoint.answers["GetInstance"] = [state(), state()]
    client = AsyncTaskHubGrpcClient(host_address=endpoint.address)

    async def look() -> OrchestrationState | None:
        return await client.get_orchestration_state("i")

    with asyncio.Runner() as one, asyncio.Runner() as other:
        assert one.run(look()) is not None

        with pytest.raises(RuntimeError, match="another event loop"):
            other.run(look())

        one.run(client.close())
