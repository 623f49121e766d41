"""An open backend under test, with one word for each thing the tests do and look at."""

from __future__ import annotations

from durabletask_backend.contract import Backend
from durabletask_backend.mutations import Batch, Mutation, Outcome
from durabletask_backend.values import (
    ANY_WORK,
    Cursor,
    DueMessage,
    HistoryChunk,
    Instance,
    InstanceFilter,
    InstanceKey,
    Lease,
    LoadedEntity,
    LoadedInstance,
    QueryOrder,
    Task,
    TaskKey,
    WorkNames,
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

    async def find(self, key: InstanceKey) -> LoadedInstance | None:
        """Load an instance; None where there is none, or another has it."""
        found = await self._find(key)
        assert not isinstance(found, LoadedEntity), f"{key} should be an instance"

        return found

    async def load(self, key: InstanceKey) -> LoadedInstance:
        """Like `find`, of an instance that must exist and be this owner's or nobody's."""
        found = await self.find(key)
        assert found is not None, f"{key} should exist"

        return found

    async def find_entity(self, key: InstanceKey) -> LoadedEntity | None:
        """Load an entity; None where there is none, or another has it."""
        found = await self._find(key)
        assert not isinstance(found, LoadedInstance), f"{key} should be an entity"

        return found

    async def load_entity(self, key: InstanceKey) -> LoadedEntity:
        """Like `find_entity`, of an entity that must exist and be this owner's or nobody's."""
        found = await self.find_entity(key)
        assert found is not None, f"{key} should exist"

        return found

    async def _find(self, key: InstanceKey) -> LoadedInstance | LoadedEntity | None:
        loaded = await self.backend.load(self.lease, [key])
        assert set(loaded) <= {key}, "load gives what it was asked for"

        return loaded.get(key)

    async def record(self, key: InstanceKey) -> Instance:
        """The record of an instance that must exist."""
        found = await self.backend.get(key)
        assert found is not None, f"{key} should exist"

        return found

    async def inbox(self, key: InstanceKey) -> list[bytes]:
        """The payloads in the inbox of an instance or an entity, in order of delivery."""
        found = await self._find(key)
        assert found is not None, f"{key} should exist"

        return [message.payload for message in found.inbox]

    async def claimed(self, *, names: WorkNames = ANY_WORK) -> list[InstanceKey]:
        """The instances and entities with something to do that this owner has or can get."""
        return list(await self.backend.claim_instances(self.lease, names=names))

    async def history(self, key: InstanceKey, *, after: int = 0, execution_id: str | None = None) -> list[HistoryChunk]:
        """The chunks of an instance's history."""
        return [chunk async for chunk in self.backend.history(key, after=after, execution_id=execution_id)]

    async def open_tasks(self, *, names: WorkNames = ANY_WORK) -> list[Task]:
        """The open tasks of the store that this owner has or can get."""
        return list(await self.backend.claim_tasks(self.lease, names=names))

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
