"""Purging: what goes with an instance, what stays, and who is told."""

from __future__ import annotations

import pytest
from durabletask_backend.errors import StorageFailedError
from durabletask_backend.memory import MemoryBackend
from durabletask_backend.testing import FaultyBackend

from .answers import DONE, call_entity, child, signals
from .cluster import SECOND, cluster, key, settle

ENTITY = "@entity@1"


async def test_a_recursive_purge_of_what_still_runs_spares_its_children_too() -> None:
    async with cluster() as servers:
        server = await servers.server(MemoryBackend())
        server.connect()
        await server.start("parent")
        await server.answer(await server.next(), child(1, "child"))
        await server.answer(await server.next(), DONE)
        await server.ended("child")
        purged = await server.hub.instances.purge([key("parent")], recursive=True)
        spared = await server.hub.instances.get(key("child"))

    assert purged == 0
    assert spared is not None


async def test_a_signal_that_was_purged_while_its_entity_was_loaded_is_not_done_by_the_next_entity_of_that_id() -> None:
    async with cluster() as servers:
        backend = FaultyBackend()
        backend.may_tell.clear()
        server = await servers.server(backend)
        server.connect()
        await server.signal(ENTITY, "purged")
        await backend.has_read.wait()
        purged = await server.hub.operations.purge(key(ENTITY))
        await server.signal(ENTITY, "new")
        backend.may_tell.set()
        item = await server.next()
        await server.operate(item, "state")
        entity = await backend.entity(key(ENTITY))

    assert purged
    assert signals(item) == ["new"]
    assert entity is not None
    assert entity.state == "state"


async def test_who_has_called_an_entity_that_is_purged_is_told_that_it_is_gone() -> None:
    async with cluster() as servers:
        server = await servers.server(MemoryBackend())
        server.connect()
        await server.start("i")
        await server.answer(await server.next(), call_entity(1, ENTITY))
        called = await server.next()
        await server.hub.operations.purge(key(ENTITY))
        told = (await server.next()).orchestratorRequest.newEvents[-1].entityOperationFailed

    assert called.HasField("entityRequestV2")
    assert told.requestId == "call-1"
    assert told.failureDetails.errorType == "EntityPurged"


async def test_an_entity_whose_purge_failed_goes_on() -> None:
    async with cluster() as servers:
        backend = FaultyBackend()
        server = await servers.server(backend)
        await server.signal(ENTITY, "go on")
        await settle()
        backend.fail_next(applied=False)

        with pytest.raises(StorageFailedError):
            await server.hub.instances.purge([key(ENTITY)], recursive=False)

        servers.clock.advance(5 * SECOND)
        server.connect()
        item = await server.next()

    assert signals(item) == ["go on"]
