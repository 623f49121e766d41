"""How an orchestration's end becomes a value or an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durabletask_client.annotations import return_type
from durabletask_client.errors import OrchestrationTerminatedError
from durabletask_client.models import OrchestrationState, OrchestrationStatus

__all__ = ["output_of"]


def output_of(
    instance_id: str,
    state: OrchestrationState | None,
    orchestrator: Callable[..., object] | str,
    expected_type: object = None,
) -> Any:
    """Take the output of an orchestration that has ended.

    Args:
        instance_id: The orchestration.
        state: Its state at its end; None if it was purged before it could be read.
        orchestrator: What it ran. Its annotation says which type to rebuild, unless `expected_type` does.
        expected_type: The type to rebuild; None for what the orchestrator says.

    Returns:
        What the orchestrator returned.

    Raises:
        OrchestrationFailedError: It failed.
        OrchestrationTerminatedError: It ended from outside: terminated, canceled or purged.
        TypeError: The output is of another type.
        ValueError: The output is malformed.
    """
    if state is None:
        raise OrchestrationTerminatedError(instance_id, "was purged")

    state.raise_if_failed()

    if state.runtime_status is not OrchestrationStatus.COMPLETED:
        raise OrchestrationTerminatedError(instance_id, f"ended as {state.runtime_status.name}")

    if expected_type is None and not isinstance(orchestrator, str):
        expected_type = return_type(orchestrator)

    return state.get_output(expected_type)
