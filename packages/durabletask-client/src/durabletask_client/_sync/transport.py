"""How the calls of a client for threads are made."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
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

__all__ = ["Caller", "Transport"]

Response = TypeVar("Response")
Result = TypeVar("Result")
Item = TypeVar("Item")


class Transport:
    """A connection, and the calls over it. Safe to share between threads.

    Args:
        connection: How to reach the server.
        channel: A channel to use instead; it is not closed with the transport.
    """

    def __init__(self, connection: ConnectionSettings, channel: grpc.Channel | None) -> None:
        self._closed = threading.Event()
        self._own_channel: grpc.Channel | None = None

        if channel is None:
            channel = self._own_channel = connection.open_channel()

        self._stub = TaskHubSidecarServiceStub(channel)

    def close(self) -> None:
        """Close the connection. Calls that are under way raise `ClientClosedError`."""
        self._closed.set()

        if self._own_channel is not None:
            self._own_channel.close()

    def run(self, call: Call[Response, Result], options: CallOptions, timeout: float | None) -> Result:
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
                return call.read([*sent] if call.is_stream else sent)  # type: ignore[arg-type]
            except grpc.RpcError as error:
                if self._closed.is_set():
                    break

                pause = attempts.pause_after(error)

            self._closed.wait(pause)

        raise self._refusal(call)

    def stream(
        self, call: Call[list[Response], list[Item]], options: CallOptions, timeout: float | None
    ) -> Iterator[Item]:
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
                for message in sent:
                    has_begun = True
                    yield from call.read([message])

                return
            except grpc.RpcError as error:
                if self._closed.is_set():
                    break

                if has_begun:
                    raise call.refusal(error.code(), error.details()) from error

                pause = attempts.pause_after(error)
            finally:
                sent.cancel()

            self._closed.wait(pause)

        raise self._refusal(call)

    def _send(self, call: Call[Any, Any], seconds: float | None, options: CallOptions) -> Any:
        try:
            return getattr(self._stub, call.rpc)(call.request, timeout=seconds, metadata=options.metadata())
        except ValueError as error:
            # So gRPC says that the channel is closed.
            if self._closed.is_set():
                raise self._refusal(call) from error

            raise

    def _refusal(self, call: Call[Any, Any]) -> ClientClosedError:
        return ClientClosedError(f"{call} is not possible: the client is closed")


class Caller:
    """What the methods of a client stand on.

    Args:
        requests: Says what is sent.
        options: Says how.
        transport: Sends it.
    """

    def __init__(self, requests: Requests, options: CallOptions, transport: Transport) -> None:
        self._requests = requests
        self._options = options
        self._transport = transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Calls that are under way raise `ClientClosedError`; closing twice is no error."""
        self._transport.close()

    def with_options(
        self,
        *,
        timeout: float | EllipsisType | None = ...,
        patience: float | None = None,
        metadata: MetadataSource | None = None,
    ) -> Self:
        """Make another face of this client, whose calls differ in how they are made. It costs next to nothing: the connection
        is the same, and closing either closes it.

        Args:
            timeout: Seconds that a call may take with all its tries, before it raises `TimeoutError`; None for as long as it
                takes. A page is a call, and so is a history; a wait has a timeout of its own. `...`: as before.
            patience: Seconds for which what is safe to repeat is tried again while the server is unavailable; 0 for one try.
                None: as before.
            metadata: What goes along with each call, besides what does already; None for nothing.

        Returns:
            The client.
        """
        other = copy.copy(self)
        other._options = self._options.changed(timeout=timeout, patience=patience, metadata=metadata)  # noqa: SLF001

        return other

    def _run(self, call: Call[Response, Result], timeout: float | None = None) -> Result:
        with spanning(call):
            return self._transport.run(
                call, self._options, timeout if call.repeat is Repeat.UNTIL_TIMEOUT else self._options.timeout
            )

    def _stream(self, call: Call[list[Response], list[Item]]) -> Iterator[Item]:
        return self._transport.stream(call, self._options, self._options.timeout)

    def _each(self, call: Call[Any, Batch[Item]] | None) -> Iterator[Item]:
        while call is not None:
            batch = self._run(call)
            yield from batch.items
            call = batch.following
