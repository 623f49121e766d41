"""Several servers on one store: what one leaves, by dying or because its workers have gone, another takes over."""

from __future__ import annotations

import pytest
from durabletask_backend.errors import LeaseLostError
from durabletask_backend.testing import FaultyBackend
from durabletask_backend.values import RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind
from durabletask_server.engine import events

from .answers import DONE, schedule, send_event
from .cluster import SECOND, cluster, settle


async def test_what_a_dead_server_had_is_taken_over_when_its_lease_has_run_out() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        first.connect()
        await first.start("turn")
        await first.start("timer")
        items = [await first.next(), await first.next()]
        (timed,) = [item for item in items if item.orchestratorRequest.instanceId == "timer"]
        fire_at = events.timestamp(servers.clock.now() + 5 * SECOND)
        await first.answer(timed, pb.OrchestratorAction(id=1, createTimer=pb.CreateTimerAction(fireAt=fire_at)))
        servers.die(first)
        second.connect()
        await servers.sweep(8)
        ids = set()

        for _ in range(2):
            item = await second.next()
            ids.add(item.orchestratorRequest.instanceId)
            await second.answer(item, DONE)

        ended = [await second.ended("turn"), await second.ended("timer")]

    assert ids == {"turn", "timer"}
    assert [instance.status for instance in ended] == [RuntimeStatus.COMPLETED] * 2


async def test_a_server_that_was_taken_over_commits_nothing_more_and_says_so() -> None:
    async with cluster() as servers:
        first = await servers.server()
        first.connect()
        await first.start("i")
        turn = await first.next()
        servers.clock.advance(20 * SECOND)
        servers.store.owners[next(iter(servers.store.owners))].expires = 0
        second = await servers.server()
        second.connect()
        taken = await second.next()

        with pytest.raises(LeaseLostError):
            await first.answer(turn, DONE)

        await second.answer(taken, DONE)
        ended = await second.ended("i")

        with pytest.raises(LeaseLostError):
            await first.hub.failed

    assert ended.status is RuntimeStatus.COMPLETED


async def test_tasks_that_were_kept_for_a_worker_that_has_gone_are_done_elsewhere() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        first.connect(limit=2)
        await first.start("i")
        await first.answer(await first.next(), *(schedule(number) for number in range(4)))
        first.disconnect()
        second.connect()
        await servers.sweep(3)
        done = set()

        for _ in range(4):
            item = await second.next()
            done.add(item.activityRequest.taskId)
            await second.do(item)

    assert done == set(range(4))


async def test_turns_that_wait_for_a_worker_that_has_gone_are_taken_elsewhere() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        first.connect(limit=1)
        ids = {f"i{number}" for number in range(3)}

        for instance_id in sorted(ids):
            await first.start(instance_id)

        await first.next()
        first.disconnect()
        await settle()
        second.connect()
        await servers.sweep(3)
        taken = {(await second.next()).orchestratorRequest.instanceId for _ in ids}

    assert taken == ids


async def test_what_could_not_be_given_up_is_given_up_later() -> None:
    async with cluster() as servers:
        backend = FaultyBackend(servers.store)
        backend.fail("release")
        first, second = await servers.server(backend), await servers.server()
        await first.start("i")
        await settle()
        second.connect()
        await servers.sweep(2)
        item = await second.next()

    assert backend.calls["release"] >= 2
    assert item.orchestratorRequest.instanceId == "i"


async def test_more_messages_at_a_time_than_a_server_reads_in_one_go_all_arrive() -> None:
    targets = 1050

    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        first.connect(limit=targets, filters=WorkFilters({Kind.ORCHESTRATION: {"n": ()}}))
        second.connect(filters=WorkFilters({Kind.ORCHESTRATION: {"sender": ()}}))

        for number in range(targets):
            await first.start(f"target-{number}")

        for _ in range(targets):
            await first.answer(await first.next())

        await second.start("sender", "sender")
        actions = [send_event(number, f"target-{number}") for number in range(targets)]
        await second.answer(await second.next(), *actions)
        await settle()
        await servers.sweep(2)
        told = {(await first.next()).orchestratorRequest.instanceId for _ in range(targets)}

    assert len(told) == targets
