"""What the makers of all requests have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from google.protobuf import wrappers_pb2

from durabletask_client import _arguments as arguments
from durabletask_client.errors import InvalidRequestError
from durabletask_client.serialization import DataConverter

__all__ = ["RequestFactory"]


def random_id() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFactory:
    """What the makers of all requests have in common."""

    data_converter: DataConverter
    """What writes and reads payloads."""
    default_version: str | None = None
    """The version of orchestrations that are started without one."""
    new_id: Callable[[], str] = random_id
    """Where instance ids and execution ids come from: 32 lower-case hex digits each."""

    def payload(self, argument: str, value: object) -> wrappers_pb2.StringValue | None:
        """Write a payload.

        Args:
            argument: The argument that the value came in.
            value: The value; None for no payload.

        Returns:
            The payload; None for none.

        Raises:
            InvalidRequestError: It cannot be written.
        """
        try:
            return arguments.string(self.data_converter.serialize(value))
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(f"{argument}: {error}") from error
