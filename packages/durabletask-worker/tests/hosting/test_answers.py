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
from durabletask_worker import TaskHubGrpcWorker, _answers
from durabletask_worker._answers import Answer, Answers

from .scripted import Hub
from .test_worker import double

METADATA = (("taskhub", "orders"), ("key-bin", b"\x00\xff"))
ANSWERS: dict[str, Answer] = {
    "CompleteOrchestratorTask": pb.OrchestratorResponse(instanceId="one", completionToken="t"),
    "CompleteActivityTask": pb.ActivityResponse(instanceId="one", taskId=1, completionToken="t"),
    "CompleteEntityTask": pb.EntityBatchResult(completionToken="t"),
}


class Server:
    """Keeps what arrives, and answers by a script."""

    def __init__(self) -> None:
        self.came: list[tuple[str, bytes, dict[str, str | bytes]]] = []
        self.refusal: tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]] | None = None
        self.is_slow = False
        self.begun, self.cancelled = asyncio.Event(), asyncio.Event()
        self.address = ""
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        def handler(method: str) -> grpc.RpcMethodHandler[bytes, bytes]:
            async def complete(request: bytes, context: Any) -> bytes:
                return await self._complete(method, request, context)

            return grpc.unary_unary_rpc_method_handler(complete)

        handlers = {method: handler(method) for method in ANSWERS}
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE_NAME, handlers),))
        self.address = f"localhost:{self._server.add_insecure_port('localhost:0')}"
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    async def _complete(self, method: str, request: bytes, context: Any) -> bytes:
        self.begun.set()

        if self.is_slow:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()

        if self.refusal is not None:
            await context.abort(*self.refusal)

        self.came.append((method, request, dict(context.invocation_metadata())))

        return b""


class Interceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Sees the calls of a channel."""

    def __init__(self) -> None:
        self.seen: list[bytes | str] = []

    async def intercept_unary_unary(self, continuation: Any, details: grpc.aio.ClientCallDetails, request: Any) -> Any:
        self.seen.append(details.method)

        return await continuation(details, request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()

    yield server

    await server.stop()


@pytest.fixture(params=["below", "grpc.aio"])
async def answers(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[Answers]:
    interceptors = [Interceptor()] if request.param == "grpc.aio" else []

    async with grpc.aio.insecure_channel(server.address, interceptors=interceptors) as channel:
        answers = Answers(channel, lambda: METADATA)
        assert answers.is_below == (request.param == "below")

        yield answers


class TestBothWays:
    @pytest.mark.parametrize("method", ANSWERS)
    async def test_an_answer_arrives_with_its_metadata(self, server: Server, answers: Answers, method: str) -> None:
        await answers.deliver(ANSWERS[method])

        ((came, request, metadata),) = server.came
        assert (came, request) == (method, ANSWERS[method].SerializeToString())
        assert metadata.items() >= dict(METADATA).items()

    async def test_a_refusal_says_what_the_server_said(self, server: Server, answers: Answers) -> None:
        server.refusal = grpc.StatusCode.NOT_FOUND, "no such token", (("reason", "expired"),)

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await answers.deliver(ANSWERS["CompleteActivityTask"])

        error = raised.value
        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such token")
        assert error.trailing_metadata()["reason"] == "expired"
        assert "no such token" in str(error)

    async def test_to_cancel_it_cancels_the_call(self, server: Server, answers: Answers) -> None:
        server.is_slow = True
        delivery = asyncio.ensure_future(answers.deliver(ANSWERS["CompleteActivityTask"]))
        await server.begun.wait()
        delivery.cancel()

        with pytest.raises(asyncio.CancelledError):
            await delivery

        await asyncio.wait_for(server.cancelled.wait(), 20)


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
