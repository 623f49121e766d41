"""What a client raises, besides the builtin `TimeoutError` of a wait that took too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

    from durabletask_client.failures import FailureDetails

__all__ = [
    "ClientClosedError",
    "DurableTaskClientError",
    "InvalidRequestError",
    "OrchestrationAlreadyExistsError",
    "OrchestrationFailedError",
    "OrchestrationNotFoundError",
    "OrchestrationStatusError",
    "OrchestrationTerminatedError",
    "RequestFailedError",
    "ServerUnavailableError",
    "UnsupportedRequestError",
]


class DurableTaskClientError(Exception):
    """The root of every error of this package."""


class OrchestrationFailedError(DurableTaskClientError):
    """An orchestration ended as FAILED.

    Args:
        instance_id: The orchestration.
        failure_details: Why it failed.
    """

    def __init__(self, instance_id: str, failure_details: FailureDetails) -> None:
        super().__init__(
            f"orchestration {instance_id!r} failed with {failure_details.error_type}: {failure_details.message}"
        )
        self.instance_id = instance_id
        self.failure_details = failure_details

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.instance_id, self.failure_details)


class OrchestrationTerminatedError(DurableTaskClientError):
    """An orchestration was ended from outside, and has no result: terminated, canceled, or purged while it was waited for.

    Args:
        instance_id: The orchestration.
        how: How it ended, as in "ended as TERMINATED".
    """

    def __init__(self, instance_id: str, how: str) -> None:
        super().__init__(f"orchestration {instance_id!r} {how}")
        self.instance_id = instance_id
        self.how = how

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.instance_id, self.how)


class ClientClosedError(DurableTaskClientError):
    """The client was closed; make another one."""


class InvalidRequestError(DurableTaskClientError, ValueError):
    """An argument is not acceptable, as the message says. Found out here, or by the server (INVALID_ARGUMENT)."""


class RequestFailedError(DurableTaskClientError):
    """The server refused a request, or could not be asked. Raised itself where none of the more specific errors fits.

    Args:
        message: What was asked, and the server's own words.
        code: The gRPC status.
        instance_id: The orchestration or the entity that the request was about, if about one.
    """

    def __init__(self, message: str, code: grpc.StatusCode, instance_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.instance_id = instance_id

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.code, self.instance_id)


class ServerUnavailableError(RequestFailedError):
    """The server cannot be reached, or cannot serve now (UNAVAILABLE). Whether the request had an effect is not known."""


class OrchestrationAlreadyExistsError(RequestFailedError):
    """The id is taken, and the reuse policy does not allow to replace what has it (ALREADY_EXISTS)."""


class OrchestrationNotFoundError(RequestFailedError):
    """There is no orchestration with that id (NOT_FOUND)."""


class OrchestrationStatusError(RequestFailedError):
    """The orchestration's status does not allow what was asked (FAILED_PRECONDITION)."""


class UnsupportedRequestError(RequestFailedError):
    """The server does not offer what was asked (UNIMPLEMENTED)."""
