"""From bytes to a request, from an exception to a status: what all RPCs share."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Generic, TypeAlias, TypeVar

import grpc
from durabletask_backend.errors import HubMissingError, LeaseLostError, StorageFailedError
from google.protobuf.message import DecodeError, Message

from durabletask_server.engine.lifecycle import InvalidRequestError, NotAllowedError
from durabletask_server.journal import JournalClosedError, JournalFullError
from durabletask_server.taskhub import DEFAULT_HUB
from durabletask_server.turns import TurnRefusedError
from durabletask_server.waiters import ServerStoppingError

log = logging.getLogger(__name__)

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Request = TypeVar("Request", bound=Message)


class NotFoundError(Exception):
    """What is asked about does not exist."""


class InstanceExistsError(Exception):
    """The id is taken."""


STATUS_OF: dict[type[Exception], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    HubMissingError: grpc.StatusCode.NOT_FOUND,
    InstanceExistsError: grpc.StatusCode.ALREADY_EXISTS,
    NotAllowedError: grpc.StatusCode.FAILED_PRECONDITION,
    JournalFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TurnRefusedError: grpc.StatusCode.ABORTED,
    LeaseLostError: grpc.StatusCode.ABORTED,
    StorageFailedError: grpc.StatusCode.UNAVAILABLE,
    JournalClosedError: grpc.StatusCode.UNAVAILABLE,
    ServerStoppingError: grpc.StatusCode.UNAVAILABLE,
}
"""How the exceptions that a request can cause are told to its caller. Any other is a defect, and INTERNAL."""


_MAX_HUB = 100
"""Characters of a hub's name."""


def hub_of(context: Context) -> str:
    """The name of the hub that a call is for, by its `taskhub` metadata; the default one where that is absent or empty.

    Raises:
        InvalidRequestError: No hub can have that name.
    """
    name = DEFAULT_HUB

    for key, value in context.invocation_metadata() or ():
        if key == "taskhub" and value:
            name = value.decode() if isinstance(value, bytes) else value

    if len(name) > _MAX_HUB:
        raise InvalidRequestError("taskhub", f"has {len(name)} characters; at most {_MAX_HUB} are allowed")

    # They separate the parts of a completion token.
    if any(character < " " for character in name):
        raise InvalidRequestError("taskhub", f"{name!r} has control characters; leave them out")

    return name


class Unary(Generic[Request]):
    """An RPC with one request and one response.

    Args:
        request_type: What it is asked.
        method: Answers a request to a hub; its exceptions become statuses.
        exists: Whether there is a hub of that name; None where none has to be there.
    """

    def __init__(
        self,
        request_type: type[Request],
        method: Callable[[str, Request], Awaitable[Message]],
        exists: Callable[[str], Awaitable[bool]] | None,
    ) -> None:
        self._request_type = request_type
        self._method = method
        self._exists = exists

    async def __call__(self, request: Request, context: Context) -> Message:
        """Answer a call whose request is decoded already, and is not changed."""
        try:
            return await self._method(await _hub(context, self._exists), request)
        except Exception as error:
            await abort(context, error)
            raise

    def handler(self) -> grpc.RpcMethodHandler[bytes, bytes]:
        """What a server needs to serve it."""

        async def call(raw: bytes, context: Context) -> bytes:
            return (await self(await _parsed(self._request_type, raw, context), context)).SerializeToString()

        return grpc.unary_unary_rpc_method_handler(call)


class Streaming(Generic[Request]):
    """An RPC with a stream of encoded responses; otherwise as `Unary`.

    Args:
        request_type: What it is asked.
        method: Answers a request to a hub.
        exists: Whether there is a hub of that name.
    """

    def __init__(
        self,
        request_type: type[Request],
        method: Callable[[str, Request, Context], AsyncGenerator[bytes, None]],
        exists: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._request_type = request_type
        self._method = method
        self._exists = exists

    async def __call__(self, request: Request, context: Context) -> AsyncGenerator[bytes, None]:
        """Answer a call whose request is decoded already, and is not changed."""
        try:
            hub = await _hub(context, self._exists)

            async with aclosing(self._method(hub, request, context)) as responses:
                async for response in responses:
                    yield response
        except Exception as error:  # noqa: BLE001 - told to the caller
            await abort(context, error)

    def handler(self) -> grpc.RpcMethodHandler[bytes, bytes]:
        """What a server needs to serve it."""

        async def call(raw: bytes, context: Context) -> AsyncGenerator[bytes, None]:
            async with aclosing(self(await _parsed(self._request_type, raw, context), context)) as responses:
                async for response in responses:
                    yield response

        return grpc.unary_stream_rpc_method_handler(call)


Rpc: TypeAlias = "Unary[Any] | Streaming[Any]"


class Rpcs:
    """Makes RPCs.

    Args:
        exists: Whether there is a hub of that name.
    """

    def __init__(self, exists: Callable[[str], Awaitable[bool]]) -> None:
        self._exists = exists

    def unary(
        self,
        request_type: type[Request],
        method: Callable[[str, Request], Awaitable[Message]],
        *,
        needs_hub: bool = True,
    ) -> Unary[Request]:
        """See `Unary`.

        Args:
            request_type: What it is asked.
            method: Answers a request to a hub; its exceptions become statuses.
            needs_hub: Whether the hub has to be there.
        """
        return Unary(request_type, method, self._exists if needs_hub else None)

    def streaming(
        self, request_type: type[Request], method: Callable[[str, Request, Context], AsyncGenerator[bytes, None]]
    ) -> Streaming[Request]:
        """See `Streaming`."""
        return Streaming(request_type, method, self._exists)


async def _hub(context: Context, exists: Callable[[str], Awaitable[bool]] | None) -> str:
    """The hub that a call is for.

    Raises:
        InvalidRequestError: No hub can have that name.
        HubMissingError: There is none.
    """
    hub = hub_of(context)

    if exists is not None and not await exists(hub):
        raise HubMissingError(hub)

    return hub


async def _parsed(request_type: type[Request], raw: bytes, context: Context) -> Request:
    try:
        return parse(request_type, raw)
    except InvalidRequestError as error:
        await abort(context, error)
        raise


def parse(request_type: type[Request], raw: bytes) -> Request:
    """Decode a request.

    Raises:
        InvalidRequestError: It is not one.
    """
    try:
        return request_type.FromString(raw)
    except DecodeError as error:
        raise InvalidRequestError(request_type.DESCRIPTOR.name, f"is not a well-formed message ({error})") from error


async def abort(context: Context, error: Exception) -> None:
    """End a call with the status of an exception."""
    if isinstance(error, grpc.aio.AbortError):
        raise error

    status = STATUS_OF.get(type(error))

    if status is None:
        log.error("a request failed in a way that is a defect of the server", exc_info=error)
        await context.abort(grpc.StatusCode.INTERNAL, f"internal error: {type(error).__name__}: {error}")
    else:
        await context.abort(status, str(error))
