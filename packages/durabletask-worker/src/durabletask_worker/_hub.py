"""The calls of the protocol that a worker makes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from enum import Enum

import grpc
from durabletask_client.backoff import Backoff
from durabletask_client.channel import CallMetadata
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from google.protobuf.empty_pb2 import Empty

from durabletask_worker._answers import Answer, Answers

_HELLO_TIMEOUT = 10.0
"""Seconds to connect and to get an answer to the first call."""
_ABANDON_TIMEOUT = 2.0
"""Seconds that giving an item back may take. If it does not work, the end of the stream does it."""

_STICKY = ("x-durabletask-sticky", "1")
"""Metadata of a stream of work: the worker keeps orchestrations in memory, and our server may leave their histories out."""

_TRY_AGAIN = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED})
"""How calls end that met a server which is going away or coming up. Nothing is known of what became of them."""


class Kind(Enum):
    """What there is to do, by the field of `WorkItem` that holds it."""

    TURN = "orchestratorRequest"
    ACTIVITY = "activityRequest"
    ENTITY = "entityRequest"
    ENTITY_V2 = "entityRequestV2"


class Hub:
    """A task hub, as a worker sees it.

    Args:
        channel: The connection.
        metadata: What goes along with a call.
        logger: Where failures go.
        backoff: How long to pause before something is tried again.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        metadata: CallMetadata,
        logger: logging.Logger,
        backoff: Backoff,
    ) -> None:
        self._stub = TaskHubSidecarServiceStub(channel)
        self._answers = Answers(channel, self._stub, metadata)
        self._metadata = metadata
        self._logger = logger
        self._backoff = backoff

    async def hello(self) -> None:
        """See whether somebody is there.

        Raises:
            grpc.aio.AioRpcError: Nobody is, or not for this worker.
        """
        await self._stub.Hello(Empty(), metadata=self._metadata(), timeout=_HELLO_TIMEOUT, wait_for_ready=True)

    async def work_items(
        self, request: pb.GetWorkItemsRequest, *, is_sticky: bool
    ) -> AsyncGenerator[pb.WorkItem, None]:
        """Open a stream of work.

        Args:
            request: What to ask for.
            is_sticky: Whether histories may be left out that the worker has seen.

        Yields:
            Work items, until the server ends the stream.

        Raises:
            grpc.aio.AioRpcError: The stream broke, or could not be opened.
        """
        call = self._stub.GetWorkItems(request, metadata=(*self._metadata(), *([_STICKY] if is_sticky else ())))

        try:
            while isinstance(item := await call.read(), pb.WorkItem):
                yield item
        finally:
            call.cancel()

    async def history(self, request: pb.OrchestratorRequest) -> list[pb.HistoryEvent]:
        """Fetch the past events of a turn that came without.

        Args:
            request: The turn.

        Returns:
            The events.

        Raises:
            grpc.aio.AioRpcError: The server does not give them.
        """
        call = self._stub.StreamInstanceHistory(
            pb.StreamInstanceHistoryRequest(
                instanceId=request.instanceId,
                executionId=request.executionId if request.HasField("executionId") else None,
                forWorkItemProcessing=True,
            ),
            metadata=self._metadata(),
        )

        return [event async for chunk in call for event in chunk.events]

    async def complete(self, response: Answer) -> None:
        """Deliver an answer, however long the server is away.

        Args:
            response: The answer.

        Raises:
            grpc.aio.AioRpcError: The server refuses it.
        """
        failures = 0

        while True:
            try:
                # Waiting for the connection, not pausing blindly, brings answers in as soon as a restarted server takes them,
                # before it hands the same work out again.
                await self._answers.deliver(response)

                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in _TRY_AGAIN:
                    raise

                failures += 1
                self._logger.debug("the answer to %r is not in: %s", response.completionToken, error.details())

            await asyncio.sleep(self._backoff.delay(failures))

    async def abandon(self, kind: Kind, token: str) -> None:
        """Give a work item back. Failures are of no consequence: the server takes it back at the end of the stream.

        Args:
            kind: What it is.
            token: Its token.
        """
        try:
            match kind:
                case Kind.TURN:
                    await self._stub.AbandonTaskOrchestratorWorkItem(
                        pb.AbandonOrchestrationTaskRequest(completionToken=token),
                        metadata=self._metadata(),
                        timeout=_ABANDON_TIMEOUT,
                    )
                case Kind.ACTIVITY:
                    await self._stub.AbandonTaskActivityWorkItem(
                        pb.AbandonActivityTaskRequest(completionToken=token),
                        metadata=self._metadata(),
                        timeout=_ABANDON_TIMEOUT,
                    )
                case Kind.ENTITY | Kind.ENTITY_V2:
                    await self._stub.AbandonTaskEntityWorkItem(
                        pb.AbandonEntityTaskRequest(completionToken=token),
                        metadata=self._metadata(),
                        timeout=_ABANDON_TIMEOUT,
                    )
        except Exception:
            self._logger.debug("a work item could not be given back", exc_info=True)
