"""Doubles for those who test what is built on a backend."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from durabletask_backend.errors import StorageFailedError
from durabletask_backend.memory import MemoryBackend, MemoryStore
from durabletask_backend.mutations import Batch, Outcome
from durabletask_backend.values import (
    Cursor,
    InstanceFilter,
    InstanceKey,
    InstancePage,
    Lease,
    LoadedEntity,
    LoadedInstance,
    QueryOrder,
    TaskKey,
)

__all__ = ["FaultyBackend", "OneByOneBackend"]


class FaultyBackend(MemoryBackend):
    """A memory backend whose calls fail, or take their time, when they are told to, and are counted.

    Args:
        store: What it shares with others; None for a store of its own.
    """

    def __init__(self, store: MemoryStore | None = None) -> None:
        super().__init__(store)
        self.batches: list[Batch] = []
        """What was asked to be committed, in order."""
        self.calls: Counter[str] = Counter()
        """How often `outcomes`, `load`, `release` and `delete_hub` were called."""
        self.has_read = asyncio.Event()
        """Set as soon as a `load` has read what it tells of."""
        self.may_tell = asyncio.Event()
        """A `load` tells of what it has read once this is set, as it is at first: as a database does that reads beside its writer."""
        self.may_tell.set()
        self._faults: list[bool] = []
        self._failing: Counter[str] = Counter()

    def fail_next(self, *, applied: bool, silent: int = 0) -> None:
        """Let the next commit that has no fault yet fail.

        Args:
            applied: Whether it takes effect all the same: its acknowledgement is lost.
            silent: How often `outcomes` fails, too, before it answers.
        """
        self._faults.append(applied)
        self.fail("outcomes", times=silent)

    def fail(self, call: str, *, times: int = 1) -> None:
        """Let calls fail.

        Args:
            call: `outcomes`, `load`, `release` or `delete_hub`.
            times: How many of the next ones.
        """
        self._failing[call] += times

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
        self._called("outcomes")

        return await super().outcomes(lease, batch_id)

    async def load(
        self, lease: Lease, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, LoadedInstance | LoadedEntity]:
        """See `Backend.load`."""
        self._called("load")
        loaded = await super().load(lease, keys)
        self.has_read.set()
        await self.may_tell.wait()

        return loaded

    async def release(self, lease: Lease, keys: Collection[InstanceKey] = (), tasks: Collection[TaskKey] = ()) -> None:
        """See `Backend.release`."""
        self._called("release")
        await super().release(lease, keys, tasks)

    async def delete_hub(self, hub: str) -> bool:
        """See `Backend.delete_hub`."""
        self._called("delete_hub")

        return await super().delete_hub(hub)

    def _called(self, call: str) -> None:
        self.calls[call] += 1

        if self._failing[call]:
            self._failing[call] -= 1
            raise StorageFailedError("told to fail")


class OneByOneBackend(MemoryBackend):
    """A memory backend that looks at one instance for a page, and gives it if it matches: most pages of a search have nothing in them."""

    async def query(
        self,
        hub: str,
        where: InstanceFilter,
        *,
        order: QueryOrder = QueryOrder.CREATED,
        after: Cursor | None = None,
        limit: int = 100,
        payloads: bool = False,
    ) -> InstancePage:
        """See `Backend.query`."""
        page = await super().query(hub, InstanceFilter(), order=order, after=after, limit=1, payloads=payloads)
        found = await super().query(hub, where, order=order, after=after, limit=1, payloads=payloads)

        return replace(page, instances=tuple(each for each in page.instances if each in found.instances))
