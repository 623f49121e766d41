"""How much work a worker takes on at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

__all__ = ["ConcurrencyOptions"]

_MAY_BE_ZERO = frozenset({"maximum_live_executions"})


def _cores() -> int:
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyOptions:
    """A worker's limits. The first three are what it asks the server for, in `GetWorkItemsRequest`.

    Raises:
        ValueError: A limit is less than 1, or `maximum_live_executions` less than 0.
    """

    maximum_concurrent_activity_work_items: int = field(default_factory=lambda: 100 * _cores())
    """How many activities to have at a time, those included that wait for a thread."""
    maximum_concurrent_orchestration_work_items: int = field(default_factory=lambda: 100 * _cores())
    """How many turns of orchestrations to have at a time."""
    maximum_concurrent_entity_work_items: int = field(default_factory=lambda: 100 * _cores())
    """How many batches of operations of entities to have at a time, those included that wait for a thread."""
    maximum_thread_pool_workers: int = field(default_factory=lambda: _cores() + 4)
    """How many activities and operations that are plain functions run at a time, each in a thread. Raise it for such that block for
    long."""
    maximum_live_executions: int = 1000
    """How many orchestrations to keep in memory between their turns, so that their histories need neither be sent nor replayed;
    those that rested longest go first. 0 for none."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            least = 0 if name in _MAY_BE_ZERO else 1

            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")
