"""The reference backend: everything in dictionaries, nothing kept when the process ends.

It is what the conformance suite itself is tested with, the pace that a durable backend is measured against, and a store that several
owners can share in one process, so that leases, claims and fencing are tested for real.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from durabletask_backend._memory_entities import entity_page, shown_entity
from durabletask_backend._memory_instances import instance_page, shown_instance
from durabletask_backend._memory_store import MemoryStore, Owner, Watcher, is_wanted
from durabletask_backend._memory_writes import changed, write
from durabletask_backend.contract import Hint
from durabletask_backend.errors import LeaseLostError, LocationError
from durabletask_backend.mutations import Batch, Outcome
from durabletask_backend.plan import RowsRead, Stored, plan, rows_read
from durabletask_backend.values import (
    ANY_WORK,
    Cursor,
    DueMessage,
    Entity,
    EntityFilter,
    EntityPage,
    HistoryChunk,
    Hub,
    Instance,
    InstanceFilter,
    InstanceKey,
    InstancePage,
    Lease,
    LoadedEntity,
    LoadedInstance,
    QueryOrder,
    RuntimeStatus,
    Task,
    TaskKey,
    WorkNames,
)

__all__ = ["MemoryBackend", "MemoryStore", "open_url"]


class MemoryBackend:
    """A backend in memory.

    Args:
        store: Where; a fresh one of its own if not given, and then it is the only owner.
    """

    def __init__(self, store: MemoryStore | None = None) -> None:
        self._store = store or MemoryStore()
        self._shared = store is not None
        self._lease: Lease | None = None

    @property
    def description(self) -> str:
        """For the log."""
        return "memory (nothing is kept when the server stops)"

    @property
    def shared(self) -> bool:
        """Whether it was given a store that others may have, too."""
        return self._shared

    async def open(self, owner: str, *, ttl: float = 30.0) -> Lease:
        """See `Backend.open`."""
        store = self._store
        entry = store.owners.setdefault(owner, Owner())
        entry.epoch += 1
        entry.ttl = int(ttl * 1_000_000)
        entry.expires = store.clock() + entry.ttl
        self._lease = Lease(owner=owner, epoch=entry.epoch)

        return self._lease

    async def close(self) -> None:
        """See `Backend.close`."""
        lease, self._lease = self._lease, None

        if lease is None:
            return

        for watcher in self._store.watchers:
            if watcher.lease == lease:
                watcher.hints.put_nowait(None)

        entry = self._store.owners[lease.owner]

        if entry.epoch == lease.epoch:
            entry.expires = 0

    async def renew(self, lease: Lease) -> None:
        """See `Backend.renew`."""
        entry = self._current(lease)
        entry.expires = self._store.clock() + entry.ttl

    async def release(self, lease: Lease, keys: Collection[InstanceKey] = (), tasks: Collection[TaskKey] = ()) -> None:
        """See `Backend.release`."""
        self._current(lease)
        store = self._store
        released: list[InstanceKey] = []
        names: set[str] = set()

        for key in keys:
            row = store.find(key)

            if row is not None and row.owner == lease.owner:
                row.owner = None
                released.append(key)

        for task in tasks:
            instance = store.rows.get(task.instance)

            if instance is not None and instance.task_owners.get(task) == lease.owner:
                instance.task_owners[task] = None
                names.add(instance.tasks[task].name.lower())

        store.tell_others(lease.owner, map(store.hint, released))
        store.tell_others(lease.owner, (Hint(None, None, name) for name in sorted(names)))

    async def changes(self) -> AsyncIterator[Hint]:
        """See `Backend.changes`. Ends when the backend is closed."""
        if not self._shared or self._lease is None:
            return

        watcher = Watcher(self._lease)
        self._store.watchers.append(watcher)

        try:
            while (hint := await watcher.hints.get()) is not None:
                yield hint
        finally:
            self._store.watchers.remove(watcher)

    async def create_hub(self, hub: str, secret: bytes) -> Hub:
        """See `Backend.create_hub`."""
        return self._store.hubs.setdefault(hub, Hub(name=hub, secret=secret))

    async def get_hub(self, hub: str) -> Hub | None:
        """See `Backend.get_hub`."""
        return self._store.hubs.get(hub)

    async def delete_hub(self, hub: str) -> bool:
        """See `Backend.delete_hub`."""
        store = self._store
        store.rows = {key: row for key, row in store.rows.items() if key.hub != hub}
        store.entities = {key: row for key, row in store.entities.items() if key.hub != hub}

        return store.hubs.pop(hub, None) is not None

    async def commit(self, batch: Batch) -> Sequence[Outcome]:
        """See `Backend.commit`."""
        store = self._store
        entry = self._current(batch.lease)

        if entry.last_batch == batch.id:
            return entry.last_outcomes

        outcomes, writes = plan(batch, self._stored(rows_read(batch)), store.next_sequence)
        write(store, writes, batch.lease.owner)
        store.tell_others(batch.lease.owner, map(store.hint, changed(writes)))
        entry.last_batch, entry.last_outcomes = batch.id, outcomes

        return outcomes

    async def outcomes(self, lease: Lease, batch_id: str) -> Sequence[Outcome] | None:
        """See `Backend.outcomes`."""
        entry = self._store.owners.get(lease.owner)

        return entry.last_outcomes if entry is not None and entry.last_batch == batch_id else None

    async def load(
        self, lease: Lease, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, LoadedInstance | LoadedEntity]:
        """See `Backend.load`."""
        self._current(lease)
        loaded: dict[InstanceKey, LoadedInstance | LoadedEntity] = {}

        for key in keys:
            row = self._store.find(key)

            if row is not None and self._store.claim(row, lease.owner):
                loaded[key] = row.loaded

        return loaded

    async def history(
        self, key: InstanceKey, *, after: int = 0, execution_id: str | None = None
    ) -> AsyncIterator[HistoryChunk]:
        """See `Backend.history`."""
        row = self._store.rows.get(key)

        if row is None or execution_id not in (None, row.instance.execution_id):
            return

        for chunk in list(row.history):
            if chunk.first + chunk.length > after:
                yield chunk

    async def due(self, *, after: DueMessage | None, limit: int) -> Sequence[DueMessage]:
        """See `Backend.due`."""
        waiting = self._store.due
        first = last = 0 if after is None else bisect_right(waiting, after)
        found: list[DueMessage] = []

        while last < len(waiting) and len(found) < limit:
            message = waiting[last]
            row = self._store.find(message.key)
            last += 1

            if row is not None and message.sequence in row.inbox:
                found.append(message)

        # Those that were skipped are gone for good; skip them once.
        waiting[first:last] = found

        return found

    async def claim_instances(
        self,
        lease: Lease,
        *,
        names: WorkNames = ANY_WORK,
        mine: bool = True,
        after: InstanceKey | None = None,
        limit: int = 1000,
    ) -> Sequence[InstanceKey]:
        """See `Backend.claim_instances`."""
        self._current(lease)
        store = self._store
        claimed: list[InstanceKey] = []

        for key in sorted(key for key in (*store.rows, *store.entities) if after is None or key > after):
            if len(claimed) == limit:
                break

            row = store.find(key)

            if row is None or not row.backlog or not is_wanted(row, names) or (row.owner == lease.owner and not mine):
                continue

            if store.claim(row, lease.owner):
                claimed.append(key)

        return claimed

    async def claim_tasks(
        self,
        lease: Lease,
        *,
        names: WorkNames = ANY_WORK,
        mine: bool = True,
        after: TaskKey | None = None,
        limit: int = 1000,
    ) -> Sequence[Task]:
        """See `Backend.claim_tasks`."""
        self._current(lease)
        claimed: list[Task] = []
        keys = (key for row in self._store.rows.values() for key in row.tasks)

        for key in sorted(key for key in keys if after is None or key > after):
            if len(claimed) == limit:
                break

            row = self._store.rows[key.instance]

            if names.activities is not None and row.tasks[key].name.lower() not in names.activities:
                continue

            if row.task_owners[key] == lease.owner and not mine:
                continue

            if self._store.claimable(row.task_owners[key], lease.owner):
                row.task_owners[key] = lease.owner
                claimed.append(row.tasks[key])

        return claimed

    async def get(self, key: InstanceKey, *, payloads: bool = True) -> Instance | None:
        """See `Backend.get`."""
        row = self._store.rows.get(key)

        return None if row is None else shown_instance(row.instance, payloads=payloads)

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
        ours = (row.instance for key, row in self._store.rows.items() if key.hub == hub)

        return instance_page(ours, where, order=order, after=after, limit=limit, payloads=payloads)

    async def counts(self, hub: str) -> Mapping[RuntimeStatus, int]:
        """See `Backend.counts`."""
        return Counter(row.instance.status for key, row in self._store.rows.items() if key.hub == hub)

    async def children(self, key: InstanceKey) -> Sequence[InstanceKey]:
        """See `Backend.children`."""
        return [
            child
            for child, row in self._store.rows.items()
            if child.hub == key.hub and row.instance.parent_id == key.instance_id
        ]

    async def entity(self, key: InstanceKey, *, states: bool = True) -> Entity | None:
        """See `Backend.entity`."""
        row = self._store.entities.get(key)

        return None if row is None else shown_entity(row.shown, states=states)

    async def entities(
        self,
        hub: str,
        where: EntityFilter,
        *,
        after: str | None = None,
        limit: int = 100,
        states: bool = False,
    ) -> EntityPage:
        """See `Backend.entities`."""
        ours = (row.shown for key, row in sorted(self._store.entities.items()) if key.hub == hub)

        return entity_page(ours, where, after=after, limit=limit, states=states)

    async def hubs(self) -> Sequence[Hub]:
        """See `Backend.hubs`."""
        return sorted(self._store.hubs.values(), key=lambda hub: hub.name)

    def _current(self, lease: Lease) -> Owner:
        entry = self._store.owners.get(lease.owner)

        if entry is None or entry.epoch != lease.epoch:
            raise LeaseLostError(f"the lease of {lease.owner} was taken over")

        return entry

    def _stored(self, read: RowsRead) -> Stored:
        store = self._store
        open_tasks = {
            task for task in read.tasks if (row := store.rows.get(task.instance)) is not None and task in row.tasks
        }

        return Stored(
            instances={key: store.head(store.rows[key]) for key in read.instances & store.rows.keys()},
            entities={
                key: store.entity_head(store.entities[key], waiting=key in read.inboxes)
                for key in read.entities & store.entities.keys()
            },
            tasks=open_tasks,
            hubs=read.hubs & store.hubs.keys(),
        )


def open_url(location: str) -> MemoryBackend:
    """The backend for `--db memory:`.

    Raises:
        LocationError: Something follows the colon.
    """
    if location.removeprefix("memory:").strip("/"):
        raise LocationError(f"{location!r}: there is nothing to name in memory; use 'memory:'")

    return MemoryBackend()
