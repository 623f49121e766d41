"""What is in a file: whether it is ours, of which schema, and how an older one becomes the newest."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import aiosqlite
from durabletask_backend.errors import NotADatabaseError, SchemaTooNewError

APPLICATION_ID = 0x44544B31
"""In the header of every database of ours."""
_MAGIC = b"SQLite format 3\x00"
_HEADER = 100


def migrations() -> list[str]:
    """The numbered migrations, in order. The first makes an empty database."""
    folder = resources.files(__package__) / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))

    return [(folder / name).read_text() for name in names]


def inspect(path: Path) -> bool:
    """Look at a file without opening it as a database, so that one which is not ours stays as it is.

    Returns:
        Whether there is a database of ours; False: there is nothing yet.

    Raises:
        NotADatabaseError: There is something else.
        SchemaTooNewError: A newer version wrote it.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise NotADatabaseError(f"cannot read {path}: {error.strerror}") from error

    if not header:
        return False

    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise NotADatabaseError(f"{path} is not a SQLite database; give another path with --db")

    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise NotADatabaseError(f"{path} is a SQLite database, but not a task hub's; give another path with --db")

    check_version(str(path), int.from_bytes(header[60:64], "big"))

    return True


def check_version(location: str, found: int) -> None:
    """Check that this version knows a schema.

    Raises:
        SchemaTooNewError: It does not.
    """
    known = len(migrations())

    if found > known:
        raise SchemaTooNewError(location, found, known)


async def migrate(connection: aiosqlite.Connection, location: str) -> None:
    """Bring a database to the newest schema, each migration in a transaction of its own.

    Raises:
        SchemaTooNewError: A newer version wrote it.
    """
    rows = await connection.execute_fetchall("PRAGMA user_version")
    found = int(next(iter(rows))[0])
    check_version(location, found)

    for number, script in enumerate(migrations()[found:], start=found + 1):
        await connection.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}; COMMIT;"
        )
