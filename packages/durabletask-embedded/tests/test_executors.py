"""The engine put together from its parts: executors in this process, routed by name, and remote workers beside them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_client import AsyncTaskHubGrpcClient
from durabletask_embedded import RegistryExecutor
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind
from durabletask_server.executor import RoutedExecutor, attach_executor
from durabletask_server.service.sidecar import SERVER_OPTIONS, attach
from durabletask_server.settings import Settings
from durabletask_server.taskhub import TaskHubWorker
from durabletask_server.testing import serving
from durabletask_sqlite import SqliteBackend
from durabletask_worker import (
    ActivityContext,
    ActivityWorkItemFilter,
    EntityContext,
    EntityInstanceId,
    EntityWorkItemFilter,
    OrchestrationContext,
    Registry,
    TaskHubGrpcWorker,
    WorkItemFilters,
    when_all,
)

TIMEOUT = 30
PARTS = {
    "Kind": Kind,
    "RegistryExecutor": RegistryExecutor,
    "RoutedExecutor": RoutedExecutor,
    "SERVER_OPTIONS": SERVER_OPTIONS,
    "SqliteBackend": SqliteBackend,
    "TaskHubWorker": TaskHubWorker,
    "WorkFilters": WorkFilters,
    "attach": attach,
    "attach_executor": attach_executor,
    "grpc": grpc,
}
"""What the page of the server imports."""


def registry_of(who: str) -> Registry:
    """Code that says who ran it."""
    registry = Registry()

    @registry.activity
    def near(ctx: ActivityContext, _: None = None) -> str:
        return f"near: {who}"

    @registry.activity
    def far(ctx: ActivityContext, _: None = None) -> str:
        return f"far: {who}"

    @registry.activity
    async def add(ctx: ActivityContext, number: int) -> int:
        return number + 1

    @registry.entity(name="counter")
    def counter(ctx: EntityContext, amount: int) -> str:
        ctx.set_state(ctx.get_state(int, 0) + amount)

        return f"{ctx.get_state(int)}: {who}"

    @registry.orchestrator
    async def both(ctx: OrchestrationContext) -> list[str]:
        entity = ctx.call_entity(EntityInstanceId("counter", "a"), "add", 1, return_type=str)

        return [f"both: {who}", *await when_all([ctx.call_activity(near), ctx.call_activity(far), entity])]

    @registry.orchestrator
    async def long(ctx: OrchestrationContext, text: str) -> int:
        number = 0

        for _ in range(len(text)):
            number = await ctx.call_activity(add, number)

        return number

    return registry


@asynccontextmanager
async def engine(settings: Settings | None = None) -> AsyncIterator[tuple[TaskHubWorker, AsyncTaskHubGrpcClient, str]]:
    """An engine, a client of it, and its address."""
    async with (
        serving(MemoryBackend(), settings=settings) as served,
        AsyncTaskHubGrpcClient(host_address=served.address) as client,
    ):
        yield served.hub, client, served.address


async def test_an_executor_in_the_process() -> None:
    async with (
        engine() as (hub, client, _),
        RegistryExecutor(registry_of("here")) as executor,
        attach_executor(hub, executor),
    ):
        assert await client.run_orchestration("both", timeout=TIMEOUT) == [
            "both: here",
            "near: here",
            "far: here",
            "1: here",
        ]


async def test_executors_routed_by_name() -> None:
    async with (
        engine() as (hub, client, _),
        RegistryExecutor(registry_of("one")) as one,
        RegistryExecutor(registry_of("other")) as other,
        attach_executor(hub, RoutedExecutor({"FAR": other, "counter": other}, otherwise=one)),
    ):
        assert await client.run_orchestration("both", timeout=TIMEOUT) == [
            "both: one",
            "near: one",
            "far: other",
            "1: other",
        ]


async def test_some_here_and_some_on_a_remote_worker() -> None:
    here = WorkFilters({Kind.ORCHESTRATION: None, Kind.ACTIVITY: {"near": ()}})

    async with (
        engine() as (hub, client, address),
        RegistryExecutor(registry_of("here")) as executor,
        attach_executor(hub, executor, filters=here),
    ):
        worker = TaskHubGrpcWorker(host_address=address, registry=registry_of("remote"))
        worker.use_work_item_filters(
            WorkItemFilters(
                activities=(ActivityWorkItemFilter(name="far"),), entities=(EntityWorkItemFilter(name="counter"),)
            )
        )

        async with worker:
            assert await client.run_orchestration("both", timeout=TIMEOUT) == [
                "both: here",
                "near: here",
                "far: remote",
                "1: remote",
            ]


async def test_a_history_that_is_longer_than_a_message() -> None:
    async with (
        engine(Settings(streamed_history=1000, message_limit=4000)) as (hub, client, _),
        RegistryExecutor(registry_of("here")) as executor,
        attach_executor(hub, executor),
    ):
        assert await client.run_orchestration("long", input="x" * 40, timeout=TIMEOUT) == 40


async def test_what_an_executor_was_at_is_for_the_next_one() -> None:
    async with engine() as (hub, client, _):
        async with RegistryExecutor(registry_of("first")) as first:
            only_turns = WorkFilters({Kind.ORCHESTRATION: None})

            async with attach_executor(hub, first, filters=only_turns):
                instance_id = await client.schedule_new_orchestration("both")
                await client.wait_for_orchestration_start(instance_id, timeout=TIMEOUT)

        async with RegistryExecutor(registry_of("second")) as second, attach_executor(hub, second):
            state = await client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)

    assert state is not None
    assert state.get_output() == ["both: second", "near: second", "far: second", "1: second"]


async def test_the_parts_of_the_servers_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[2] / "durabletask-server" / "README.md").read_text("utf-8")
    (code,) = (part for part in readme.split("```python\n") if part.startswith("async def main"))
    pictures, letters = Registry(), Registry()

    @pictures.activity
    def resize(ctx: ActivityContext, _: None = None) -> str:
        return "small"

    @letters.activity
    def mail(ctx: ActivityContext, _: None = None) -> str:
        return "sent"

    @pictures.orchestrator
    async def album(ctx: OrchestrationContext) -> list[str]:
        return await when_all([ctx.call_activity(resize), ctx.call_activity(mail)])

    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {**PARTS, "pictures": pictures, "letters": letters}

    # The port of the page may be taken here.
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"

    exec(code.split("```", 1)[0].replace("localhost:4001", address), names)  # noqa: S102 - our own page
    running = asyncio.create_task(names["main"]())

    async with AsyncTaskHubGrpcClient(host_address=address) as client:
        assert await client.run_orchestration(album, timeout=TIMEOUT) == ["small", "sent"]

    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled(), running.exception()
