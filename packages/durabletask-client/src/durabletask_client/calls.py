"""One RPC as a value: what is sent, how the answer is read, and what a refusal means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Generic, NamedTuple, TypeVar

import grpc
from google.protobuf.message import Message

from durabletask_client.errors import (
    DurableTaskClientError,
    InvalidRequestError,
    OrchestrationAlreadyExistsError,
    OrchestrationNotFoundError,
    OrchestrationStatusError,
    RequestFailedError,
    ServerUnavailableError,
    UnsupportedRequestError,
)

__all__ = ["MUST_BE_FREE", "MUST_EXIST", "Batch", "Call", "Repeat"]

Response = TypeVar("Response")
Result = TypeVar("Result")
Item = TypeVar("Item")


class Repeat(Enum):
    """For how long a call is sent again while the server is unavailable."""

    NEVER = auto()
    """It would not be safe: the first try may have had its effect."""
    BRIEFLY = auto()
    """For as long as the client is told to be patient."""
    UNTIL_TIMEOUT = auto()
    """For as long as the caller wants to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Response, Result]):
    """One RPC as a value."""

    rpc: str
    """Its name in the protocol."""
    request: Message
    """What is sent."""
    read: Callable[[Response], Result]
    """Turns the response into what the caller gets. The response of a stream is the list of its messages."""
    is_stream: bool = False
    """Whether the response is a stream."""
    repeat: Repeat = Repeat.NEVER
    """Whether it may be sent again."""
    instance_id: str | None = None
    """The orchestration or the entity that it is about, if about one."""
    refusals: Mapping[grpc.StatusCode, type[RequestFailedError]] = field(default_factory=dict)
    """What a status means for this call in particular."""

    def __str__(self) -> str:
        if self.instance_id is None:
            return self.rpc

        return f"{self.rpc} of {'entity' if self.instance_id.startswith('@') else 'orchestration'} {self.instance_id!r}"

    def refusal(self, code: grpc.StatusCode, details: str | None) -> DurableTaskClientError | TimeoutError:
        """Translate an error of gRPC into one of ours.

        Args:
            code: The status.
            details: The server's own words.

        Returns:
            The error to raise.
        """
        message = f"{self} failed: {details or 'the server gave no reason'} ({code.name})"

        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimeoutError(message)

        if code is grpc.StatusCode.INVALID_ARGUMENT:
            return InvalidRequestError(message)

        return self.refusals.get(code, _REFUSALS.get(code, RequestFailedError))(message, code, self.instance_id)


class Batch(NamedTuple, Generic[Item]):
    """What one call of several gives."""

    items: Sequence[Item]
    """Its part of the whole."""
    following: Call[Any, Batch[Item]] | None
    """The call that gives the next part; None after the last one."""


_REFUSALS: Mapping[grpc.StatusCode, type[RequestFailedError]] = {
    grpc.StatusCode.UNAVAILABLE: ServerUnavailableError,
    grpc.StatusCode.UNIMPLEMENTED: UnsupportedRequestError,
    grpc.StatusCode.FAILED_PRECONDITION: OrchestrationStatusError,
}

MUST_EXIST: Mapping[grpc.StatusCode, type[RequestFailedError]] = {grpc.StatusCode.NOT_FOUND: OrchestrationNotFoundError}
"""The refusals of a call for which its orchestration has to exist. For others NOT_FOUND is about the task hub."""

MUST_BE_FREE: Mapping[grpc.StatusCode, type[RequestFailedError]] = {
    grpc.StatusCode.ALREADY_EXISTS: OrchestrationAlreadyExistsError
}
"""The refusals of a call that takes an id into use."""
