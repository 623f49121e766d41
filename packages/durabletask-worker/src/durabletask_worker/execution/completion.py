"""How an orchestration ends, or its generation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from durabletask_client.models import OrchestrationStatus
from durabletask_protos import orchestrator_service_pb2 as pb

__all__ = ["FRAMEWORK_ID", "Completion"]

FRAMEWORK_ID = -1
"""The action id of a completion that the code had no part in; its own count may be wrong then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The end of an orchestration."""

    status: OrchestrationStatus
    result: str | None = None
    failure: pb.TaskFailureDetails | None = None
    counts: bool = True
    """Whether it is the code's doing, and one of its actions."""
    keeps_actions: bool = True
    """Whether what the code asked for before is done nevertheless."""
    saves_events: bool = False
    """Whether unread external events go on to the next generation."""
    version: str | None = None
    """The version of the next generation; None for the same."""

    def write(self, action: pb.OrchestratorAction, unread: Iterable[pb.HistoryEvent]) -> None:
        """Fill the protocol's message.

        Args:
            action: The message; its id is not touched.
            unread: The external events that nobody took.
        """
        complete = action.completeOrchestration
        complete.orchestrationStatus = pb.OrchestrationStatus.ValueType(self.status.value)

        if self.result is not None:
            complete.result.value = self.result

        if self.failure is not None:
            complete.failureDetails.CopyFrom(self.failure)

        if self.version is not None:
            complete.newVersion.value = self.version

        if self.saves_events:
            complete.carryoverEvents.extend(unread)
