"""A file has one owner, whoever asks and however the last one ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from durabletask_backend.errors import AlreadyOwnedError, LocationError, NotADatabaseError, StorageFailedError
from durabletask_backend.mutations import Batch
from durabletask_backend.values import Lease
from durabletask_sqlite import SqliteBackend

_HOLDER = """
import asyncio, sys
from durabletask_sqlite import SqliteBackend

async def main():
    backend = SqliteBackend(sys.argv[1])
    await backend.open("holder")
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await backend.close()

asyncio.run(main())
"""


@asynccontextmanager
async def _holder(path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that has the file, until its input ends or it is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLDER, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"

    try:
        yield process
    finally:
        await process.communicate(b"")


async def test_a_second_process_is_told_who_has_the_file(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"

    async with _holder(path) as holder:
        before = (tmp_path / "hub.sqlite3.lock").read_bytes()
        known = json.loads(before)

        with pytest.raises(AlreadyOwnedError) as raised:
            await SqliteBackend(path).open("second")

        assert known["pid"] == holder.pid
        assert f"process {holder.pid} on {known['host']} since {known['since']}" in str(raised.value)
        assert (tmp_path / "hub.sqlite3.lock").read_bytes() == before

    backend = SqliteBackend(path)
    await backend.open("second")
    await backend.close()


async def test_a_killed_holder_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"

    async with _holder(path) as holder:
        holder.kill()

    backend = SqliteBackend(path)
    lease = await backend.open("second")
    assert lease.epoch == 2
    assert json.loads((tmp_path / "hub.sqlite3.lock").read_bytes())["pid"] == os.getpid()
    await backend.close()


async def test_one_process_is_no_exception_nor_is_another_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    backend = SqliteBackend(path)
    lease = await backend.open("first")
    (tmp_path / "link").symlink_to(path)

    for other in (path, tmp_path / "link", tmp_path / "." / "hub.sqlite3"):
        with pytest.raises(AlreadyOwnedError, match=str(os.getpid())):
            await SqliteBackend(other).open("second")

    # The refused ones have taken nothing with them: the file is locked still, and written to.
    await backend.commit(Batch(id="1", lease=lease))
    holder = SqliteBackend(path)

    with pytest.raises(AlreadyOwnedError):
        await holder.open("third")

    await holder.close()
    await backend.close()


async def test_the_lock_goes_when_the_backend_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    path.write_bytes(b"something else entirely")

    with pytest.raises(NotADatabaseError):
        await SqliteBackend(path).open("first")

    path.unlink()
    backend = SqliteBackend(path)
    await backend.open("second")
    await backend.close()


async def test_a_file_that_only_has_the_name_of_the_lock_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_bytes(b"version = 1\n")

    with pytest.raises(LocationError, match=r"uv\.lock"):
        await SqliteBackend(tmp_path / "uv").open("first")

    assert (tmp_path / "uv.lock").read_bytes() == b"version = 1\n"
    assert not (tmp_path / "uv").exists()


@pytest.mark.parametrize("torn", [b"", b'{"pid": 12', b"\x00\x00\x00\x00"])
async def test_a_torn_lock_file_is_no_obstacle(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "hub.sqlite3.lock").write_bytes(torn)
    backend = SqliteBackend(tmp_path / "hub.sqlite3")
    await backend.open("first")
    await backend.close()


async def test_an_open_backend_is_not_opened_twice(tmp_path: Path) -> None:
    for backend in (SqliteBackend(), SqliteBackend(tmp_path / "hub.sqlite3")):
        lease = await backend.open("first")

        with pytest.raises(LocationError, match="open already"):
            await backend.open("second")

        await backend.commit(Batch(id="1", lease=lease))
        await backend.close()


async def test_a_closed_backend_says_so() -> None:
    backend = SqliteBackend()
    await backend.open("first")
    await backend.close()

    with pytest.raises(StorageFailedError, match="closed"):
        await backend.outcomes(Lease(owner="first", epoch=1), "1")
