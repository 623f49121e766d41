"""Several servers on one store: what one starts another's workers do, and what one leaves another takes over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from durabletask_backend.errors import LeaseLostError
from durabletask_backend.memory import MemoryBackend, MemoryStore
from durabletask_backend.values import Instance, InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.activities import Answer
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind, StreamOptions, WorkerStream
from durabletask_server.engine import events, lifecycle
from durabletask_server.instances import has_ended, has_started
from durabletask_server.settings import Settings
from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker
from durabletask_server.testing import ManualClock
from durabletask_server.tokens import Token

SECOND = 1_000_000


def key(instance_id: str) -> InstanceKey:
    return InstanceKey(DEFAULT_HUB, instance_id)


class Server:
    """A server with a worker that answers what a test tells it to."""

    def __init__(self, hub: TaskHubWorker) -> None:
        self.hub = hub
        self.stream: WorkerStream | None = None
        self.items: list[pb.WorkItem] = []

    def connect(self, *, filters: WorkFilters | None = None, limit: int = 0) -> None:
        limits = dict.fromkeys(Kind, limit)
        self.stream = self.hub.dispatcher.open(
            StreamOptions(hub=DEFAULT_HUB, limits=limits, filters=filters or WorkFilters(), history_streaming=False)
        )

    async def next(self) -> pb.WorkItem:
        """The next item for the worker."""
        while not self.items:
            assert self.stream is not None
            async with asyncio.timeout(5):
                sent = await self.stream.outgoing()
            assert sent is not None
            items = [pb.WorkItem.FromString(raw) for raw in sent]
            self.items = [item for item in items if not item.HasField("healthPing")]

        return self.items.pop(0)

    async def start(self, instance_id: str, name: str = "n") -> None:
        request = pb.CreateInstanceRequest(instanceId=instance_id, name=name)
        await self.hub.instances.create(lifecycle.create(DEFAULT_HUB, request, self.hub.clock.now(), self.hub.new_id))

    async def raise_event(self, instance_id: str) -> None:
        request = pb.RaiseEventRequest(instanceId=instance_id, name="go")
        await self.hub.instances.send(lifecycle.raise_event(DEFAULT_HUB, request, self.hub.clock.now()))

    async def terminate(self, instance_id: str) -> None:
        request = pb.TerminateRequest(instanceId=instance_id)
        await self.hub.instances.send(lifecycle.request_termination(DEFAULT_HUB, request, self.hub.clock.now()))

    async def answer(self, item: pb.WorkItem, *actions: pb.OrchestratorAction) -> None:
        token = self.token(item)
        await self.hub.orchestrations.complete(
            token.task.instance, token.attempt, pb.OrchestratorResponse(actions=actions)
        )

    def token(self, item: pb.WorkItem) -> Token:
        token = self.hub.signer_of(DEFAULT_HUB).read(item.completionToken)
        assert token is not None

        return token

    async def ended(self, instance_id: str) -> Instance:
        async with asyncio.timeout(5):
            instance = await self.hub.instances.wait(key(instance_id), has_ended)
        assert instance is not None

        return instance


Open = Callable[[], "asyncio.Future[Server]"]


class Cluster:
    """Servers on one store and one clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock.now)
        self.hubs: list[TaskHubWorker] = []

    async def server(self) -> Server:
        hub = TaskHubWorker(MemoryBackend(self.store), clock=self.clock, settings=Settings())
        await hub.start()
        self.hubs.append(hub)

        return Server(hub)

    def die(self, server: Server) -> None:
        """Stop a server without a word: its lease is not given up, and it renews it no more."""
        self.hubs.remove(server.hub)
        server.hub.abort()


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    servers = Cluster()

    try:
        yield servers
    finally:
        for hub in servers.hubs:
            await hub.close()


def schedule(number: int, name: str = "a") -> pb.OrchestratorAction:
    return pb.OrchestratorAction(id=number, scheduleTask=pb.ScheduleTaskAction(name=name))


DONE = pb.OrchestratorAction(
    id=1000,
    completeOrchestration=pb.CompleteOrchestrationAction(orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED),
)


async def test_what_one_server_starts_another_s_worker_does_and_the_first_hears_of_it() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        second.connect()
        await first.start("i")
        turn = await second.next()
        started = asyncio.create_task(first.hub.instances.wait(key("i"), has_started))
        await second.answer(turn, schedule(1))
        activity = await second.next()
        await second.hub.activities.complete(second.token(activity).task, Answer(result="1"))
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
        await second.hub.activities.complete(second.token(activity).task, Answer(result="1"))
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
                    await server.hub.activities.complete(server.token(item).task, Answer(result="1"))
                else:
                    await server.answer(item, *([DONE] if sum(done.values()) == 40 else []))

        workers = [asyncio.create_task(work(server)) for server in (first, second)]
        async with asyncio.timeout(10):
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)

        for worker in workers:
            worker.cancel()

    assert sum(done.values()) == 40
    assert min(done.values()) >= 5


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

        for _ in range(8):
            servers.clock.advance(30 * SECOND)
            await _settle()

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


async def test_a_termination_needs_no_worker_anywhere() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        await first.start("i")
        await _settle()
        await second.terminate("i")
        ended = await first.ended("i")

    assert ended.status is RuntimeStatus.TERMINATED


async def test_an_instance_is_rewound_through_any_server() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()
        first.connect()
        await first.start("i")
        failed = pb.CompleteOrchestrationAction(orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED)
        await first.answer(await first.next(), pb.OrchestratorAction(id=1, completeOrchestration=failed))
        await second.ended("i")
        await second.hub.instances.rewind(key("i"), None, now=servers.clock.now(), new_id=second.hub.new_id)
        await first.answer(await first.next(), DONE)
        ended = await second.ended("i")

    assert ended.status is RuntimeStatus.COMPLETED


async def test_servers_without_a_fitting_worker_do_not_pass_an_instance_back_and_forth() -> None:
    async with cluster() as servers:
        first, second = await servers.server(), await servers.server()

        for server in (first, second):
            server.connect(filters=WorkFilters({Kind.ORCHESTRATION: {"other": ()}, Kind.ACTIVITY: {}, Kind.ENTITY: {}}))

        loads = [_count_loads(server) for server in (first, second)]
        await first.start("i", "nobody")
        await _settle()

    assert sum(map(len, loads)) <= 2


def _count_loads(server: Server) -> list[Sequence[InstanceKey]]:
    loads: list[Sequence[InstanceKey]] = []
    backend = server.hub.backend
    load = backend.load

    async def counted(lease: object, keys: Sequence[InstanceKey]) -> object:
        loads.append(keys)

        return await load(lease, keys)  # type: ignore[arg-type]

    backend.load = counted  # type: ignore[assignment,method-assign]

    return loads


async def _either(first: Server, second: Server) -> tuple[pb.WorkItem, Server]:
    waits = {asyncio.create_task(server.next()): server for server in (first, second)}
    done, waiting = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)

    for wait in waiting:
        wait.cancel()

    await asyncio.gather(*waiting, return_exceptions=True)
    (won,) = done

    return won.result(), waits[won]


async def _settle() -> None:
    """Let all servers do what they have to."""
    for _ in range(200):
        await asyncio.sleep(0)
