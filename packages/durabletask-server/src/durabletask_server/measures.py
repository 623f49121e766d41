"""What is told of the engine's work, for those who measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durabletask_backend.values import RuntimeStatus

if TYPE_CHECKING:
    from durabletask_server.dispatch.stream import WorkItem


class Measures:
    """Is told what happens, on the event loop, and keeps nothing. Override what is to be measured; it must be quick."""

    def handed_out(self, item: WorkItem) -> None:
        """A worker was given an item."""

    def answered(self, item: WorkItem) -> None:
        """A worker answered an item."""

    def returned(self, item: WorkItem) -> None:
        """A worker gave an item back, or was lost with it."""

    def ended(self, status: RuntimeStatus, events: int, size: int) -> None:
        """A generation of an orchestration ended.

        Args:
            status: As what; RUNNING when it continues as new.
            events: How many its history has.
            size: How many bytes.
        """

    def committed(self, seconds: float, mutations: int) -> None:
        """A batch was committed.

        Args:
            seconds: How long that took.
            mutations: How many were in it.
        """

    def storage_failed(self) -> None:
        """A commit failed, or the store did not say what became of one."""
