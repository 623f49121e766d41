"""The backend: the contract on one SQLite database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from durabletask_backend.contract import Hint
from durabletask_backend.errors import HubMissingError, LeaseLostError, LocationError
from durabletask_backend.mutations import Batch, Outcome
from durabletask_backend.plan import plan, rows_read
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
    Micros,
    QueryOrder,
    Task,
    TaskKey,
)

from durabletask_sqlite import queries, rows
from durabletask_sqlite.commit import read_conditions, statements
from durabletask_sqlite.connection import Database
from durabletask_sqlite.owner import OwnerLock
from durabletask_sqlite.schema import inspect


class SqliteBackend:
    """A backend on a SQLite file, or in memory.

    Args:
        path: The file, made if it does not exist; None for a database in memory, which ends with the backend.
        synchronous: SQLite's setting: FULL, the default, makes an acknowledged commit survive a power cut; NORMAL only a crash of
            the process.
    """

    def __init__(self, path: str | Path | None = None, *, synchronous: str = "FULL") -> None:
        if synchronous not in ("FULL", "NORMAL", "OFF", "EXTRA"):
            raise ValueError(f"synchronous is {synchronous!r}; give FULL, NORMAL, OFF or EXTRA")

        self._path = None if path is None else Path(path)
        self._database = Database(self._path, synchronous)
        self._lock: OwnerLock | None = None
        self._lease: Lease | None = None
        self._hubs: dict[str, Hub] = {}
        self._next_sequence = 0
        self._last_batch = ""

    @property
    def description(self) -> str:
        """For the log."""
        return "SQLite in memory" if self._path is None else f"SQLite file {self._path.absolute()}"

    async def open(self, owner: str, *, ttl: float = 30.0) -> Lease:
        """See `Backend.open`. The lease holds as long as the process has the file; `ttl` has no meaning here.

        Raises:
            LocationError: The file's folder does not exist, or is not writable.
        """
        if self._path is not None:
            if not self._path.parent.is_dir():
                raise LocationError(f"{self._path}: the folder {self._path.parent} does not exist; create it first")

            self._lock = OwnerLock(self._path, lambda: datetime.now(UTC).isoformat(timespec="seconds"))

        try:
            if self._path is not None:
                inspect(self._path)

            await self._database.open()

            return await self._take(owner)
        except BaseException:
            await self.close()
            raise

    async def _take(self, owner: str) -> Lease:
        async with self._database.transaction():
            await self._database.write(
                [("UPDATE owner SET name = ?, epoch = epoch + 1, batch = NULL, outcomes = NULL", [(owner,)])]
            )
            epoch, self._next_sequence = next(
                iter(await self._database.read_own("SELECT epoch, next_sequence FROM owner"))
            )
            self._hubs = {
                name: Hub(name=name, secret=secret)
                for name, secret in await self._database.read_own("SELECT name, secret FROM hubs")
            }

        self._lease = Lease(owner=owner, epoch=epoch)

        return self._lease

    async def close(self) -> None:
        """See `Backend.close`."""
        self._lease = None
        await self._database.close()

        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def renew(self, lease: Lease) -> None:
        """See `Backend.renew`."""
        self._check(lease)

    async def release(self, lease: Lease, keys: Collection[InstanceKey]) -> None:
        """See `Backend.release`. There is nobody else to own them."""
        self._check(lease)

    async def changes(self) -> AsyncIterator[Hint]:
        """See `Backend.changes`."""
        none: tuple[Hint, ...] = ()

        for hint in none:
            yield hint

    async def create_hub(self, hub: str, secret: bytes) -> Hub:
        """See `Backend.create_hub`."""
        if hub not in self._hubs:
            async with self._database.transaction():
                await self._database.write([("INSERT INTO hubs (name, secret) VALUES (?, ?)", [(hub, secret)])])

            self._hubs[hub] = Hub(name=hub, secret=secret)

        return self._hubs[hub]

    async def get_hub(self, hub: str) -> Hub | None:
        """See `Backend.get_hub`."""
        return self._hubs.get(hub)

    async def delete_hub(self, hub: str) -> bool:
        """See `Backend.delete_hub`."""
        known = self._hubs.pop(hub, None) is not None
        tables = ("instances", "inputs", "history", "inbox", "tasks")

        async with self._database.transaction():
            await self._database.write(
                [
                    *((f"DELETE FROM {table} WHERE hub = ?", [(hub,)]) for table in tables),
                    ("DELETE FROM hubs WHERE name = ?", [(hub,)]),
                ]
            )

        return known

    async def commit(self, batch: Batch) -> Sequence[Outcome]:
        """See `Backend.commit`."""
        self._check(batch.lease)

        for key in rows_read(batch)[0]:
            if key.hub not in self._hubs:
                raise HubMissingError(key.hub)

        # A caller that gives up must not leave half a transaction behind.
        return await asyncio.shield(asyncio.ensure_future(self._commit(batch)))

    async def _commit(self, batch: Batch) -> Sequence[Outcome]:
        async with self._database.transaction():
            if batch.id == self._last_batch:
                stored = await self._stored(batch.id)

                if stored is not None:
                    return stored

            heads, open_tasks = await read_conditions(self._database, batch)
            outcomes, writes = plan(batch, heads, open_tasks, self._next_sequence)
            self._last_batch = batch.id
            await self._database.write(
                [
                    *statements(writes),
                    (
                        "UPDATE owner SET batch = ?, outcomes = ?, next_sequence = ?",
                        [(batch.id, rows.outcomes_text(outcomes), writes.next_sequence)],
                    ),
                ]
            )
            self._next_sequence = writes.next_sequence

            return outcomes

    async def outcomes(self, lease: Lease, batch_id: str) -> Sequence[Outcome] | None:
        """See `Backend.outcomes`."""
        async with self._database.transaction():
            return await self._stored(batch_id)

    async def _stored(self, batch_id: str) -> Sequence[Outcome] | None:
        for text, next_sequence in await self._database.read_own(
            "SELECT outcomes, next_sequence FROM owner WHERE batch = ?", (batch_id,)
        ):
            # The commit may have failed after it was done.
            self._next_sequence = next_sequence

            return rows.outcomes(text)

        return None

    async def load(self, keys: Collection[InstanceKey], *, now: Micros) -> Mapping[InstanceKey, LoadedInstance]:
        """See `Backend.load`."""
        return await queries.load(self._database, keys, now)

    def history(
        self, key: InstanceKey, *, after: int = 0, execution_id: str | None = None
    ) -> AsyncIterator[HistoryChunk]:
        """See `Backend.history`."""
        return queries.history(self._database, key, after, execution_id)

    async def due(self, *, after: DueMessage | None, limit: int) -> Sequence[DueMessage]:
        """See `Backend.due`."""
        return await queries.due(self._database, after, limit)

    async def claim_instances(
        self, lease: Lease, *, after: InstanceKey | None = None, limit: int = 1000
    ) -> Sequence[InstanceKey]:
        """See `Backend.claim_instances`. All are the one owner's."""
        self._check(lease)

        return await queries.instances_with_messages(self._database, after, limit)

    async def claim_tasks(self, lease: Lease, *, after: TaskKey | None = None, limit: int = 1000) -> Sequence[Task]:
        """See `Backend.claim_tasks`. All are the one owner's."""
        self._check(lease)

        return await queries.open_tasks(self._database, after, limit)

    async def get(self, key: InstanceKey, *, payloads: bool = True) -> Instance | None:
        """See `Backend.get`."""
        return await queries.get(self._database, key, payloads=payloads)

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
        return await queries.query(self._database, hub, where, order=order, after=after, limit=limit, payloads=payloads)

    async def children(self, key: InstanceKey) -> Sequence[InstanceKey]:
        """See `Backend.children`."""
        return await queries.children(self._database, key)

    def _check(self, lease: Lease) -> None:
        if lease != self._lease:
            raise LeaseLostError(f"the lease of {lease.owner} (epoch {lease.epoch}) is not the current one")


def open_url(location: str) -> SqliteBackend:
    """The backend for a `--db` location: a path, `sqlite:///path`, or nothing for a database in memory.

    Raises:
        LocationError: It is a URL with a host.
    """
    path = location

    if location.startswith("sqlite:"):
        path = location.removeprefix("sqlite:")

        if path.startswith("//"):
            host, _, path = path.removeprefix("//").partition("/")

            if host:
                raise LocationError(
                    f"{location!r} names the host {host!r}; write sqlite:///relative/path or sqlite:////absolute/path"
                )

    return SqliteBackend(path or None)
