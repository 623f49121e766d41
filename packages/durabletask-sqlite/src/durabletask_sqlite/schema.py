"""What is in a file: whether it is ours, of which schema, and how an older one becomes the newest."""

from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path

from durabletask_backend.errors import NotADatabaseError, SchemaTooNewError

APPLICATION_ID = 0x44544B31
"""In the header of every database of ours."""
_MAGIC = b"SQLite format 3\x00"
_HEADER = 100


def migrations() -> list[str]:
    """The numbered migrations, in order. The first makes an empty database."""
    folder = resources.files(__package__) / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))

    return [(folder / name).read_text("utf-8") for name in names]


def inspect(path: Path) -> None:
    """Check that a file may be opened: that it is absent, empty, or a database of ours that this version knows.

    It is read as bytes, for SQLite writes even when it only looks; and by the lock's holder only, since closing a file that
    this process has open as a database drops the locks on it.

    Raises:
        NotADatabaseError: There is something else.
        SchemaTooNewError: A newer version wrote it.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except FileNotFoundError:
        return
    except OSError as error:
        raise NotADatabaseError(f"cannot read {path}: {error.strerror}; give another path") from error

    if not header:
        return

    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise NotADatabaseError(f"{path} is not a SQLite database; give another path")

    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise NotADatabaseError(f"{path} is a SQLite database, but not one of task hubs; give another path")

    _check_version(str(path), int.from_bytes(header[60:64], "big"), len(migrations()))


def migrate(connection: sqlite3.Connection, location: str) -> None:
    """Bring a database to the newest schema, each migration in a transaction of its own.

    Raises:
        SchemaTooNewError: A newer version wrote it.
    """
    scripts = migrations()
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    _check_version(location, found, len(scripts))

    if found == len(scripts):
        return

    # Without a write-ahead log the header is in the file as soon as the migration is committed, where `inspect` reads it.
    connection.execute("PRAGMA journal_mode = DELETE")

    for number, script in enumerate(scripts[found:], start=found + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}; COMMIT;"
        )


def _check_version(location: str, found: int, known: int) -> None:
    if found > known:
        raise SchemaTooNewError(location, found, known)
