"""An open backend under test, with one word for each thing the tests do and look at."""

from __future__ import annotations

from durabletask_backend.conformance.samples import FOREVER
from durabletask_backend.contract import Backend
from durabletask_backend.mutations import Batch, Mutation, Outcome
from durabletask_backend.values import (
    Cursor,
    DueMessage,
    HistoryChunk,
    Instance,
    InstanceFilter,
    InstanceKey,
    Lease,
    LoadedInstance,
    Micros,
    QueryOrder,
    Task,
    TaskKey,
)


class Driver:
    """One owner of the store under test.

    Args:
        backend: The backend, opened.
        lease: The lease it gave.
    """

    def __init__(self, backend: Backend, lease: Lease) -> None:
        self.backend = backend
        self.lease = lease
        self._batches = 0

    def batch(self, *mutations: Mutation) -> Batch:
        """A batch of these mutations, with an id of its own."""
        self._batches += 1

        return Batch(id=f"{self.lease.owner}.{self.lease.epoch}.{self._batches}", lease=self.lease, mutations=mutations)

    async def commit(self, *mutations: Mutation) -> list[Outcome]:
        """Commit these mutations as one batch."""
        outcomes = list(await self.backend.commit(self.batch(*mutations)))
        assert len(outcomes) == len(mutations), "a batch has one outcome a mutation"

        return outcomes

    async def apply(self, mutation: Mutation) -> Outcome:
        """Commit one mutation."""
        (outcome,) = await self.commit(mutation)

        return outcome

    async def find(self, key: InstanceKey, *, now: Micros = FOREVER) -> LoadedInstance | None:
        """Load an instance, with its delayed messages too unless `now` says otherwise; None where there is none."""
        loaded = await self.backend.load([key], now=now)
        assert set(loaded) <= {key}, "load gives what it was asked for"

        return loaded.get(key)

    async def load(self, key: InstanceKey, *, now: Micros = FOREVER) -> LoadedInstance:
        """Like `find`, of an instance that must exist."""
        found = await self.find(key, now=now)
        assert found is not None, f"{key} should exist"

        return found

    async def record(self, key: InstanceKey) -> Instance:
        """The record of an instance that must exist."""
        found = await self.backend.get(key)
        assert found is not None, f"{key} should exist"

        return found

    async def inbox(self, key: InstanceKey, *, now: Micros = FOREVER) -> list[bytes]:
        """The payloads in the inbox of an instance, in order of delivery."""
        return [message.payload for message in (await self.load(key, now=now)).inbox]

    async def history(self, key: InstanceKey, *, after: int = 0, execution_id: str | None = None) -> list[HistoryChunk]:
        """The chunks of an instance's history."""
        return [chunk async for chunk in self.backend.history(key, after=after, execution_id=execution_id)]

    async def open_tasks(self) -> list[Task]:
        """The open tasks of the store that this owner has or can get."""
        return list(await self.backend.claim_tasks(self.lease))

    async def open_task_keys(self) -> list[TaskKey]:
        """The keys of `open_tasks`."""
        return [task.key for task in await self.open_tasks()]

    async def due(self, *, after: DueMessage | None = None, limit: int = 1000) -> list[DueMessage]:
        """The delayed messages that come next."""
        return list(await self.backend.due(after=after, limit=limit))

    async def query_ids(
        self,
        hub: str,
        where: InstanceFilter | None = None,
        *,
        order: QueryOrder = QueryOrder.CREATED,
        limit: int = 1000,
    ) -> list[str]:
        """The ids of all instances that match, gathered page by page."""
        ids: list[str] = []
        after: Cursor | None = None

        while True:
            page = await self.backend.query(
                hub, where or InstanceFilter(), order=order, after=after, limit=limit, payloads=False
            )
            assert len(page.instances) <= limit, "a page has at most `limit` instances"
            ids += [instance.key.instance_id for instance in page.instances]

            if page.next is None:
                return ids

            assert len(page.instances) == limit, "only the last page may be short"
            after = page.next
