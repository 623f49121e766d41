"""Locked entities: whose they are after a rewind, and what it costs to wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_backend.values import Entity, Micros
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import entity
from durabletask_server.engine.entity import Operations, Step
from durabletask_server.engine.turn import Letter, NoTurn

from .answers import DONE, FAIL, lock_entity, schedule
from .cluster import Cluster, Server, cluster, key, settle

ENTITY = "@entity@1"


async def _locked(servers: Cluster) -> Server:
    """A server where orchestration `i` has locked the entity, and waits for an activity."""
    server = await servers.server(MemoryBackend())
    server.connect()
    await server.start("i")
    await server.answer(await server.next(), lock_entity(1, ENTITY))
    await server.answer(await server.next(), schedule(2))
    assert await _owner(server) == "i"

    return server


async def _owner(server: Server) -> str | None:
    await settle()
    found = await server.hub.backend.entity(key(ENTITY))

    return found.lock.instance_id if found is not None and found.lock is not None else None


async def test_a_rewound_instance_has_the_entities_locked_that_its_history_says_it_has() -> None:
    async with cluster() as servers:
        server = await _locked(servers)
        await server.answer(await _after_its_activity(server), FAIL)
        await server.ended("i")
        failed = await _owner(server)
        await server.rewind("i")
        turn = await server.next()
        await server.answer(turn, schedule(2))
        rewound = await _owner(server)
        await server.answer(await _after_its_activity(server), DONE)
        await server.ended("i")
        completed = await _owner(server)

    assert "entityLockGranted" in [event.WhichOneof("eventType") for event in turn.orchestratorRequest.pastEvents]
    assert (failed, rewound, completed) == (None, "i", None)


async def test_a_message_to_a_locked_entity_costs_the_same_however_many_wait_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at: list[int] = []
    take = entity.take

    def counted(record: Entity, inbox: Sequence[Letter], now: Micros) -> Operations | Step | NoTurn:
        looked_at.append(len(inbox))

        return take(record, inbox, now)

    async with cluster() as servers:
        server = await _locked(servers)
        monkeypatch.setattr(entity, "take", counted)

        for _ in range(10):
            await asyncio.gather(*(server.signal(ENTITY) for _ in range(20)))

    # Each batch of twenty is looked at a few times at most, and not with all that came before it.
    assert sum(looked_at) <= 200


async def _after_its_activity(server: Server) -> pb.WorkItem:
    """The turn that follows the result of the activity."""
    await server.do(await server.next())

    return await server.next()
