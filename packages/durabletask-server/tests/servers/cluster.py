"""Engines on one store and one clock, without gRPC, each with a worker and a client that do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from durabletask_backend.contract import Backend
from durabletask_backend.memory import MemoryBackend, MemoryStore
from durabletask_backend.values import Instance, InstanceKey, Micros
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.activities import Answer
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind, StreamOptions, WorkerStream
from durabletask_server.engine import events, lifecycle
from durabletask_server.instances import has_ended
from durabletask_server.settings import Settings
from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker
from durabletask_server.testing import ManualClock
from durabletask_server.tokens import Token

from .answers import batch_result

SECOND = 1_000_000


def key(instance_id: str, hub: str = DEFAULT_HUB) -> InstanceKey:
    return InstanceKey(hub, instance_id)


class Server:
    """A server with a worker that answers what a test tells it to.

    Args:
        hub: The engine.
        name: The task hub that its worker and its client are of.
    """

    def __init__(self, hub: TaskHubWorker, name: str = DEFAULT_HUB) -> None:
        self.hub = hub
        self.name = name
        self._stream: WorkerStream | None = None
        self._items: list[pb.WorkItem] = []

    def of(self, name: str) -> Server:
        """The same engine, for another task hub."""
        return Server(self.hub, name)

    # Its worker.

    def connect(self, *, filters: WorkFilters | None = None, limit: int = 0) -> None:
        """Connect a worker. `limit` is how many items of a kind it takes at a time; 0: the default."""
        options = StreamOptions(
            hub=self.name,
            limits=dict.fromkeys(Kind, limit),
            filters=filters or WorkFilters(),
            history_streaming=False,
        )
        self._stream = self.hub.dispatcher.open(options)

    def disconnect(self) -> None:
        """The worker's stream breaks; what it had is lost with it."""
        assert self._stream is not None
        self.hub.dispatcher.close(self._stream)
        self._stream = None
        self._items = []

    async def next(self) -> pb.WorkItem:
        """The next item for the worker."""
        while not self._items:
            assert self._stream is not None
            async with asyncio.timeout(5):
                sent = await self._stream.outgoing()
            assert sent is not None
            items = [pb.WorkItem.FromString(raw) for raw in sent]
            self._items = [item for item in items if not item.HasField("healthPing")]

        return self._items.pop(0)

    def token(self, item: pb.WorkItem) -> Token:
        token = self.hub.signer_of(self.name).read(item.completionToken)
        assert token is not None

        return token

    async def answer(self, item: pb.WorkItem, *actions: pb.OrchestratorAction) -> None:
        """Answer a turn of an orchestration."""
        token = self.token(item)
        await self.hub.orchestrations.complete(
            token.task.instance, token.attempt, pb.OrchestratorResponse(actions=actions)
        )

    async def do(self, item: pb.WorkItem) -> None:
        """Answer an activity."""
        assert item.HasField("activityRequest")
        await self.hub.activities.complete(self.token(item).task, Answer(result="1"))

    async def operate(self, item: pb.WorkItem, state: str) -> None:
        """Answer a batch of an entity: all succeeds."""
        token = self.token(item)
        await self.hub.operations.complete(token.task.instance, token.attempt, batch_result(item, state))

    # Its client.

    async def start(self, instance_id: str, name: str = "n", *, version: str = "", payload: str = "") -> None:
        request = pb.CreateInstanceRequest(
            instanceId=instance_id,
            name=name,
            version=events.text(version or None),
            input=events.text(payload or None),
        )
        await self.hub.instances.create(lifecycle.create(self.name, request, self.hub.clock.now(), self.hub.new_id))

    async def raise_event(self, instance_id: str) -> None:
        request = pb.RaiseEventRequest(instanceId=instance_id, name="go")
        await self.hub.instances.send(lifecycle.raise_event(self.name, request, self.hub.clock.now()))

    async def terminate(self, instance_id: str, *, recursive: bool = False) -> None:
        request = pb.TerminateRequest(instanceId=instance_id, recursive=recursive)
        await self.hub.instances.send(lifecycle.request_termination(self.name, request, self.hub.clock.now()))

    async def rewind(self, instance_id: str) -> None:
        await self.hub.instances.rewind(
            key(instance_id, self.name), None, now=self.hub.clock.now(), new_id=self.hub.new_id
        )

    async def signal(self, entity_id: str, operation: str = "op", *, due: Micros = 0) -> None:
        request = pb.SignalEntityRequest(
            instanceId=entity_id, name=operation, scheduledTime=events.timestamp(due) if due else None
        )
        await self.hub.entities.send(lifecycle.signal_entity(self.name, request, self.hub.clock.now()))

    async def ended(self, instance_id: str) -> Instance:
        """The record of an instance, once it has ended."""
        async with asyncio.timeout(5):
            instance = await self.hub.instances.wait(key(instance_id, self.name), has_ended)
        assert instance is not None

        return instance


class Cluster:
    """Servers on one clock, and on one store unless they are given backends of their own."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock.now)
        self._hubs: list[TaskHubWorker] = []

    async def server(self, backend: Backend | None = None, settings: Settings | None = None) -> Server:
        hub = TaskHubWorker(backend or MemoryBackend(self.store), clock=self.clock, settings=settings or Settings())
        await hub.start()
        self._hubs.append(hub)

        return Server(hub)

    def die(self, server: Server) -> None:
        """Stop a server without a word: its lease is not given up, and it renews it no more."""
        self._hubs.remove(server.hub)
        server.hub.abort()

    async def close(self) -> None:
        for hub in self._hubs:
            await hub.close()

    async def sweep(self, times: int) -> None:
        """Let the time pass in which servers look so many times for what others have left."""
        for _ in range(times):
            self.clock.advance(30 * SECOND)
            await settle()


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    servers = Cluster()

    try:
        yield servers
    finally:
        await servers.close()


async def settle(rounds: int = 200) -> None:
    """Let all servers do what they have to."""
    for _ in range(rounds):
        await asyncio.sleep(0)
