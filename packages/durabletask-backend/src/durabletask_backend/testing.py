"""Doubles for those who test what is built on a backend."""

from __future__ import annotations

from collections.abc import Sequence

from durabletask_backend.errors import StorageFailedError
from durabletask_backend.memory import MemoryBackend
from durabletask_backend.mutations import Batch, Outcome
from durabletask_backend.values import Lease


class FaultyBackend(MemoryBackend):
    """A memory backend whose commits fail when they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []
        """What was asked to be committed, in order."""
        self._faults: list[bool] = []
        self._silent = 0

    def fail_next(self, *, applied: bool, silent: int = 0) -> None:
        """Let the next commit that has no fault yet fail.

        Args:
            applied: Whether it takes effect all the same: its acknowledgement is lost.
            silent: How often `outcomes` fails, too, before it answers.
        """
        self._faults.append(applied)
        self._silent += silent

    async def commit(self, batch: Batch) -> Sequence[Outcome]:
        """See `Backend.commit`."""
        self.batches.append(batch)

        if not self._faults:
            return await super().commit(batch)

        if self._faults.pop(0):
            await super().commit(batch)

        raise StorageFailedError("told to fail")

    async def outcomes(self, lease: Lease, batch_id: str) -> Sequence[Outcome] | None:
        """See `Backend.outcomes`."""
        if self._silent:
            self._silent -= 1
            raise StorageFailedError("told to say nothing")

        return await super().outcomes(lease, batch_id)
