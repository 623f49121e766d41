"""How the calls of a client for asyncio are made."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import suppress
from types import EllipsisType, TracebackType
from typing import Any, Self, TypeVar

import grpc
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub

from durabletask_client._attempts import Attempts
from durabletask_client.calls import Batch, Call, Repeat
from durabletask_client.channel import MetadataSource
from durabletask_client.connection import ConnectionSettings
from durabletask_client.errors import ClientClosedError
from durabletask_client.options import CallOptions
from durabletask_client.requests import Requests
from durabletask_client.tracing import spanning

__all__ = ["AsyncCaller", "AsyncTransport"]

Response = TypeVar("Response")
Result = TypeVar("Result")
Item = TypeVar("Item")


class AsyncTransport:
    """A connection, and the calls over it. Safe to share between the tasks of one event loop.

    Args:
        connection: How to reach the server.
        channel: A channel to use instead; it is not closed with the transport.
    """

    def __init__(self, connection: ConnectionSettings, channel: grpc.aio.Channel | None) -> None:
        self._connection = connection
        self._closed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own_channel: grpc.aio.Channel | None = None
        self._stub: TaskHubSidecarServiceStub | None = None if channel is None else TaskHubSidecarServiceStub(channel)

    async def close(self) -> None:
        """Close the connection. Calls that are under way raise `ClientClosedError`."""
        self._closed.set()

        if self._own_channel is not None:
            await self._own_channel.close()

    async def run(
        self,
        call: Call[Response, Result],
        options: CallOptions,
        timeout: float | None,  # noqa: ASYNC109
    ) -> Result:
        """Make a call, as often as it takes.

        Args:
            call: The call.
            options: How to make it.
            timeout: Seconds that it may take with all its tries; None for as long as it takes.

        Returns:
            Its result.
        """
        attempts = Attempts(call, patience=options.patience, timeout=timeout)

        while not self._closed.is_set():
            try:
                sent = self._send(call, attempts.begin(), options)
                return call.read([message async for message in sent] if call.is_stream else await sent)  # type: ignore[arg-type]
            except grpc.RpcError as error:
                if self._closed.is_set():
                    break

                pause = attempts.pause_after(error)
            except asyncio.CancelledError:
                if self._is_closing():
                    break

                raise

            await self._pause(pause)

        raise self._refusal(call)

    async def stream(
        self,
        call: Call[list[Response], list[Item]],
        options: CallOptions,
        timeout: float | None,  # noqa: ASYNC109
    ) -> AsyncIterator[Item]:
        """Make a call whose response is a stream, and read that no faster than it is asked for.

        Args:
            call: The call. It is not made again once something has come, for what comes then may be another history.
            options: How to make it.
            timeout: Seconds that it may take, reading included; None for as long as it takes.

        Yields:
            Its result, one by one.
        """
        attempts = Attempts(call, patience=options.patience, timeout=timeout)

        while not self._closed.is_set():
            sent = self._send(call, attempts.begin(), options)
            has_begun = False

            try:
                async for message in sent:
                    has_begun = True

                    for item in call.read([message]):
                        yield item

                return
            except grpc.RpcError as error:
                if self._closed.is_set():
                    break

                if has_begun:
                    raise call.refusal(error.code(), error.details()) from error

                pause = attempts.pause_after(error)
            except asyncio.CancelledError:
                if self._is_closing():
                    break

                raise
            finally:
                sent.cancel()

            await self._pause(pause)

        raise self._refusal(call)

    def _send(self, call: Call[Any, Any], seconds: float | None, options: CallOptions) -> Any:
        loop = asyncio.get_running_loop()

        if self._loop is None:
            self._loop = loop

            if self._stub is None:
                # Not before the first call: a channel belongs to the event loop that runs when it is made.
                self._own_channel = self._connection.open_async_channel()
                self._stub = TaskHubSidecarServiceStub(self._own_channel)

        if self._loop is not loop:
            raise RuntimeError(f"{call}: this client belongs to another event loop; make one for each, or use one loop")

        return getattr(self._stub, call.rpc)(call.request, timeout=seconds, metadata=options.metadata())

    def _is_closing(self) -> bool:
        """Whether a cancellation is of the channel's making: it cancels its calls, and that must not look as if the task were."""
        task = asyncio.current_task()

        return self._closed.is_set() and task is not None and not task.cancelling()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    def _refusal(self, call: Call[Any, Any]) -> ClientClosedError:
        return ClientClosedError(f"{call} is not possible: the client is closed")


class AsyncCaller:
    """What the methods of a client stand on.

    Args:
        requests: Says what is sent.
        options: Says how.
        transport: Sends it.
    """

    def __init__(self, requests: Requests, options: CallOptions, transport: AsyncTransport) -> None:
        self._requests = requests
        self._options = options
        self._transport = transport

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Calls that are under way raise `ClientClosedError`; closing twice is no error."""
        await self._transport.close()

    def with_options(
        self,
        *,
        timeout: float | EllipsisType | None = ...,
        patience: float | None = None,
        metadata: MetadataSource | None = None,
    ) -> Self:
        """Make another face of this client, whose calls differ in how they are made.

        Arguments, result and errors are those of `TaskHubGrpcClient.with_options`.
        """
        other = copy.copy(self)
        other._options = self._options.changed(timeout=timeout, patience=patience, metadata=metadata)  # noqa: SLF001

        return other

    async def _run(self, call: Call[Response, Result], timeout: float | None = None) -> Result:  # noqa: ASYNC109
        with spanning(call):
            return await self._transport.run(
                call, self._options, timeout if call.repeat is Repeat.UNTIL_TIMEOUT else self._options.timeout
            )

    def _stream(self, call: Call[list[Response], list[Item]]) -> AsyncIterator[Item]:
        return self._transport.stream(call, self._options, self._options.timeout)

    async def _each(self, call: Call[Any, Batch[Item]] | None) -> AsyncIterator[Item]:
        while call is not None:
            batch = await self._run(call)

            for item in batch.items:
                yield item

            call = batch.following
