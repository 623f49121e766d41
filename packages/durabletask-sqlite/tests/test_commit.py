"""Commits that are given up, that fail, that wait for nobody, and whose process is killed."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from durabletask_backend.errors import StorageFailedError
from durabletask_backend.mutations import AppendMessage, Batch, Code, CompleteTurn, CreateInstance, Mutation
from durabletask_backend.values import Instance, InstanceFilter, InstanceKey, Lease, RuntimeStatus
from durabletask_sqlite import SqliteBackend


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.sqlite3"


@pytest.fixture
async def backend(path: Path) -> AsyncIterator[SqliteBackend]:
    backend = SqliteBackend(path)
    await backend.open("owner")
    await backend.create_hub("hub", b"secret")
    yield backend
    await backend.close()


LEASE = Lease(owner="owner", epoch=1)


def key(instance_id: str) -> InstanceKey:
    return InstanceKey("hub", instance_id)


def create(of: InstanceKey, *, size: int = 5, created_at: int = 1) -> CreateInstance:
    return CreateInstance(
        instance=Instance(
            key=of,
            execution_id="g1",
            name="Orchestrate",
            status=RuntimeStatus.PENDING,
            created_at=created_at,
            updated_at=created_at,
        ),
        start=bytes(size),
    )


def batch(batch_id: str, *mutations: Mutation) -> Batch:
    return Batch(id=batch_id, lease=LEASE, mutations=mutations)


async def test_a_commit_that_is_given_up_is_whole_and_can_be_asked_about(backend: SqliteBackend) -> None:
    first = batch("1", *(create(key(f"i{number}")) for number in range(500)))
    commit = asyncio.create_task(backend.commit(first))
    await asyncio.sleep(0)
    commit.cancel()

    with pytest.raises(asyncio.CancelledError):
        await commit

    outcomes = await backend.outcomes(LEASE, "1")
    assert outcomes is not None
    assert [outcome.code for outcome in outcomes] == [Code.APPLIED] * 500
    assert list(await backend.commit(first)) == list(outcomes)
    assert len((await backend.query("hub", InstanceFilter(), limit=1000)).instances) == 500


async def test_closing_waits_for_the_commit_that_runs(backend: SqliteBackend, path: Path) -> None:
    commit = asyncio.create_task(backend.commit(batch("1", *(create(key(f"i{number}")) for number in range(500)))))
    await asyncio.sleep(0)
    await backend.close()
    assert len(await commit) == 500

    again = SqliteBackend(path)
    lease = await again.open("owner")
    assert await again.outcomes(lease, "1") == await commit
    await again.close()


async def test_commits_may_be_made_side_by_side(backend: SqliteBackend) -> None:
    results = await asyncio.gather(
        *(backend.commit(batch(f"{number}", create(key(f"i{number}")))) for number in range(20))
    )

    assert [result[0].sequence for result in results] == list(range(1, 21))


async def test_a_full_disk_fails_the_batch_and_nothing_else(backend: SqliteBackend, path: Path) -> None:
    resource = pytest.importorskip("resource")
    await backend.commit(batch("1", create(key("before"))))
    size = path.with_name(path.name + "-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, hard))

    try:
        with pytest.raises(StorageFailedError, match=r"hub\.sqlite3"):
            await backend.commit(batch("2", create(key("large"), size=1_000_000), create(key("beside"))))

        assert await backend.outcomes(LEASE, "2") is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    # The same batch, once there is room; and no sequence is used twice.
    large, beside = await backend.commit(batch("2", create(key("large"), size=1_000_000), create(key("beside"))))
    assert (large.code, beside.code) == (Code.APPLIED, Code.APPLIED)
    assert (large.sequence, beside.sequence) == (2, 3)


async def test_a_number_that_does_not_fit_fails_the_batch_and_nothing_else(backend: SqliteBackend) -> None:
    with pytest.raises(StorageFailedError, match="too large"):
        await backend.commit(batch("1", create(key("early")), create(key("late"), created_at=1 << 70)))

    assert await backend.get(key("early")) is None
    assert [outcome.code for outcome in await backend.commit(batch("2", create(key("early"))))] == [Code.APPLIED]


async def test_a_nul_in_an_id_is_part_of_it(backend: SqliteBackend) -> None:
    await backend.commit(batch("1", create(key("a")), create(key("a\0b"))))
    again, sent = await backend.commit(
        batch("2", create(key("a\0b")), AppendMessage(key=key("a\0b"), payload=b"message"))
    )

    assert (again.code, sent.code) == (Code.UNCHANGED, Code.APPLIED)
    assert set(await backend.load(LEASE, [key("a"), key("a\0b")])) == {key("a"), key("a\0b")}


async def test_a_query_holds_up_neither_commits_nor_keyed_reads(backend: SqliteBackend) -> None:
    """The query stands still in the middle, until the test has seen the others come through."""
    asked, go_on = threading.Event(), threading.Event()

    def slow_query(connection: sqlite3.Connection) -> int:
        (count,) = connection.execute("SELECT count(*) FROM instances").fetchone()
        asked.set()
        go_on.wait(60)

        return int(count) + int(connection.execute("SELECT count(*) FROM instances").fetchone()[0])

    query = asyncio.create_task(backend._database.search(slow_query))

    try:
        await asyncio.to_thread(asked.wait, 60)
        await backend.commit(batch("1", create(key("i"))))
        assert await backend.get(key("i")) is not None
        assert not query.done()
    finally:
        go_on.set()

    # All that it sees is of one moment.
    assert await query == 0


async def test_history_is_read_in_pieces_and_from_the_middle(backend: SqliteBackend) -> None:
    """Three turns of ten events and 600 KB each are more than one piece."""
    events = b"\x1a\x01x" * 10 + bytes(600_000)
    await backend.commit(batch("1", create(key("i"))))

    for number in range(3):
        await backend.commit(
            batch(
                f"turn {number}",
                CompleteTurn(
                    key=key("i"),
                    execution_id="g1",
                    turn=number,
                    status=RuntimeStatus.RUNNING,
                    updated_at=1,
                    history=events,
                    history_first=number * 10,
                    history_count=10,
                ),
            )
        )

    assert [(chunk.first, chunk.length) async for chunk in backend.history(key("i"))] == [(0, 10), (10, 10), (20, 10)]
    assert [chunk.first async for chunk in backend.history(key("i"), after=9)] == [0, 10, 20]
    assert [chunk.first async for chunk in backend.history(key("i"), after=10)] == [10, 20]
    assert [chunk.first async for chunk in backend.history(key("i"), after=25, execution_id="g1")] == [20]
    assert [chunk.first async for chunk in backend.history(key("i"), after=30)] == []


_COMMITTER = """
import asyncio, sys
from durabletask_backend.mutations import Batch, CreateInstance
from durabletask_backend.values import Instance, InstanceKey, RuntimeStatus
from durabletask_sqlite import SqliteBackend

