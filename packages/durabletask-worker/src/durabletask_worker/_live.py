"""Orchestrations that stay in memory between their turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import OrchestrationTrace

from durabletask_worker.execution.replay import Execution

__all__ = ["LiveExecution", "LiveExecutions", "time_of"]


class LiveExecution(NamedTuple):
    """An orchestration in memory, and what it has seen."""

    instance_id: str
    """Which one."""
    execution: Execution
    """Itself; it is run, and closed, on the thread for turns alone."""
    execution_id: str | None
    """Its generation."""
    events: int
    """How many events its history has if the answer to its last turn was committed."""
    turn_at: int
    """Where in that history its last turn begins."""
    turn_time: tuple[int, int]
    """The time of the event which that turn begins with. No other turn has the same."""
    trace: OrchestrationTrace | None
    """Follows it for its spans; None when no tracer provider was set as it came into memory."""

    def has_seen(self, past_events: Sequence[pb.HistoryEvent]) -> bool:
        """Whether a whole history is the one it has seen: that its last answer was committed, and nobody else's after it."""
        return len(past_events) == self.events and time_of(past_events[self.turn_at]) == self.turn_time


class LiveExecutions:
    """The orchestrations that were active last.

    Args:
        limit: How many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._executions: OrderedDict[str, LiveExecution] = OrderedDict()

    def __len__(self) -> int:
        return len(self._executions)

    def take(self, instance_id: str) -> LiveExecution | None:
        """Take one out, for a turn.

        Args:
            instance_id: The orchestration.

        Returns:
            It, if it is there.
        """
        return self._executions.pop(instance_id, None)

    def put(self, live: LiveExecution) -> list[LiveExecution]:
        """Keep one, as the one that was active last.

        Args:
            live: It.

        Returns:
            Those that are not kept any more instead.
        """
        dropped = [old for old in (self._executions.pop(live.instance_id, None),) if old is not None]
        self._executions[live.instance_id] = live

        while len(self._executions) > self._limit:
            dropped.append(self._executions.popitem(last=False)[1])

        return dropped

    def clear(self) -> list[LiveExecution]:
        """Let go of all.

        Returns:
            Them.
        """
        dropped = list(self._executions.values())
        self._executions.clear()

        return dropped


def time_of(event: pb.HistoryEvent) -> tuple[int, int]:
    """When an event was, as plain values: the event itself would keep the whole message in memory that it came with."""
    return event.timestamp.seconds, event.timestamp.nanos
