"""Answers are delivered below grpc.aio where it is as known, and by grpc.aio otherwise; nobody can tell the difference."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from durabletask_protos import SERVICE_NAME
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from durabletask_worker import TaskHubGrpcWorker, _answers
from durabletask_worker._answers import Answer, Answers

from .scripted import TIMEOUT, Code, Hub
from .test_worker import double

METADATA = (("taskhub", "orders"), ("key-bin", b"\x00\xff"))
ANSWERS: list[Answer] = [
    pb.OrchestratorResponse(instanceId="one", completionToken="t"),
    pb.ActivityResponse(instanceId="one", taskId=1, completionToken="t"),
    pb.EntityBatchResult(completionToken="t"),
]


class Interceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Sees the calls of a channel."""

    def __init__(self) -> None:
        self.seen: list[bytes | str] = []

    async def intercept_unary_unary(self, continuation: Any, details: grpc.aio.ClientCallDetails, request: Any) -> Any:
        self.seen.append(details.method)

        return await continuation(details, request)


@pytest.fixture(params=["below", "grpc.aio"])
async def answers(hub: Hub, request: pytest.FixtureRequest) -> AsyncIterator[Answers]:
    interceptors = [Interceptor()] if request.param == "grpc.aio" else []

    async with grpc.aio.insecure_channel(hub.address, interceptors=interceptors) as channel:
        answers = Answers(channel, TaskHubSidecarServiceStub(channel), lambda: METADATA)
        assert answers.is_below == (request.param == "below")

        yield answers


class TestBothWays:
    @pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
    async def test_an_answer_arrives_with_its_metadata(self, hub: Hub, answers: Answers, answer: Answer) -> None:
        await answers.deliver(answer)

        assert await hub.answer() == answer
        assert hub.answer_metadata.items() >= dict(METADATA).items()

    async def test_a_refusal_says_what_the_server_said(self, hub: Hub, answers: Answers) -> None:
        hub.refusals = [Code.NOT_FOUND]

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await answers.deliver(ANSWERS[0])

        error = raised.value
        assert (error.code(), error.details()) == (Code.NOT_FOUND, "by script")
        assert error.trailing_metadata()["reason"] == "script"
        assert "by script" in str(error)

    async def test_to_cancel_it_cancels_the_call(self, hub: Hub, answers: Answers) -> None:
        hub.held = asyncio.Event()
        delivery = asyncio.ensure_future(answers.deliver(ANSWERS[0]))
        await asyncio.wait_for(hub.held.wait(), TIMEOUT)
        delivery.cancel()

        with pytest.raises(asyncio.CancelledError):
            await delivery

        await asyncio.wait_for(hub.is_cancelled.wait(), TIMEOUT)


def test_the_installed_grpc_is_as_known() -> None:
    assert _answers.is_known(_answers.CYGRPC)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda known: None, id="nothing"),
        pytest.param(lambda known: SimpleNamespace(AioChannel=known.AioChannel), id="no calls"),
        pytest.param(
            lambda known: SimpleNamespace(
                AioChannel=SimpleNamespace(call=lambda method: None), _AioCall=known._AioCall
            ),
            id="other arguments",
        ),
        pytest.param(
            lambda known: SimpleNamespace(
                AioChannel=known.AioChannel, _AioCall=SimpleNamespace(unary_unary=known._AioCall.unary_unary)
            ),
            id="no status",
        ),
    ],
)
def test_another_grpc_is_not(other: Callable[[Any], Any]) -> None:
    assert not _answers.is_known(other(_answers.CYGRPC))


async def test_interceptors_of_a_channel_see_what_a_worker_answers(hub: Hub) -> None:
    interceptor = Interceptor()

    async with (
        grpc.aio.insecure_channel(hub.address, interceptors=[interceptor]) as channel,
        TaskHubGrpcWorker(channel=channel) as worker,
    ):
        worker.add_activity(double)
        hub.put_activity("double", "1")

        assert (await hub.answer()).result.value == "2"

    assert f"/{SERVICE_NAME}/CompleteActivityTask" in [
        name.decode() if isinstance(name, bytes) else name for name in interceptor.seen
    ]
