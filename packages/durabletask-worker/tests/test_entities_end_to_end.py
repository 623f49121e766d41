"""Entities on a worker and a server: clients signal, orchestrations call and lock, entities signal each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc
import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_client import AsyncTaskHubGrpcClient, OrchestrationStatus
from durabletask_client.entities import EntityInstanceId
from durabletask_server.service.sidecar import SERVER_OPTIONS, attach
from durabletask_server.taskhub import TaskHubWorker
from durabletask_worker import OrchestrationContext, Registry, TaskHubGrpcWorker
from durabletask_worker.entity import DurableEntity
from durabletask_worker.entity_context import EntityContext

registry = Registry()
TIMEOUT = 20


@registry.entity
@dataclass
class Counter:
    value: int = 0

    def add(self, amount: int) -> int:
        self.value += amount

        return self.value

    def refuse(self) -> None:
        self.value = -1

        raise ValueError("not today")


@registry.entity
class Log(DurableEntity):
    async def write(self, line: str) -> None:
        self.set_state([*self.get_state(list[str], []), line])

        if line == "last":
            self.schedule_new_orchestration(note, line, "started by the log")


@registry.entity
@dataclass
class Relay:
    passed: list[str] = field(default_factory=list)

    def send(self, line: str, ctx: EntityContext) -> None:
        self.passed.append(line)
        ctx.signal_entity(EntityInstanceId("log", ctx.entity_id.key), Log.write, line)


@registry.orchestrator
async def note(ctx: OrchestrationContext, line: str) -> str:
    return f"noted {line}"


@registry.orchestrator
async def count(ctx: OrchestrationContext, amount: int) -> int:
    counter = EntityInstanceId("counter", "shared")
    first = await ctx.call_entity(counter, Counter.add, amount)

    return first + await ctx.call_entity(counter, "ADD", 1, return_type=int)


@registry.orchestrator
async def fail(ctx: OrchestrationContext) -> str:
    counter = EntityInstanceId("counter", "failing")
    await ctx.call_entity(counter, Counter.add, 2)

    try:
        await ctx.call_entity(counter, Counter.refuse)
    except Exception as error:  # noqa: BLE001 - whichever it is, it tells why
        return f"{error} / {await ctx.call_entity(counter, Counter.add, 1)}"

    return "nothing happened"


@registry.orchestrator
async def transfer(ctx: OrchestrationContext) -> list[int]:
    ours, theirs = EntityInstanceId("counter", "ours"), EntityInstanceId("counter", "theirs")

    async with ctx.lock_entities([ours, theirs]):
        return [await ctx.call_entity(ours, Counter.add, -5), await ctx.call_entity(theirs, Counter.add, 5)]


@pytest.fixture
async def client() -> AsyncIterator[AsyncTaskHubGrpcClient]:
    """A client of a server with a worker."""
    hub = TaskHubWorker(MemoryBackend())
    await hub.start()
    server = grpc.aio.server(options=SERVER_OPTIONS)
    attach(server, hub)
    address = f"localhost:{server.add_insecure_port('localhost:0')}"
    await server.start()

    async with (
        TaskHubGrpcWorker(host_address=address, registry=registry),
        AsyncTaskHubGrpcClient(host_address=address) as client,
    ):
        yield client

    await hub.drain(0)
    await server.stop(None)
    await hub.close()


async def state(client: AsyncTaskHubGrpcClient, entity: EntityInstanceId, wanted: object) -> None:
    """Wait until an entity has a state, or is gone; each look is a call that lets others work."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            found = await client.get_entity(entity)

            if (found and found.get_state()) == wanted:
                return


async def output(client: AsyncTaskHubGrpcClient, instance_id: str) -> object:
    ended = await client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)
    assert ended is not None
    assert ended.runtime_status is OrchestrationStatus.COMPLETED

    return ended.get_output()


async def test_signals_of_a_client_change_the_state(client: AsyncTaskHubGrpcClient) -> None:
    entity = EntityInstanceId("Counter", "a")
    await client.signal_entity(entity, Counter.add, input=2)
    await client.signal_entity(entity, "Add", input=3)

    await state(client, entity, {"value": 5})

    await client.signal_entity(entity, "delete")
    await state(client, entity, None)


async def test_an_orchestration_gets_the_results_of_its_calls(client: AsyncTaskHubGrpcClient) -> None:
    assert await output(client, await client.schedule_new_orchestration(count, input=3)) == 7


async def test_a_failed_call_tells_why_and_leaves_the_state(client: AsyncTaskHubGrpcClient) -> None:
    told = str(await output(client, await client.schedule_new_orchestration(fail)))

    assert "not today" in told
    assert told.endswith(" / 3")


async def test_an_orchestration_locks_what_it_calls(client: AsyncTaskHubGrpcClient) -> None:
    assert await output(client, await client.schedule_new_orchestration(transfer)) == [-5, 5]

    await state(client, EntityInstanceId("counter", "theirs"), {"value": 5})


async def test_entities_signal_each_other_in_order_and_start_orchestrations(client: AsyncTaskHubGrpcClient) -> None:
    relay, lines = EntityInstanceId("relay", "r"), [str(number) for number in range(20)] + ["last"]

    for line in lines:
        await client.signal_entity(relay, "send", input=line)

    await state(client, EntityInstanceId("log", "r"), lines)

    assert await output(client, "started by the log") == "noted last"
