"""What a worker says of itself."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WorkerStatistics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatistics:
    """How a worker is doing, at one moment. What is counted is counted from its start."""

    is_connected: bool = False
    """Whether the server has answered, and the stream of work has not broken since."""
    running_orchestrations: int = 0
    """Turns that are not answered yet."""
    running_activities: int = 0
    """Activities that are not answered yet."""
    running_entities: int = 0
    """Batches of operations that are not answered yet."""
    live_executions: int = 0
    """Orchestrations that are kept in memory between their turns."""
    replays: int = 0
    """Turns that began with a replay of the history, as their orchestration was not in memory."""
    completed: int = 0
    """Work items whose answers the server has."""
    abandoned: int = 0
    """Work items that were given back."""
    blocked_turns: int = 0
    """Turns that were given up, as orchestrator code blocked for longer than `turn_timeout`."""
