"""How much work a worker takes on at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

__all__ = ["ConcurrencyOptions"]


def _cores() -> int:
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyOptions:
    """A worker's limits. The first two are what it asks the server for, in `GetWorkItemsRequest`."""

    maximum_concurrent_activity_work_items: int = field(default_factory=lambda: 100 * _cores())
    """How many activities to have at a time, those included that wait for a thread."""
    maximum_concurrent_orchestration_work_items: int = field(default_factory=lambda: 100 * _cores())
    """How many turns of orchestrations to have at a time."""
    maximum_thread_pool_workers: int = field(default_factory=lambda: _cores() + 4)
    """How many activities that are plain functions run at a time, each in a thread. Raise it for activities that block for long."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")
