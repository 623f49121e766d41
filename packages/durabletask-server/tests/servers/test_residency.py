"""Which instances are in memory: nothing is lost while one is loaded, and there is an end to what they take."""

from __future__ import annotations

import asyncio

from durabletask_backend.memory import MemoryBackend
from durabletask_backend.testing import FaultyBackend
from durabletask_server.settings import Settings

from .answers import DONE, signals
from .cluster import SECOND, cluster

ENTITY = "@entity@1"


async def test_a_delayed_signal_that_is_committed_while_its_entity_is_loaded_is_done_when_it_is_due() -> None:
    async with cluster() as servers:
        backend = FaultyBackend()
        backend.may_tell.clear()
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


async def test_what_is_larger_than_the_memory_of_all_is_done_all_the_same() -> None:
    entities = {f"@entity@{number}" for number in range(3)}

    async with cluster() as servers:
        server = await servers.server(MemoryBackend(), Settings(resident_bytes=1))
        server.connect()

        for entity in sorted(entities):
            await server.signal(entity, "create")
            await server.operate(await server.next(), "x" * 1_000_000)

        await asyncio.gather(*(server.signal(entity, "go on") for entity in entities))
        done = {}

        for _ in entities:
            item = await server.next()
            done[item.entityRequestV2.instanceId] = len(item.entityRequestV2.entityState.value)
            await server.operate(item, "small")

    assert done == dict.fromkeys(entities, 1_000_000)
