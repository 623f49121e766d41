"""Which instances are in memory: nothing is lost while one is loaded, and there is an end to what they take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from durabletask_backend.memory import MemoryBackend
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.settings import Settings
from durabletask_sqlite.backend import SqliteBackend

from .answers import DONE, signals
from .cluster import SECOND, Server, cluster
from .loading import SlowReader

ENTITY = "@entity@1"


async def test_a_delayed_signal_that_is_committed_while_its_entity_is_loaded_is_done_when_it_is_due() -> None:
    async with cluster() as servers:
        backend = SlowReader()
        server = await servers.server(backend)
        server.connect()
        await server.signal(ENTITY, "now")
        await backend.has_read.wait()
        await server.signal(ENTITY, "later", due=servers.clock.now() + 10 * SECOND)
        backend.may_tell.set()
        first = await server.next()
        await server.operate(first, "1")
        servers.clock.advance(10 * SECOND)
        second = await server.next()

    assert signals(first) == ["now"]
    assert signals(second) == ["later"]


async def test_no_delayed_signal_is_lost_on_sqlite_where_large_states_are_read_beside_the_writer(
    tmp_path: Path,
) -> None:
    entities = [f"@entity@{number}" for number in range(20)]
    # No entity stays in memory.
    settings = Settings(resident_bytes=1)

    async with cluster() as servers:
        server = await servers.server(SqliteBackend(tmp_path / "hub.sqlite3", synchronous="OFF"), settings)
        server.connect()

        for entity in entities:
            await server.signal(entity, "create")
            await server.operate(await server.next(), "x" * 1_000_000)

        due = servers.clock.now() + 10 * SECOND
        await asyncio.gather(*(server.signal(entity, "now") for entity in entities))
        await asyncio.gather(*(server.signal(entity, "later", due=due) for entity in entities))
        at_once = await _operated(server, len(entities))
        servers.clock.advance(10 * SECOND)
        later = await _operated(server, len(entities))

    assert [signals(item) for item in at_once] == [["now"]] * len(entities)
    assert [signals(item) for item in later] == [["later"]] * len(entities)
    assert {item.entityRequestV2.instanceId for item in later} == set(entities)


async def test_what_is_ready_leaves_memory_while_it_has_no_worker_and_comes_back_for_one() -> None:
    ids = {f"i{number}" for number in range(300)}

    async with cluster() as servers:
        server = await servers.server(MemoryBackend(), Settings(resident_bytes=100_000))

        for instance_id in sorted(ids):
            await server.start(instance_id, payload="x" * 1000)

        in_memory = len(server.hub.residency)
        server.connect(limit=10)
        done = set()

        for _ in ids:
            item = await server.next()
            done.add(item.orchestratorRequest.instanceId)
            await server.answer(item, DONE)

    # Each takes a few thousand bytes.
    assert in_memory < 100
    assert done == ids


async def _operated(server: Server, count: int) -> Sequence[pb.WorkItem]:
    items = []

    for _ in range(count):
        items.append(await server.next())
        await server.operate(items[-1], "small")

    return items