async def main():
    backend = SqliteBackend(sys.argv[1])
    lease = await backend.open(sys.argv[2])
    await backend.create_hub("hub", b"secret")
    number = 0

    while True:
        mutations = []

        for part in range(3):
            key = InstanceKey("hub", f"{sys.argv[2]}.{number}.{part}")
            instance = Instance(
                key=key, execution_id="g1", name="n", status=RuntimeStatus.PENDING, created_at=number, updated_at=number
            )
            mutations.append(CreateInstance(instance=instance, start=b"start"))

        await backend.commit(Batch(id=f"{sys.argv[2]}.{number}", lease=lease, mutations=mutations))
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


async def test_what_was_acknowledged_outlives_a_killed_process(path: Path) -> None:
    acknowledged: dict[str, int] = {}

    for name in ("one", "two", "three"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _COMMITTER, str(path), name, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None

        while int(await process.stdout.readline()) < 100:
            pass

        process.kill()
        rest, _ = await process.communicate()
        acknowledged[name] = max([100, *map(int, rest.split(b"\n")[:-1])])

    backend = SqliteBackend(path)
    lease = await backend.open("reader")
    last = acknowledged["three"]
    # The last commit may have been done without its acknowledgement, and the backend knows.
    extra = await backend.outcomes(lease, f"three.{last + 1}") is not None
    page = await backend.query("hub", InstanceFilter(), limit=100_000)
    found = {instance.key.instance_id for instance in page.instances}
    messages = await backend.load(lease, [instance.key for instance in page.instances])

    for name, count in acknowledged.items():
        for number in range(count + 1):
            assert {f"{name}.{number}.{part}" for part in range(3)} <= found

    # Batches are there whole or not at all, each instance with its message, and no sequence was used twice.
    assert len(found) % 3 == 0
    assert len({instance_id for instance_id in found if instance_id.startswith("three.")}) == 3 * (last + 1 + extra)
    sequences = [message.sequence for loaded in messages.values() for message in loaded.inbox]
    assert len(sequences) == len(set(sequences)) == len(found)
    await backend.close()
