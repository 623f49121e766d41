"""The context of an activity."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ActivityContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityContext:
    """What an activity knows of the task that it carries out."""

    name: str
    """The name that the activity was asked for under."""
    orchestration_id: str
    """The orchestration that asked for it."""
    task_id: int
    """The number of the task in that orchestration. With the orchestration's id it is the same each time that the task is
    handed out again, and so tells a repetition."""
