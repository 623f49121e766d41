"""What is not ours is not touched, what is newer is refused, and what is older is brought up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from durabletask_backend.errors import LocationError, NotADatabaseError, SchemaTooNewError, StorageFailedError
from durabletask_backend.values import EntityFilter, EntityPage, Task, TaskKey
from durabletask_sqlite import SqliteBackend, schema


def _files(folder: Path) -> dict[str, bytes]:
    """All that is in a folder, but the lock file."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


async def _refused(path: Path, error: type[Exception], match: str) -> None:
    before = _files(path.parent)

    with pytest.raises(error, match=match):
        await SqliteBackend(path).open("owner")

    assert _files(path.parent) == before


async def _make(path: Path) -> None:
    backend = SqliteBackend(path)
    await backend.open("maker")
    await backend.create_hub("hub", b"secret")
    await backend.close()


@pytest.mark.parametrize(
    "content", [b"x", b"# a text file\n" * 100, b"SQLite format 3\x00", b"SQLite format 2\x00" + bytes(200)]
)
async def test_another_file_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    await _refused(path, NotADatabaseError, "not a SQLite database")


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
async def test_another_program_s_database_is_left_as_it_is(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "places.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("CREATE TABLE instances (place TEXT)")
    connection.execute("INSERT INTO instances VALUES ('home')")
    connection.commit()

    # While it is open, with what it has in its write-ahead log, and after.
    await _refused(path, NotADatabaseError, "not one of task hubs")
    connection.close()
    await _refused(path, NotADatabaseError, "not one of task hubs")


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()

    with pytest.raises(NotADatabaseError, match="directory"):
        await SqliteBackend(tmp_path / "hub").open("owner")


async def test_a_damaged_database_is_told_from_a_failing_disk(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    await _make(path)
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4000)

    with pytest.raises(NotADatabaseError):
        await SqliteBackend(path).open("owner")


async def test_the_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="does not exist"):
        await SqliteBackend(tmp_path / "nowhere" / "hub.sqlite3").open("owner")

    assert not (tmp_path / "nowhere").exists()


async def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "hub.sqlite3").touch()
    await _make(tmp_path / "hub.sqlite3")
    await _make(tmp_path / "hub.sqlite3")


async def test_a_newer_schema_is_refused_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hub.sqlite3"
    await _make(path)

    with monkeypatch.context() as newer:
        known = schema.migrations()
        newer.setattr(schema, "migrations", lambda: [*known, "CREATE TABLE novelty (it TEXT)"])
        await _make(path)

    await _refused(path, SchemaTooNewError, f"schema version {len(known) + 1}, newer than {len(known)}")


async def test_an_older_schema_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hub.sqlite3"
    await _make(path)
    known = schema.migrations()
    monkeypatch.setattr(schema, "migrations", lambda: [*known, "CREATE TABLE novelty (it TEXT);"])
    backend = SqliteBackend(path)
    await backend.open("owner")

    # In the file already, where the next older program looks, though nothing has been closed.
    assert int.from_bytes(path.read_bytes()[60:64], "big") == len(known) + 1
    assert await backend.get_hub("hub") is not None
    await backend.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM novelty").fetchone() == (0,)
    connection.close()


async def test_what_the_first_schema_held_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open task of a database from before entities is claimed under the newest schema."""
    path = tmp_path / "hub.sqlite3"
    known = schema.migrations()

    with monkeypatch.context() as older:
        older.setattr(schema, "migrations", lambda: known[:1])
        await _make(path)

    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO tasks VALUES ('hub', 'i', 'g1', 1, 'Act', NULL, 1, x'01')")
    connection.commit()
    connection.close()
    backend = SqliteBackend(path)
    lease = await backend.open("owner")
    key = TaskKey("hub", "i", "g1", 1)

    assert await backend.claim_tasks(lease) == [Task(key=key, name="Act", payload=b"\x01", out=True)]
    assert await backend.entities("hub", EntityFilter()) == EntityPage(entities=(), next=None)
    await backend.close()


async def test_a_failed_migration_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hub.sqlite3"
    await _make(path)
    known = schema.migrations()

    with monkeypatch.context() as broken:
        broken.setattr(schema, "migrations", lambda: [*known, "CREATE TABLE novelty (it TEXT); DROP TABLE nothing;"])

        with pytest.raises(StorageFailedError, match="nothing"):
            await SqliteBackend(path).open("owner")

    backend = SqliteBackend(path)
    await backend.open("owner")
    assert await backend.get_hub("hub") is not None
    await backend.close()


def test_every_migration_is_numbered_in_order() -> None:
    names = sorted(path.name for path in (Path(schema.__file__).parent / "migrations").glob("*.sql"))

    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
