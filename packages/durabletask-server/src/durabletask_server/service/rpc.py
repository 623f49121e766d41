"""From bytes to a request, from an exception to a status: what all RPCs share."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeAlias, TypeVar

import grpc
from durabletask_backend.errors import HubMissingError, LeaseLostError, StorageFailedError
from google.protobuf.message import DecodeError, Message

from durabletask_server.engine.lifecycle import InvalidRequestError
from durabletask_server.journal import JournalClosedError, JournalFullError
from durabletask_server.orchestrations import TurnRefusedError
from durabletask_server.taskhub import DEFAULT_HUB
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
    JournalFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TurnRefusedError: grpc.StatusCode.ABORTED,
    LeaseLostError: grpc.StatusCode.ABORTED,
    StorageFailedError: grpc.StatusCode.UNAVAILABLE,
    JournalClosedError: grpc.StatusCode.UNAVAILABLE,
    ServerStoppingError: grpc.StatusCode.UNAVAILABLE,
}
"""How the exceptions that a request can cause are told to its caller. Any other is a defect, and INTERNAL."""


def hub_of(context: Context) -> str:
    """The hub a call is for, by its `taskhub` metadata.

    Raises:
        HubMissingError: It names one that does not exist.
    """
    for key, value in context.invocation_metadata() or ():
        if key == "taskhub":
            name = value.decode() if isinstance(value, bytes) else value

            if name not in ("", DEFAULT_HUB):
                raise HubMissingError(name)

    return DEFAULT_HUB


def unary(
    request_type: type[Request], method: Callable[[str, Request], Awaitable[Message]]
) -> grpc.RpcMethodHandler[bytes, bytes]:
    """The handler of an RPC with one request and one response.

    Args:
        request_type: What it is asked.
        method: Answers a request to a hub; its exceptions become statuses.
    """

    async def call(raw: bytes, context: Context) -> bytes:
        try:
            return (await method(hub_of(context), parse(request_type, raw))).SerializeToString()
        except Exception as error:
            await abort(context, error)
            raise

    return grpc.unary_unary_rpc_method_handler(call)


def streaming(
    request_type: type[Request], method: Callable[[str, Request, Context], AsyncGenerator[bytes, None]]
) -> grpc.RpcMethodHandler[bytes, bytes]:
    """The handler of an RPC with a stream of encoded responses; otherwise as `unary`."""

    async def call(raw: bytes, context: Context) -> AsyncIterator[bytes]:
        try:
            async with aclosing(method(hub_of(context), parse(request_type, raw), context)) as responses:
                async for response in responses:
                    yield response
        except Exception as error:  # noqa: BLE001 - told to the caller
            await abort(context, error)

    return grpc.unary_stream_rpc_method_handler(call)


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


def unimplemented(name: str) -> grpc.RpcMethodHandler[bytes, bytes]:
    """The handler of an RPC that is yet to come."""

    async def call(_: bytes, context: Context) -> bytes:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name} is not implemented by this version of the server")

    return grpc.unary_unary_rpc_method_handler(call)
