"""Running an orchestration to its end, deadlines, and what holds for all calls of a client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from durabletask_client import (
    ClientClosedError,
    FailureDetails,
    InvalidRequestError,
    OrchestrationFailedError,
    OrchestrationTerminatedError,
    ServerUnavailableError,
)
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import wrappers_pb2

from .clients import Face
from .endpoint import Endpoint

COMPLETED = pb.ORCHESTRATION_STATUS_COMPLETED


@dataclass
class Receipt:
    total: int


async def coroutine(_: object) -> Receipt:
    return Receipt(1)


def promised(_: object) -> Coroutine[Any, Any, Receipt]:
    return coroutine(_)


def generator(_: object) -> Generator[Any, Any, Receipt]:
    yield
    return Receipt(1)


def plain(_: object) -> Receipt:
    return Receipt(1)


def silent(_: object):  # type: ignore[no-untyped-def]
    ...


def ended(status: int = COMPLETED, **fields: Any) -> pb.GetInstanceResponse:
    state = pb.OrchestrationState(
        instanceId="i", orchestrationStatus=pb.OrchestrationStatus.ValueType(status), **fields
    )

    return pb.GetInstanceResponse(exists=True, orchestrationState=state)


def text(value: str) -> wrappers_pb2.StringValue:
    return wrappers_pb2.StringValue(value=value)


def will_end(endpoint: Endpoint, end: pb.GetInstanceResponse) -> None:
    endpoint.answers = {
        "StartInstance": [pb.CreateInstanceResponse(instanceId="i")],
        "WaitForInstanceCompletion": [grpc.StatusCode.UNAVAILABLE, end],
    }


@pytest.mark.parametrize(
    ("orchestrator", "expected"),
    [
        (coroutine, Receipt(7)),
        (promised, Receipt(7)),
        (generator, Receipt(7)),
        (plain, Receipt(7)),
        (silent, {"total": 7}),
        ("flow", {"total": 7}),
    ],
)
async def test_a_run_gives_what_the_orchestrator_says_it_returns(
    endpoint: Endpoint, face: Callable[..., Face], orchestrator: object, expected: object
) -> None:
    client = face(host_address=endpoint.address)
    will_end(endpoint, ended(output=text('{"total": 7}')))

    assert await client("run_orchestration", orchestrator) == expected
    await client.close()


async def test_a_run_gives_the_type_that_is_asked_for(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    client = face(host_address=endpoint.address)
    will_end(endpoint, ended(output=text('{"total": 7}')))
    found = await client(
        "run_orchestration", "flow", input=1, return_type=Receipt, instance_id="i", tags={"a": "b"}, version="2"
    )

    assert found == Receipt(7)
    asked = pb.CreateInstanceRequest.FromString(endpoint.sent("StartInstance")[0])
    assert (asked.instanceId, asked.input.value, dict(asked.tags), asked.version.value) == ("i", "1", {"a": "b"}, "2")
    await client.close()


async def test_a_run_that_failed_raises_its_failure(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    client = face(host_address=endpoint.address)
    failure = FailureDetails(message="no money", error_type="Bank")
    will_end(endpoint, ended(pb.ORCHESTRATION_STATUS_FAILED, failureDetails=failure.to_proto()))

    with pytest.raises(OrchestrationFailedError, match="no money") as caught:
        await client("run_orchestration", plain)

    assert caught.value.failure_details == failure
    await client.close()


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (ended(pb.ORCHESTRATION_STATUS_TERMINATED, output=text("1")), "ended as TERMINATED"),
        (ended(pb.ORCHESTRATION_STATUS_CANCELED), "ended as CANCELED"),
        (pb.GetInstanceResponse(exists=False), "was purged"),
    ],
)
async def test_a_run_that_was_ended_from_outside_has_no_result(
    endpoint: Endpoint, face: Callable[..., Face], end: pb.GetInstanceResponse, how: str
) -> None:
    client = face(host_address=endpoint.address)
    will_end(endpoint, end)

    with pytest.raises(OrchestrationTerminatedError, match=rf"^orchestration 'i' {how}$"):
        await client("run_orchestration", plain)

    await client.close()


async def test_a_run_takes_no_longer_than_it_may(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    client = face(host_address=endpoint.address)
    will_end(endpoint, ended())
    endpoint.answers["WaitForInstanceCompletion"] = []

    with pytest.raises(TimeoutError, match=r"orchestration 'i' took longer than 0\.1 s"):
        await client("run_orchestration", plain, timeout=0.1)

    with pytest.raises(InvalidRequestError, match=r"^timeout: "):
        await client("run_orchestration", plain, timeout=0)

    assert len(endpoint.sent("StartInstance")) == 1, "what cannot be waited for is not started"
    await client.close()


@pytest.mark.parametrize("per_call", [True, False])
@pytest.mark.parametrize(
    ("rpc", "method", "arguments"),
    [
        ("GetInstance", "get_orchestration_state", ("i",)),
        ("RaiseEvent", "raise_orchestration_event", ("i", "go")),
        ("StreamInstanceHistory", "get_orchestration_history", ("i",)),
    ],
)
async def test_a_call_takes_no_longer_than_the_client_allows(
    endpoint: Endpoint, face: Callable[..., Face], per_call: bool, rpc: str, method: str, arguments: tuple[object, ...]
) -> None:
    endpoint.answers[rpc] = []
    settings = {} if per_call else {"timeout": 0.1}
    client = face(host_address=endpoint.address, **settings)
    hurried = client.having(timeout=0.1) if per_call else client

    with pytest.raises(TimeoutError, match=rf"{rpc} of orchestration 'i' took longer than 0\.1 s"):
        await hurried(method, *arguments)

    await client.close()


async def test_a_history_takes_no_longer_than_the_client_allows(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["StreamInstanceHistory"] = []
    client = face(host_address=endpoint.address, timeout=0.1)

    with pytest.raises(TimeoutError):
        await client.each("stream_orchestration_history", "i").__anext__()

    await client.close()


async def test_the_timeout_of_a_client_does_not_end_a_wait(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["WaitForInstanceCompletion"] = []
    client = face(host_address=endpoint.address, timeout=0.05)
    wait = asyncio.ensure_future(client("wait_for_orchestration_completion", "i"))
    await asyncio.to_thread(endpoint.holding.wait)

    with pytest.raises(TimeoutError):
        await client("wait_for_orchestration_completion", "i", timeout=0.2)

    assert not wait.done()
    await client.close()

    with pytest.raises(ClientClosedError):
        await wait


async def test_faces_of_a_client_share_its_connection_and_add_metadata(
    endpoint: Endpoint, face: Callable[..., Face]
) -> None:
    endpoint.answers["Hello"] = [pb.SignalEntityResponse() for _ in range(3)]
    client = face(host_address=endpoint.address, taskhub="mine", metadata=[("a", "1")])
    other = client.having(metadata=lambda: [("b", "2")])
    await client("ping")
    await other("ping")
    await other.having(timeout=None, metadata=[("c", "3")])("ping")

    def added(metadata: dict[str, object]) -> set[tuple[str, object]]:
        return {(name, value) for name, value in metadata.items() if name in {"taskhub", "a", "b", "c"}}

    assert [len(added(metadata)) for _, _, metadata in endpoint.received] == [2, 3, 4]
    await other.close()

    with pytest.raises(ClientClosedError):
        await client("ping")


async def test_who_has_no_patience_is_told_at_once(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["Hello"] = [grpc.StatusCode.UNAVAILABLE, pb.SignalEntityResponse()]
    client = face(host_address=endpoint.address)

    with pytest.raises(ServerUnavailableError, match=r"^Hello failed"):
        await client.having(patience=0)("ping")

    await client("ping")
    await client.close()


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1.0}, {"patience": -1}, {"patience": float("nan")}])
def test_options_out_of_range_name_the_argument(face: Callable[..., Face], options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{next(iter(options))}: "):
        face(**options)


async def test_skipping_terminations_takes_as_many_calls_as_it_needs(
    endpoint: Endpoint, face: Callable[..., Face]
) -> None:
    def answer(*left: str) -> pb.SkipGracefulOrchestrationTerminationsResponse:
        return pb.SkipGracefulOrchestrationTerminationsResponse(unterminatedInstanceIds=left)

    rpc = "SkipGracefulOrchestrationTerminations"
    endpoint.answers[rpc] = [answer("i-1"), answer(), answer("i-1000")]
    client = face(host_address=endpoint.address)
    ids = [f"i-{number}" for number in range(1001)]

    assert await client("skip_graceful_orchestration_terminations", ids, reason="r") == ["i-1", "i-1000"]
    asked = [pb.SkipGracefulOrchestrationTerminationsRequest.FromString(each) for each in endpoint.sent(rpc)]
    assert [len(each.instanceBatch.instanceIds) for each in asked] == [500, 500, 1]
    assert [name for each in asked for name in each.instanceBatch.instanceIds] == ids
    assert {each.reason.value for each in asked} == {"r"}

    assert await client("skip_graceful_orchestration_terminations", []) == []

    for wrong in ("i", ["i", ""]):
        with pytest.raises(InvalidRequestError, match=r"^instance_ids: "):
            await client("skip_graceful_orchestration_terminations", wrong)

    await client.close()


async def test_a_hub_is_recreated_once_at_most(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    unavailable, created = grpc.StatusCode.UNAVAILABLE, pb.CreateTaskHubResponse()
    endpoint.answers["CreateTaskHub"] = [unavailable, created, unavailable, created]
    endpoint.answers["DeleteTaskHub"] = [unavailable, pb.DeleteTaskHubResponse()]
    client = face(host_address=endpoint.address)
    await client("create_task_hub")

    with pytest.raises(ServerUnavailableError):
        await client("create_task_hub", recreate_if_exists=True)

    with pytest.raises(ServerUnavailableError):
        await client("delete_task_hub")

    asked = [pb.CreateTaskHubRequest.FromString(each).recreateIfExists for each in endpoint.sent("CreateTaskHub")]
    assert asked == [False, False, True]
    await client.close()
