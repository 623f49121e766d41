"""Connections to a database: one that writes and, for a file, two that read beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import aiosqlite
from durabletask_backend.errors import NotADatabaseError, StorageFailedError

from durabletask_sqlite.schema import migrate

T = TypeVar("T")

_BUSY_SECONDS = 5.0
"""How long to wait for a foreign program, such as a backup, that locks the database."""
_CHECKPOINT_PAGES = 4000
"""Pages (4 KiB) in the write-ahead log before they go to the file: more make checkpoints rarer and recovery longer."""
_LOG_BYTES = 64 << 20
"""To which the write-ahead log is cut back after it has grown."""
_ITERATION = 64
"""Rows that aiosqlite's iterators fetch at a time; none is used here."""
_WRITER_CACHE_KIB = 32 << 10
_READER_CACHE_KIB = 8 << 10


class ThreadConnection(aiosqlite.Connection):
    """A connection whose thread runs functions of ours.

    Each public call of aiosqlite is a hop to its thread and back, which costs more than most statements; so all that belongs
    together is one function, and one hop. It runs to its end even when nobody waits for it any more, and whole: a connection's
    calls are taken one after the other, in order.
    """

    async def call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Call a function with the connection, in its thread."""
        result: T = await self._execute(function, self._conn)  # type: ignore[no-untyped-call]

        return result


class Database:
    """An opened database.

    Args:
        path: Its file; None: in memory.
        synchronous: SQLite's setting of that name: FULL makes every commit survive a power cut.
    """

    def __init__(self, path: Path | None, synchronous: str) -> None:
        self._location = ":memory:" if path is None else str(path)
        self._in_memory = path is None
        self._synchronous = synchronous
        self._writer: ThreadConnection | None = None
        self._reader: ThreadConnection | None = None
        self._searcher: ThreadConnection | None = None

    async def open(self) -> None:
        """Connect, and migrate.

        Raises:
            NotADatabaseError: The file is damaged, or not a database.
            SchemaTooNewError: A newer version wrote it.
            StorageFailedError: SQLite cannot open it or write to it.
        """
        try:
            self._writer = await self._connect()
            await self._writer.call(self._prepare)

            if self._in_memory:
                # There is nothing beside the one connection.
                self._reader = self._searcher = self._writer
            else:
                self._reader = await self._connect()
                await self._reader.call(_prepare_reader)
                self._searcher = await self._connect()
                await self._searcher.call(_prepare_reader)
        except sqlite3.OperationalError as error:
            raise StorageFailedError(f"cannot open {self._location}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise NotADatabaseError(f"{self._location} cannot be opened as a database: {error}") from error

    async def close(self) -> None:
        """Disconnect, after all that was asked before; what is in the write-ahead log goes to the file."""
        async with AsyncExitStack() as stack:
            # The last in is the first out: with the one that writes, the write-ahead log goes.
            for connection in (self._writer, self._reader, self._searcher):
                if connection is not None:
                    stack.push_async_callback(connection.close)

            self._writer = self._reader = self._searcher = None

    async def read(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Read a few rows by their keys, all as of one moment.

        Raises:
            StorageFailedError: SQLite cannot.
        """
        return await self._run(self._reader, _at_one_moment(function))

    async def search(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Read what may take long, on a connection of its own, so that neither commits nor keyed reads wait for it.

        Raises:
            StorageFailedError: SQLite cannot.
        """
        return await self._run(self._searcher, _at_one_moment(function))

    async def write(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Read and write in a transaction, which is committed when the function returns and undone when it raises.

        Raises:
            StorageFailedError: SQLite cannot; nothing is changed, unless the commit itself is what failed.
        """

        def whole(connection: sqlite3.Connection) -> T:
            with _transaction(connection, "BEGIN IMMEDIATE"):
                return function(connection)

        return await self._run(self._writer, whole)

    async def _connect(self) -> ThreadConnection:
        def connector() -> sqlite3.Connection:
            return sqlite3.connect(self._location, timeout=_BUSY_SECONDS, isolation_level=None, cached_statements=256)

        connection = ThreadConnection(connector, _ITERATION)
        await connection

        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        migrate(connection, self._location)
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()

        if mode != "wal" and not self._in_memory:
            raise StorageFailedError(f"{self._location}: this file system has no write-ahead logging; use a local disk")

        for pragma in (
            f"synchronous = {self._synchronous}",
            f"cache_size = -{_WRITER_CACHE_KIB}",
            "temp_store = MEMORY",
            f"journal_size_limit = {_LOG_BYTES}",
            f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    async def _run(self, connection: ThreadConnection | None, function: Callable[[sqlite3.Connection], T]) -> T:
        if connection is None:
            raise StorageFailedError(f"{self._location} is closed")

        try:
            return await connection.call(function)
        except (sqlite3.Error, OverflowError) as error:
            # OverflowError: a number of more than 64 bits.
            raise StorageFailedError(f"{self._location}: {error}") from error


def _prepare_reader(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")


def _at_one_moment(function: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
    def whole(connection: sqlite3.Connection) -> T:
        with _transaction(connection, "BEGIN"):
            return function(connection)

    return whole


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)

    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors, a full disk among them.
        if connection.in_transaction:
            connection.execute("ROLLBACK")

        raise
