"""Several servers on one store: what one starts another's workers do, and nobody takes what it cannot do."""

from __future__ import annotations

import asyncio

import pytest
from durabletask_backend.testing import FaultyBackend
from durabletask_backend.values import RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind
from durabletask_server.instances import has_started

from .answers import DONE, FAIL, schedule
from .cluster import Cluster, Server, cluster, key, settle


async def test_what_one_server_starts_another_s_worker_does_and_the_first_hears_of_it() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        second.connect()
        await first.start("i")
        turn = await second.next()
        started = asyncio.create_task(first.hub.instances.wait(key("i"), has_started))
        await second.answer(turn, schedule(1))
        activity = await second.next()
        await second.do(activity)
        await second.answer(await second.next(), DONE)
        running = await started
        ended = await first.ended("i")

    assert running is not None
    assert ended.status is RuntimeStatus.COMPLETED


async def test_a_worker_that_connects_later_finds_what_was_started_elsewhere() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        await first.start("i")
        second.connect()
        await second.answer(await second.next(), DONE)
        ended = await first.ended("i")

    assert ended.status is RuntimeStatus.COMPLETED


async def test_a_message_through_any_server_reaches_the_one_that_has_the_instance() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        second.connect()
        await second.start("i")
        await second.answer(await second.next())
        await first.raise_event("i")
        turn = await second.next()
        names = [event.eventRaised.name for event in turn.orchestratorRequest.newEvents]

    assert names == ["", "go"]
    assert len(turn.orchestratorRequest.pastEvents) == 2


async def test_a_message_that_comes_while_a_turn_is_out_is_taken_once_and_after_it() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        second.connect()
        await second.start("i")
        turn = await second.next()
        await first.raise_event("i")
        await second.answer(turn, schedule(1))
        items = [await second.next(), await second.next()]
        (again,) = [item for item in items if item.HasField("orchestratorRequest")]
        await second.answer(again, DONE)
        ended = await first.ended("i")

    assert [event.eventRaised.name for event in again.orchestratorRequest.newEvents] == ["", "go"]
    assert ended.status is RuntimeStatus.COMPLETED


async def test_an_activity_is_done_where_there_is_a_worker_for_it() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        first.connect(filters=WorkFilters({Kind.ORCHESTRATION: None, Kind.ACTIVITY: {}, Kind.ENTITY: {}}))
        second.connect(filters=WorkFilters({Kind.ORCHESTRATION: {}, Kind.ACTIVITY: {"a": ()}, Kind.ENTITY: {}}))
        await first.start("i")
        await first.answer(await first.next(), schedule(1))
        activity = await second.next()
        await second.do(activity)
        turn = await first.next()
        await first.answer(turn, DONE)
        ended = await second.ended("i")

    assert turn.orchestratorRequest.newEvents[1].taskCompleted.result.value == "1"
    assert ended.status is RuntimeStatus.COMPLETED


async def test_a_wide_fan_out_is_shared_by_servers_with_room() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        first.connect(limit=2)
        second.connect(limit=2)
        await first.start("i")
        turn, owner = await _either(first, second)
        await owner.answer(turn, *(schedule(number) for number in range(40)))
        done = {first: 0, second: 0}

        async def work(server: Server) -> None:
            while sum(done.values()) < 40:
                item = await server.next()

                if item.HasField("activityRequest"):
                    done[server] += 1
                    await server.do(item)
                else:
                    await server.answer(item, *([DONE] if sum(done.values()) == 40 else []))

        workers = [asyncio.create_task(work(server)) for server in (first, second)]
        async with asyncio.timeout(10):
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)

        for worker in workers:
            worker.cancel()

    assert sum(done.values()) == 40
    assert min(done.values()) >= 5


async def test_a_termination_needs_no_worker_anywhere() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        await first.start("i")
        await settle()
        await second.terminate("i")
        ended = await first.ended("i")

    assert ended.status is RuntimeStatus.TERMINATED


async def test_an_instance_is_rewound_through_any_server() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        first.connect()
        await first.start("i")
        await first.answer(await first.next(), FAIL)
        await second.ended("i")
        await second.rewind("i")
        await first.answer(await first.next(), DONE)
        ended = await second.ended("i")

    assert ended.status is RuntimeStatus.COMPLETED


async def _either(first: Server, second: Server) -> tuple[pb.WorkItem, Server]:
    waits = {asyncio.create_task(server.next()): server for server in (first, second)}
    done, waiting = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)

    for wait in waiting:
        wait.cancel()

    await asyncio.gather(*waiting, return_exceptions=True)
    (won,) = done

    return won.result(), waits[won]


# Passing back and forth.


async def _pair(servers: Cluster) -> tuple[list[FaultyBackend], Server, Server]:
    backends = [FaultyBackend(servers.store), FaultyBackend(servers.store)]

    return backends, await servers.server(backends[0]), await servers.server(backends[1])


@pytest.mark.parametrize(
    ("names", "version"), [({"other": ()}, ""), ({"n": ("2.0",)}, "1.0")], ids=["of another name", "of another version"]
)
async def test_servers_do_not_pass_an_instance_back_and_forth_that_no_worker_fits(
    names: dict[str, tuple[str, ...]], version: str
) -> None:
    async with cluster() as servers:
        backends, first, second = await _pair(servers)

        for server in (first, second):
            server.connect(filters=WorkFilters({Kind.ORCHESTRATION: names}))

        await first.start("i", version=version)
        await settle(1000)
        calls = sum(backend.calls.total() for backend in backends)

    assert calls <= 5


async def test_servers_do_not_pass_an_instance_back_and_forth_whose_hub_has_no_worker() -> None:
    async with cluster() as servers:
        backends, first, second = await _pair(servers)
        await first.hub.create_hub("blue")
        await second.hub.find_hub("blue")

        for server in (first, second):
            server.connect()

        await first.of("blue").start("i")
        await settle(1000)
        calls = sum(backend.calls.total() for backend in backends)

    assert calls <= 5


async def test_tasks_of_a_hub_are_left_to_the_server_that_has_a_worker_for_it() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        await first.hub.create_hub("blue")
        await second.hub.find_hub("blue")
        second.connect()
        blue = first.of("blue")
        blue.connect(limit=1)
        await blue.start("i")
        await blue.answer(await blue.next(), *(schedule(number) for number in range(6)))
        done: set[int] = set()

        while len(done) < 6:
            item = await blue.next()

            if item.HasField("activityRequest"):
                done.add(item.activityRequest.taskId)
                await blue.do(item)
                await settle()

    assert done == set(range(6))
