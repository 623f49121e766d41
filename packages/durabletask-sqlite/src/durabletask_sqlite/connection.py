"""Connections to a database: one that writes, and, for a file, one that reads beside it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiosqlite
from durabletask_backend.errors import NotADatabaseError, StorageFailedError

from durabletask_sqlite.schema import migrate

Row: TypeAlias = "sqlite3.Row | tuple[Any, ...]"
Statement: TypeAlias = tuple[str, Sequence[tuple[object, ...]]]
"""SQL, and one tuple of parameters for each time to run it."""

_BUSY_SECONDS = 5.0
_READER_PRAGMAS = ("PRAGMA query_only = ON", "PRAGMA mmap_size = 268435456")


TRANSACTION = "-- a whole transaction"
"""What `executemany` of a `TransactionConnection` takes instead of SQL, with statements for parameters."""


class TransactionConnection(sqlite3.Connection):
    """A connection that runs a whole transaction in one call.

    Through aiosqlite every call is a hop to another thread and back, which costs more than most statements; so a batch is one call.
    """

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """As ever; for TRANSACTION: run the statements, each with its many parameters, and commit them, all or none."""
        if sql is not TRANSACTION:
            return super().executemany(sql, parameters)

        cursor = self.cursor()

        try:
            for statement, rows in parameters:
                cursor.executemany(statement, rows)

            self.commit()
        except BaseException:
            self.rollback()
            raise

        return cursor


class Database:
    """An opened database.

    Args:
        path: Its file; None: in memory.
        synchronous: SQLite's setting of that name: FULL makes every commit survive a power cut.
    """

    def __init__(self, path: Path | None, synchronous: str) -> None:
        self._path = path
        self._synchronous = synchronous
        self._writer: aiosqlite.Connection | None = None
        self._reader: aiosqlite.Connection | None = None
        # One transaction at a time on a connection, and nobody else's read inside one.
        self._writing = asyncio.Lock()
        self._reads = asyncio.Lock()

    async def open(self) -> None:
        """Connect, and migrate.

        Raises:
            NotADatabaseError: The file is damaged, or not a database.
            SchemaTooNewError: A newer version wrote it.
        """
        location = ":memory:" if self._path is None else str(self._path)

        try:
            # Python begins a transaction before the first statement that writes.
            self._writer = await aiosqlite.connect(
                location, timeout=_BUSY_SECONDS, isolation_level="IMMEDIATE", factory=TransactionConnection
            )
            await migrate(self._writer, location)

            for pragma in (
                "PRAGMA journal_mode = WAL",
                f"PRAGMA synchronous = {self._synchronous}",
                "PRAGMA cache_size = -65536",
                "PRAGMA temp_store = MEMORY",
                "PRAGMA journal_size_limit = 67108864",
            ):
                await self._writer.execute_fetchall(pragma)

            if self._path is not None:
                self._reader = await aiosqlite.connect(location, timeout=_BUSY_SECONDS, isolation_level=None)

                for pragma in _READER_PRAGMAS:
                    await self._reader.execute_fetchall(pragma)
        except sqlite3.DatabaseError as error:
            raise NotADatabaseError(f"{location} cannot be opened as a database: {error}") from error

    async def close(self) -> None:
        """Disconnect; what is in the write-ahead log goes to the file."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                await connection.close()

        self._reader = self._writer = None

    async def read(self, sql: str, parameters: Sequence[object] = ()) -> Iterable[Row]:
        """The rows of a query, as committed.

        Raises:
            StorageFailedError: SQLite cannot.
        """
        async with self._reading() as connection, _wrapped():
            return await connection.execute_fetchall(sql, parameters)

    async def read_together(self, *queries: tuple[str, Sequence[object]]) -> list[list[Row]]:
        """The rows of several queries, all as of one moment."""
        async with self._reading() as connection, _wrapped():
            if connection is self._writer:
                return [list(await connection.execute_fetchall(*query)) for query in queries]

            await connection.execute("BEGIN")

            try:
                return [list(await connection.execute_fetchall(*query)) for query in queries]
            finally:
                await connection.execute("COMMIT")

    async def read_own(self, sql: str, parameters: Sequence[object] = ()) -> Iterable[Row]:
        """The rows of a query on the connection that writes; inside `transaction` only."""
        async with _wrapped():
            return await self._connected(self._writer).execute_fetchall(sql, parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Hold the connection that writes: for what is read to be true when it is acted upon."""
        async with self._writing:
            yield

    async def write(self, statements: Sequence[Statement]) -> None:
        """Run statements and commit them, all or none; inside `transaction` only.

        Raises:
            StorageFailedError: SQLite cannot; nothing is changed, unless the commit itself is what failed.
        """
        async with _wrapped():
            await self._connected(self._writer).executemany(TRANSACTION, statements)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[aiosqlite.Connection]:
        if self._reader is not None:
            async with self._reads:
                yield self._connected(self._reader)
        else:
            async with self._writing:
                yield self._connected(self._writer)

    def _connected(self, connection: aiosqlite.Connection | None) -> aiosqlite.Connection:
        if connection is None:
            raise StorageFailedError("the database is closed")

        return connection


@asynccontextmanager
async def _wrapped() -> AsyncIterator[None]:
    try:
        yield
    except (sqlite3.Error, ValueError) as error:
        # ValueError: aiosqlite's word for a connection that is closed.
        raise _storage_failed(error) from error


def _storage_failed(error: BaseException) -> StorageFailedError:
    return StorageFailedError(f"SQLite: {error}")
