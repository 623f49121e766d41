"""From an exception to what the wire takes."""

from __future__ import annotations

from types import TracebackType

from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.execution.host import Host

__all__ = ["wire_failure"]


def wire_failure(host: Host, error: BaseException) -> pb.TaskFailureDetails:
    """Describe an exception, whatever it is.

    Args:
        host: The worker.
        error: What user code raised, or what came of its result.

    Returns:
        The failure.
    """
    _begin_with_user_code(error)

    try:
        return host.failures.to_failure(error).to_proto()
    except Exception:  # noqa: BLE001 - a __str__ that raises, or a text that no wire takes
        return pb.TaskFailureDetails(errorType=ascii(type(error).__qualname__), errorMessage=ascii(error.args))


def _begin_with_user_code(error: BaseException) -> None:
    """Have the trace begin where code of the user's was called: how it was called differs from worker to worker."""
    trace: TracebackType | None = error.__traceback__

    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("durabletask_worker."):
        trace = trace.tb_next

    if trace is not None:
        error.__traceback__ = trace
