"""The reference backend: everything in dictionaries, nothing kept when the process ends.

It is what the conformance suite itself is tested with, the pace that a durable backend is measured against, and a store that several
owners can share in one process, so that leases, claims and fencing are tested for real.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right, insort
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from durabletask_backend.contract import Hint
from durabletask_backend.errors import HubMissingError, LeaseLostError, LocationError
from durabletask_backend.mutations import Batch, Outcome
from durabletask_backend.plan import Head, WriteSet, plan, rows_read, turn_applied
from durabletask_backend.values import (
    Cursor,
    DueMessage,
    HistoryChunk,
    Hub,
    Instance,
    InstanceFilter,
    InstanceKey,
    InstancePage,
    Lease,
    LoadedInstance,
    Message,
    Micros,
    QueryOrder,
    Task,
    TaskKey,
)

_HINTS_KEPT = 1000
"""Hints that wait for one that iterates `changes`; more are dropped."""


def _wall_clock() -> Micros:
    return time.time_ns() // 1000


@dataclass(slots=True)
class _Row:
    """An instance with all that is its own."""

    instance: Instance
    owner: str | None
    history: list[HistoryChunk] = field(default_factory=list)
    inbox: dict[int, Message] = field(default_factory=dict)
    tasks: dict[TaskKey, Task] = field(default_factory=dict)
    task_owners: dict[TaskKey, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return self.history[-1].first + self.history[-1].length if self.history else 0


@dataclass(slots=True)
class _Owner:
    epoch: int = 0
    ttl: Micros = 0
    expires: Micros = 0
    last_batch: str | None = None
    last_outcomes: Sequence[Outcome] = ()


@dataclass(slots=True, eq=False)
class _Watcher:
    """One iteration of `changes`; None ends it."""

    lease: Lease
    hints: asyncio.Queue[Hint | None] = field(default_factory=asyncio.Queue)

    def tell(self, hint: Hint) -> None:
        # Hints may be lost, memory may not: who does not listen misses some.
        if self.hints.qsize() < _HINTS_KEPT:
            self.hints.put_nowait(hint)


class MemoryStore:
    """What several `MemoryBackend`s of one process may share.

    Args:
        clock: Tells the time by which leases run out.
    """

    def __init__(self, clock: Callable[[], Micros] = _wall_clock) -> None:
        self.clock = clock
        self.hubs: dict[str, Hub] = {}
        self.rows: dict[InstanceKey, _Row] = {}
        self.owners: dict[str, _Owner] = {}
        self.due: list[DueMessage] = []
        """Sorted. Those whose message is gone are skipped when they are met."""
        self.watchers: list[_Watcher] = []
        self.next_sequence = 1

    def live(self, owner: str | None) -> str | None:
        """The owner, if its lease has not run out."""
        if owner is None or self.owners[owner].expires <= self.clock():
            return None

        return owner

    def claimable(self, holder: str | None, claimant: str) -> bool:
        """Whether the claimant may take what the holder has. A holder that is taken over loses its lease by it."""
        if holder is None or holder == claimant:
            return True

        if self.live(holder) is not None:
            return False

        self.owners[holder].epoch += 1

        return True


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

    async def open(self, owner: str, *, ttl: float = 30.0) -> Lease:
        """See `Backend.open`."""
        store = self._store
        entry = store.owners.setdefault(owner, _Owner())
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

    async def release(self, lease: Lease, keys: Collection[InstanceKey]) -> None:
        """See `Backend.release`."""
        self._current(lease)

        for key in keys:
            row = self._store.rows.get(key)

            if row is not None and row.owner == lease.owner:
                row.owner = None

    async def changes(self) -> AsyncIterator[Hint]:
        """See `Backend.changes`. Ends when the backend is closed."""
        if not self._shared or self._lease is None:
            return

        watcher = _Watcher(self._lease)
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
        for key in [key for key in self._store.rows if key.hub == hub]:
            del self._store.rows[key]

        return self._store.hubs.pop(hub, None) is not None

    async def commit(self, batch: Batch) -> Sequence[Outcome]:
        """See `Backend.commit`."""
        store = self._store
        entry = self._current(batch.lease)

        if entry.last_batch == batch.id:
            return entry.last_outcomes

        instances, tasks = rows_read(batch)

        for key in instances:
            if key.hub not in store.hubs:
                raise HubMissingError(key.hub)

        heads = {key: self._head(row) for key in instances if (row := store.rows.get(key)) is not None}
        open_tasks = {
            task for task in tasks if (row := store.rows.get(task.instance)) is not None and task in row.tasks
        }
        outcomes, writes = plan(batch, heads, open_tasks, store.next_sequence)
        self._write(writes, batch.lease.owner)
        self._tell_others(writes, batch.lease.owner)
        entry.last_batch, entry.last_outcomes = batch.id, outcomes

        return outcomes

    async def outcomes(self, lease: Lease, batch_id: str) -> Sequence[Outcome] | None:
        """See `Backend.outcomes`."""
        entry = self._store.owners.get(lease.owner)

        return entry.last_outcomes if entry is not None and entry.last_batch == batch_id else None

    async def load(self, keys: Collection[InstanceKey], *, now: Micros) -> Mapping[InstanceKey, LoadedInstance]:
        """See `Backend.load`."""
        return {key: _loaded(row, now) for key in keys if (row := self._store.rows.get(key)) is not None}

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
            row = self._store.rows.get(message.key)
            last += 1

            if row is not None and message.sequence in row.inbox:
                found.append(message)

        # Those that were skipped are gone for good; skip them once.
        waiting[first:last] = found

        return found

    async def claim_instances(
        self, lease: Lease, *, after: InstanceKey | None = None, limit: int = 1000
    ) -> Sequence[InstanceKey]:
        """See `Backend.claim_instances`."""
        self._current(lease)
        claimed: list[InstanceKey] = []

        for key in sorted(key for key in self._store.rows if after is None or key > after):
            if len(claimed) == limit:
                break

            row = self._store.rows[key]

            if any(message.due_at is None for message in row.inbox.values()) and self._store.claimable(
                row.owner, lease.owner
            ):
                row.owner = lease.owner
                claimed.append(key)

        return claimed

    async def claim_tasks(self, lease: Lease, *, after: TaskKey | None = None, limit: int = 1000) -> Sequence[Task]:
        """See `Backend.claim_tasks`."""
        self._current(lease)
        claimed: list[Task] = []
        keys = (key for row in self._store.rows.values() for key in row.tasks)

        for key in sorted(key for key in keys if after is None or key > after):
            if len(claimed) == limit:
                break

            row = self._store.rows[key.instance]

            if self._store.claimable(row.task_owners[key], lease.owner):
                row.task_owners[key] = lease.owner
                claimed.append(row.tasks[key])

        return claimed

    async def get(self, key: InstanceKey, *, payloads: bool = True) -> Instance | None:
        """See `Backend.get`."""
        row = self._store.rows.get(key)

        return None if row is None else _shown(row.instance, payloads)

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
        matching = sorted(
            (place, row.instance)
            for key, row in self._store.rows.items()
            if key.hub == hub
            and _matches(row.instance, where)
            and (place := _place(row.instance, order)) is not None
            and (after is None or place > after)
        )
        page = matching[:limit]

        return InstancePage(
            instances=tuple(_shown(instance, payloads) for _, instance in page),
            next=page[-1][0] if len(matching) > limit else None,
        )

    async def children(self, key: InstanceKey) -> Sequence[InstanceKey]:
        """See `Backend.children`."""
        return [
            child
            for child, row in self._store.rows.items()
            if child.hub == key.hub and row.instance.parent_id == key.instance_id
        ]

    def _current(self, lease: Lease) -> _Owner:
        entry = self._store.owners.get(lease.owner)

        if entry is None or entry.epoch != lease.epoch:
            raise LeaseLostError(f"the lease of {lease.owner} was taken over")

        return entry

    def _head(self, row: _Row) -> Head:
        instance = row.instance

        return Head(instance.execution_id, instance.status, instance.turn, self._store.live(row.owner))

    def _write(self, writes: WriteSet, owner: str) -> None:  # noqa: C901 - one flat list, a step a group
        rows = self._store.rows

        for key in writes.reset:
            del rows[key]

        for key, old in writes.new_generation.items():
            row = rows[key]
            row.history.clear()
            row.tasks.clear()
            row.task_owners.clear()
            row.inbox = {at: message for at, message in row.inbox.items() if message.execution_id != old}

        for key in writes.inbox_cleared:
            if key in rows:
                rows[key].inbox.clear()

        for key in writes.tasks_cleared:
            if key in rows:
                rows[key].tasks.clear()
                rows[key].task_owners.clear()

        for turn in writes.turns:
            row = rows[turn.key]

            for sequence in turn.consumed:
                row.inbox.pop(sequence, None)

            row.instance = turn_applied(row.instance, turn)
            row.owner = owner

        for task in writes.finished:
            if task.instance in rows:
                rows[task.instance].tasks.pop(task, None)
                rows[task.instance].task_owners.pop(task, None)

        for task in writes.out:
            marked = rows.get(task.instance)

            if marked is not None and task in marked.tasks:
                marked.tasks[task] = replace(marked.tasks[task], out=True)

        for key, instance in writes.created.items():
            rows[key] = _Row(instance, owner)

        for addition in writes.history:
            rows[addition.key].history.append(HistoryChunk(addition.first, addition.length, addition.events))

        for key, message in writes.inbox:
            rows[key].inbox[message.sequence] = message

            if message.due_at is not None:
                insort(self._store.due, DueMessage(message.due_at, message.sequence, key))

        for new in writes.tasks:
            rows[new.key.instance].tasks[new.key] = new
            rows[new.key.instance].task_owners[new.key] = owner

        self._store.next_sequence = writes.next_sequence

    def _tell_others(self, writes: WriteSet, owner: str) -> None:
        others = [watcher for watcher in self._store.watchers if watcher.lease.owner != owner]

        if not others:
            return

        keys = {
            *writes.reset,
            *writes.created,
            *(turn.key for turn in writes.turns),
            *(row.key for row in writes.inbox),
        }
        hints = [*map(Hint, keys), *(Hint(None, name) for name in {task.name for task in writes.tasks})]

        for watcher in others:
            for hint in hints:
                watcher.tell(hint)


def open_url(location: str) -> MemoryBackend:
    """The backend for `--db memory:`.

    Raises:
        LocationError: Something follows the colon.
    """
    if location.removeprefix("memory:").strip("/"):
        raise LocationError(f"{location!r}: there is nothing to name in memory; use 'memory:'")

    return MemoryBackend()


def _loaded(row: _Row, now: Micros) -> LoadedInstance:
    inbox = [message for message in row.inbox.values() if message.due_at is None or message.due_at <= now]

    return LoadedInstance(
        instance=row.instance,
        history=b"".join(chunk.events for chunk in row.history),
        history_count=row.length,
        inbox=tuple(sorted(inbox, key=lambda message: (not message.front, message.sequence))),
    )


def _shown(instance: Instance, payloads: bool) -> Instance:
    return instance if payloads else replace(instance, input=None, output=None)


def _place(instance: Instance, order: QueryOrder) -> Cursor | None:
    at = instance.created_at if order is QueryOrder.CREATED else instance.completed_at

    return None if at is None else Cursor(at, instance.key.instance_id)


def _matches(instance: Instance, where: InstanceFilter) -> bool:
    return all(_conditions(instance, where))


def _conditions(instance: Instance, where: InstanceFilter) -> Iterator[bool]:
    yield not where.statuses or instance.status in where.statuses
    yield where.id_prefix is None or instance.key.instance_id.startswith(where.id_prefix)
    yield where.created_from is None or instance.created_at >= where.created_from
    yield where.created_to is None or instance.created_at < where.created_to

    if where.completed_from is not None or where.completed_to is not None:
        completed = instance.completed_at
        yield completed is not None
        yield completed is None or where.completed_from is None or completed >= where.completed_from
        yield completed is None or where.completed_to is None or completed < where.completed_to
