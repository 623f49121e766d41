"""A gRPC endpoint that answers by a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from durabletask_protos import SERVICE_NAME
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

END = object()
TIMEOUT = 20
Code = grpc.StatusCode


class Hub:
    """A server that hands out what the test puts in, and keeps what comes back."""

    def __init__(self) -> None:
        self.work: asyncio.Queue[pb.WorkItem | grpc.StatusCode | object] = asyncio.Queue()
        self.streams: asyncio.Queue[pb.GetWorkItemsRequest] = asyncio.Queue()
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.abandoned: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.refusals: list[grpc.StatusCode] = []
        """How the next completions fail."""
        self.history: list[pb.HistoryEvent] | None = None
        self.held: asyncio.Event | None = None
        """Set once a completion has come, which is then not answered."""
        self.is_cancelled = asyncio.Event()
        """Set once the client has cancelled a completion that was held."""
        self.metadata: dict[str, str | bytes] = {}
        """What came with the last stream."""
        self.answer_metadata: dict[str, str | bytes] = {}
        """What came with the last completion."""
        self.address = ""
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str = "localhost:0") -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self._handler(),))
        self.address = f"localhost:{self._server.add_insecure_port(address)}"
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)

    def put_activity(self, name: str, payload: str | None = None, *, token: str = "t", task_id: int = 1) -> None:
        request = pb.ActivityRequest(name=name, taskId=task_id)
        request.orchestrationInstance.instanceId = "instance"

        if payload is not None:
            request.input.value = payload

        self.work.put_nowait(pb.WorkItem(activityRequest=request, completionToken=token))

    def _handler(self) -> grpc.GenericRpcHandler:
        def unary(
            call: Callable[[Any, Any], Awaitable[Message]], request: type[Message]
        ) -> grpc.RpcMethodHandler[Any, Any]:
            return grpc.unary_unary_rpc_method_handler(
                call,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )

        def stream(call: Any, request: type[Message]) -> grpc.RpcMethodHandler[Any, Any]:
            return grpc.unary_stream_rpc_method_handler(
                call,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )

        return grpc.method_handlers_generic_handler(
            SERVICE_NAME,
            {
                "Hello": unary(self._hello, Empty),
                "GetWorkItems": stream(self._get_work_items, pb.GetWorkItemsRequest),
                "StreamInstanceHistory": stream(self._stream_history, pb.StreamInstanceHistoryRequest),
                "CompleteOrchestratorTask": unary(self._complete, pb.OrchestratorResponse),
                "CompleteActivityTask": unary(self._complete, pb.ActivityResponse),
                "CompleteEntityTask": unary(self._complete, pb.EntityBatchResult),
                "AbandonTaskOrchestratorWorkItem": unary(self._abandon("turn"), pb.AbandonOrchestrationTaskRequest),
                "AbandonTaskActivityWorkItem": unary(self._abandon("activity"), pb.AbandonActivityTaskRequest),
                "AbandonTaskEntityWorkItem": unary(self._abandon("entity"), pb.AbandonEntityTaskRequest),
            },
        )

    async def _hello(self, request: Empty, context: Any) -> Empty:
        return request

    async def _get_work_items(self, request: pb.GetWorkItemsRequest, context: Any) -> AsyncIterator[pb.WorkItem]:
        self.metadata = dict(context.invocation_metadata())
        self.streams.put_nowait(request)

        while (item := await self.work.get()) is not END:
            if isinstance(item, grpc.StatusCode):
                await context.abort(item, "by script")

            assert isinstance(item, pb.WorkItem)
            yield item
            self.work.task_done()

    async def _stream_history(
        self, request: pb.StreamInstanceHistoryRequest, context: Any
    ) -> AsyncIterator[pb.HistoryChunk]:
        assert request.forWorkItemProcessing

        if self.history is None:
            await context.abort(Code.INTERNAL, "by script")
        else:
            for event in self.history:
                yield pb.HistoryChunk(events=[event])

    async def _complete(self, response: Message, context: Any) -> pb.CompleteTaskResponse:
        self.answer_metadata = dict(context.invocation_metadata())

        if self.refusals:
            await context.abort(self.refusals.pop(0), "by script", (("reason", "script"),))

        if self.held is not None:
            self.held.set()

            try:
                await asyncio.Event().wait()
            finally:
                self.is_cancelled.set()

        self.answers.put_nowait(response)

        return pb.CompleteTaskResponse()

    def _abandon(self, kind: str) -> Callable[[Any, Any], Awaitable[Message]]:
        async def abandon(request: Any, context: Any) -> Message:
            self.abandoned.put_nowait((kind, request.completionToken))

            return pb.AbandonActivityTaskResponse()

        return abandon

    async def answer(self) -> Any:
        return await asyncio.wait_for(self.answers.get(), TIMEOUT)

    async def stream(self) -> pb.GetWorkItemsRequest:
        return await asyncio.wait_for(self.streams.get(), TIMEOUT)

    async def abandonment(self) -> tuple[str, str]:
        return await asyncio.wait_for(self.abandoned.get(), TIMEOUT)
