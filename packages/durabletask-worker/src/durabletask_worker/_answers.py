"""Delivers the answers of a worker, of which there is one for each work item.

grpc.aio makes a task for each call, an object that can be awaited again and again, and an entry in its channel. An answer needs none
of it, and what it needs lies right below: on gRPC's own channels, answers go there. See docs/decisions/0009-below-grpc-aio.md.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Mapping
from typing import Any, TypeAlias

import grpc
from durabletask_client.channel import CallMetadata
from durabletask_protos import SERVICE_NAME
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub

__all__ = ["CYGRPC", "Answer", "Answers", "is_known"]

Answer: TypeAlias = pb.OrchestratorResponse | pb.ActivityResponse | pb.EntityBatchResult
"""What is delivered for a work item. Its completion token is in it."""

_METHODS: Mapping[type[Answer], str] = {
    pb.OrchestratorResponse: "CompleteOrchestratorTask",
    pb.ActivityResponse: "CompleteActivityTask",
    pb.EntityBatchResult: "CompleteEntityTask",
}
_PATHS = {answer: f"/{SERVICE_NAME}/{method}".encode() for answer, method in _METHODS.items()}
_CODES: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}

CYGRPC: Any = sys.modules.get("grpc._cython.cygrpc")
"""What grpc.aio rests on; private to gRPC, and so without types."""


class Answers:
    """The calls that deliver answers.

    Args:
        channel: The connection.
        stub: The calls of grpc.aio on it.
        metadata: What goes along with a call.
    """

    def __init__(self, channel: grpc.aio.Channel, stub: TaskHubSidecarServiceStub, metadata: CallMetadata) -> None:
        self._calls = {answer: getattr(stub, method) for answer, method in _METHODS.items()}
        self._below = _below(channel)
        self._metadata = metadata

    @property
    def is_below(self) -> bool:
        """Whether answers go below grpc.aio."""
        return self._below is not None

    async def deliver(self, answer: Answer) -> None:
        """Deliver an answer. Waits for the connection for as long as it takes.

        Args:
            answer: The answer.

        Raises:
            grpc.aio.AioRpcError: The call failed.
        """
        kind, metadata = type(answer), self._metadata()

        if self._below is None:
            await self._calls[kind](answer, metadata=metadata, wait_for_ready=True)
        else:
            await _call(self._below, _PATHS[kind], answer.SerializeToString(), metadata)


def _below(channel: grpc.aio.Channel) -> Any:
    """What lies below a channel; None if it is not as known here, or if interceptors of the channel must see the calls."""
    below = getattr(channel, "_channel", None)
    is_plain = getattr(channel, "_unary_unary_interceptors", None) == []

    return below if is_plain and is_known(CYGRPC) and isinstance(below, CYGRPC.AioChannel) else None


def is_known(cygrpc: Any) -> bool:
    """Say whether gRPC is below as it is taken to be here. It may change with any version.

    Args:
        cygrpc: What grpc.aio rests on.

    Returns:
        Whether it has the calls, with the arguments, that are used here.
    """
    try:
        channel, call = cygrpc.AioChannel, cygrpc._AioCall  # noqa: SLF001 - see above
        inspect.signature(channel.call).bind(channel, b"method", None, None, True)
        inspect.signature(call.unary_unary).bind(call, b"request", ())
    except (AttributeError, TypeError, ValueError):
        return False

    return all(hasattr(call, name) for name in ("cancel", "is_ok", "status"))


async def _call(below: Any, path: bytes, request: bytes, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
    call = below.call(path, None, None, True)

    try:
        await call.unary_unary(request, metadata)
    except asyncio.CancelledError:
        call.cancel("the worker does not wait for it any more")

        raise

    if not call.is_ok():
        status = await call.status()

        raise grpc.aio.AioRpcError(
            _CODES.get(status.code(), grpc.StatusCode.UNKNOWN),
            grpc.aio.Metadata(),
            grpc.aio.Metadata.from_tuple(status.trailing_metadata()),
            details=status.details(),
            debug_error_string=status.debug_error_string(),
        )
