"""The backend: the contract on one SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from durabletask_backend.contract import Hint
from durabletask_backend.errors import LeaseLostError, LocationError
from durabletask_backend.mutations import Batch, Outcome
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

from durabletask_sqlite import entities, instance_queries, queries
from durabletask_sqlite.commit import commit, stored_outcomes
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
        if synchronous not in ("OFF", "NORMAL", "FULL", "EXTRA"):
            raise ValueError(f"synchronous is {synchronous!r}; give OFF, NORMAL, FULL or EXTRA")

        # Whatever links lead to it, a file has one owner.
        self._path = None if path is None else Path(path).resolve()
        self._database = Database(self._path, synchronous)
        self._lock: OwnerLock | None = None
        self._lease: Lease | None = None
        # For `get_hub` only, which every request asks: a commit asks the database.
        self._hubs: dict[str, Hub] = {}

    @property
    def description(self) -> str:
        """For the log."""
        return "SQLite in memory" if self._path is None else f"SQLite file {self._path}"

    @property
    def shared(self) -> bool:
        """A database has one owner."""
        return False

    async def open(self, owner: str, *, ttl: float = 30.0) -> Lease:
        """See `Backend.open`. The lease holds as long as the process has the file; `ttl` has no meaning here.

        Raises:
            LocationError: The file's folder does not exist, or is not writable.
            StorageFailedError: SQLite cannot open the file.
        """
        if self._lease is not None:
            raise LocationError(f"{self.description} is open already; close it first")

        if self._path is not None:
            if not self._path.parent.is_dir():
                raise LocationError(f"{self._path}: the folder {self._path.parent} does not exist; create it first")

            self._lock = OwnerLock(self._path, lambda: datetime.now(UTC).isoformat(timespec="seconds"))

        try:
            if self._path is not None:
                inspect(self._path)

            await self._database.open()
            self._lease = await self._database.write(partial(self._take, owner))
        except BaseException:
            await self.close()
            raise

        return self._lease

    def _take(self, owner: str, connection: sqlite3.Connection) -> Lease:
        connection.execute("UPDATE owner SET name = ?, epoch = epoch + 1", (owner,))
        (epoch,) = connection.execute("SELECT epoch FROM owner").fetchone()
        self._hubs = {
            name: Hub(name=name, secret=secret) for name, secret in connection.execute("SELECT name, secret FROM hubs")
        }

        return Lease(owner=owner, epoch=epoch)

    async def close(self) -> None:
        """See `Backend.close`."""
        self._lease = None
        lock, self._lock = self._lock, None

        try:
            await self._database.close()
        finally:
            if lock is not None:
                lock.release()

    async def renew(self, lease: Lease) -> None:
        """See `Backend.renew`."""
        self._check(lease)

    async def release(self, lease: Lease, keys: Collection[InstanceKey] = (), tasks: Collection[TaskKey] = ()) -> None:
        """See `Backend.release`. There is nobody else to own them."""
        self._check(lease)

    async def changes(self) -> AsyncIterator[Hint]:
        """See `Backend.changes`."""
        none: tuple[Hint, ...] = ()

        for hint in none:
            yield hint

    async def create_hub(self, hub: str, secret: bytes) -> Hub:
        """See `Backend.create_hub`."""

        def create(connection: sqlite3.Connection) -> Hub:
            connection.execute("INSERT OR IGNORE INTO hubs (name, secret) VALUES (?, ?)", (hub, secret))
            (kept,) = connection.execute("SELECT secret FROM hubs WHERE name = ?", (hub,)).fetchone()

            return Hub(name=hub, secret=kept)

        self._hubs[hub] = created = await self._database.write(create)

        return created

    async def get_hub(self, hub: str) -> Hub | None:
        """See `Backend.get_hub`."""
        return self._hubs.get(hub)

    async def delete_hub(self, hub: str) -> bool:
        """See `Backend.delete_hub`."""

        def delete(connection: sqlite3.Connection) -> bool:
            for table in ("history", "inputs"):
                connection.execute(
                    f"DELETE FROM {table} WHERE instance IN (SELECT number FROM instances WHERE hub = ?)", (hub,)
                )

            connection.execute(
                "DELETE FROM entity_states WHERE entity IN (SELECT number FROM entities WHERE hub = ?)", (hub,)
            )

            for table in ("instances", "entities", "inbox", "tasks"):
                connection.execute(f"DELETE FROM {table} WHERE hub = ?", (hub,))

            return connection.execute("DELETE FROM hubs WHERE name = ?", (hub,)).rowcount == 1

        deleted = await self._database.write(delete)
        self._hubs.pop(hub, None)

        return deleted

    async def commit(self, batch: Batch) -> Sequence[Outcome]:
        """See `Backend.commit`. A commit that nobody waits for any more runs to its end all the same."""
        self._check(batch.lease)

        return await self._database.write(lambda connection: commit(connection, batch))

    async def outcomes(self, lease: Lease, batch_id: str) -> Sequence[Outcome] | None:
        """See `Backend.outcomes`."""
        # As a write, so that it is after every commit that was begun before.
        return await self._database.write(lambda connection: stored_outcomes(connection, batch_id))

    async def load(
        self, lease: Lease, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, LoadedInstance | LoadedEntity]:
        """See `Backend.load`. All are the one owner's."""
        self._check(lease)

        return await self._database.read(lambda connection: queries.load(connection, keys))

    async def history(
        self, key: InstanceKey, *, after: int = 0, execution_id: str | None = None
    ) -> AsyncIterator[HistoryChunk]:
        """See `Backend.history`. Ends early when the history is replaced while it is read."""
        while True:
            chunks, execution_id = await self._database.read(
                partial(queries.history, key=key, after=after, execution_id=execution_id)
            )

            if not chunks:
                return

            for chunk in chunks:
                yield chunk

            after = chunks[-1].first + chunks[-1].length

    async def due(self, *, after: DueMessage | None, limit: int) -> Sequence[DueMessage]:
        """See `Backend.due`."""
        return await self._database.read(lambda connection: queries.due(connection, after=after, limit=limit))

    async def claim_instances(
        self,
        lease: Lease,
        *,
        names: WorkNames = ANY_WORK,
        mine: bool = True,
        after: InstanceKey | None = None,
        limit: int = 1000,
    ) -> Sequence[InstanceKey]:
        """See `Backend.claim_instances`. All are the one owner's, whatever their names."""
        self._check(lease)

        return await self._database.read(
            lambda connection: queries.instances_with_messages(connection, after=after, limit=limit)
        )

    async def claim_tasks(
        self,
        lease: Lease,
        *,
        names: WorkNames = ANY_WORK,
        mine: bool = True,
        after: TaskKey | None = None,
        limit: int = 1000,
    ) -> Sequence[Task]:
        """See `Backend.claim_tasks`. All are the one owner's, whatever their names."""
        self._check(lease)

        return await self._database.read(lambda connection: queries.open_tasks(connection, after=after, limit=limit))

    async def get(self, key: InstanceKey, *, payloads: bool = True) -> Instance | None:
        """See `Backend.get`."""
        return await self._database.read(lambda connection: queries.get(connection, key, payloads=payloads))

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
        return await self._database.search(
            lambda connection: instance_queries.page(
                connection, hub, where, order=order, after=after, limit=limit, payloads=payloads
            )
        )

    async def counts(self, hub: str) -> Mapping[RuntimeStatus, int]:
        """See `Backend.counts`."""
        return await self._database.search(lambda connection: instance_queries.counts(connection, hub))

    async def children(self, key: InstanceKey) -> Sequence[InstanceKey]:
        """See `Backend.children`."""
        return await self._database.read(lambda connection: queries.children(connection, key))

    async def entity(self, key: InstanceKey, *, states: bool = True) -> Entity | None:
        """See `Backend.entity`."""
        return await self._database.read(lambda connection: entities.get(connection, key, states=states))

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
        return await self._database.search(
            lambda connection: entities.page(connection, hub, where, after=after, limit=limit, states=states)
        )

    async def hubs(self) -> Sequence[Hub]:
        """See `Backend.hubs`."""
        return sorted(self._hubs.values(), key=lambda hub: hub.name)

    def _check(self, lease: Lease) -> None:
        if lease != self._lease:
            raise LeaseLostError(f"the lease of {lease.owner} (epoch {lease.epoch}) is not the current one")


def open_url(location: str) -> SqliteBackend:
    """The backend for a `--db` location: a path, `sqlite:///path`, or nothing (or `:memory:`) for a database in memory.

    Args:
        location: `sqlite:///path` is relative, `sqlite:////path` absolute.

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

    return SqliteBackend(path if path not in ("", ":memory:") else None)
