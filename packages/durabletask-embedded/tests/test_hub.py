"""A hub in this process, as its user meets it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import pytest
from durabletask_backend.errors import LocationError
from durabletask_backend.memory import MemoryBackend
from durabletask_client import (
    AsyncTaskHubGrpcClient,
    OrchestrationAlreadyExistsError,
    OrchestrationNotFoundError,
    OrchestrationStatus,
    TaskHubGrpcClient,
)
from durabletask_embedded import AddressInUseError, TaskHub
from durabletask_worker import ActivityContext, EntityContext, EntityInstanceId, OrchestrationContext, Registry

TIMEOUT = 20
README = Path(__file__).parents[1] / "README.md"

registry = Registry()


@registry.activity
def double(ctx: ActivityContext, number: int) -> int:
    return number * 2


@registry.orchestrator
async def doubled(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(double, number)


@registry.orchestrator
async def waits(ctx: OrchestrationContext) -> int:
    first = await ctx.call_activity(double, 1)

    return first + await ctx.wait_for_external_event("go", data_type=int)


@registry.entity(name="counter")
def counter(ctx: EntityContext, amount: int) -> int:
    total: int = ctx.get_state(int, 0) + amount
    ctx.set_state(total)

    return total


@registry.orchestrator
async def counts(ctx: OrchestrationContext) -> int:
    async with ctx.lock_entities([EntityInstanceId("counter", "a")]):
        return await ctx.call_entity(EntityInstanceId("counter", "a"), "add", 2, return_type=int)


def test_the_ten_lines_of_the_readme(tmp_path: Path) -> None:
    code = README.read_text("utf-8").split("```python\n", 1)[1].split("```", 1)[0]

    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

        assert (ran.stdout, ran.stderr) == ("Hello, Ada!\n", "")


async def test_on_an_event_loop(tmp_path: Path) -> None:
    async with TaskHub(tmp_path / "hub.sqlite3", registry) as hub:
        runs = [hub.client.run_orchestration(doubled, input=number, timeout=TIMEOUT) for number in range(20)]

        assert await asyncio.gather(*runs) == [2 * number for number in range(20)]
        assert await hub.client.run_orchestration(counts, timeout=TIMEOUT) == 2
        assert hub.statistics.is_connected


def test_on_a_thread_for_threads() -> None:
    with TaskHub("", registry) as hub:
        results: list[int] = []

        def run(number: int) -> None:
            results.append(hub.client.run_orchestration(doubled, input=number, timeout=TIMEOUT))

        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]

        for thread in threads:
            thread.start()

        for thread in threads:
            thread.join()

        assert sorted(results) == [2 * number for number in range(8)]


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    hub = TaskHub(tmp_path / "hub.sqlite3", registry).start()
    instance_id = hub.client.schedule_new_orchestration(waits)
    hub.client.wait_for_orchestration_start(instance_id, timeout=TIMEOUT)
    hub.stop()
    hub.stop()

    with TaskHub(tmp_path / "hub.sqlite3", registry) as again:
        again.client.raise_orchestration_event(instance_id, "go", data=5)
        state = again.client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)

        assert state is not None
        assert state.get_output(int) == 7


def test_it_goes_on_after_it_was_killed(tmp_path: Path) -> None:
    program = dedent(
        """
        import os, sys
        from durabletask_embedded import TaskHub
        from durabletask_worker import Registry

        registry = Registry()

        @registry.activity
        def step(ctx, number):
            with open("steps", "a") as file:
                print(number, file=file)

            if number == 3 and sys.argv[1] == "dies":
                os.kill(os.getpid(), 9)

            return number

        @registry.orchestrator
        async def steps(ctx):
            return [await ctx.call_activity(step, number) for number in range(6)]

        with TaskHub("hub.sqlite3", registry) as hub:
            if sys.argv[1] == "dies":
                hub.client.schedule_new_orchestration(steps, instance_id="one")

            print(hub.client.wait_for_orchestration_completion("one", timeout=30).get_output())
        """
    )

    def run(how: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, how]

        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert run("dies").returncode == -9
    assert run("lives").stdout == "[0, 1, 2, 3, 4, 5]\n"
    assert (tmp_path / "steps").read_text().split() == ["0", "1", "2", "3", "3", "4", "5"]


async def test_payloads_may_be_of_any_size() -> None:
    large, texts = "x" * (5 << 20), Registry()

    @texts.activity
    def upper(ctx: ActivityContext, text: str) -> str:
        return text.upper()

    @texts.orchestrator
    async def uppers(ctx: OrchestrationContext, text: str) -> str:
        return await ctx.call_activity(upper, text)

    async with TaskHub("", texts) as hub:
        assert await hub.client.run_orchestration(uppers, input=large, timeout=TIMEOUT) == large.upper()


async def test_several_in_one_process(tmp_path: Path) -> None:
    async with TaskHub(MemoryBackend(), registry) as one, TaskHub(tmp_path / "two.sqlite3", registry) as two:
        await one.client.run_orchestration(doubled, input=1, instance_id="i", timeout=TIMEOUT)

        assert await two.client.get_orchestration_state("i") is None
        assert await two.client.run_orchestration(doubled, input=3, instance_id="i", timeout=TIMEOUT) == 6


async def test_hubs_of_other_names_in_one_location(tmp_path: Path) -> None:
    async with TaskHub(tmp_path / "hub.sqlite3", registry, taskhub="mine") as hub:
        assert await hub.client.run_orchestration(doubled, input=1, instance_id="i", timeout=TIMEOUT) == 2
        other = AsyncTaskHubGrpcClient(channel=hub.channel)  # type: ignore[arg-type]

        assert await other.get_orchestration_state("i") is None
        await other.close()


async def test_it_serves_other_processes() -> None:
    async with (
        TaskHub("", registry, listen="localhost:0") as hub,
        AsyncTaskHubGrpcClient(host_address=hub.address) as remote,
    ):
        assert await remote.run_orchestration(doubled, input=4, timeout=TIMEOUT) == 8

        with pytest.raises(AddressInUseError, match="listen: "):
            async with TaskHub("", listen=hub.address):
                pass


def test_a_location_that_cannot_be_opened() -> None:
    with pytest.raises(LocationError, match="no backend for 'oracle'"), TaskHub("oracle://somewhere"):
        pass


class TestErrorsAreThoseOfARemoteHub:
    async def test_on_an_event_loop(self) -> None:
        async with TaskHub("", registry) as hub:
            await hub.client.schedule_new_orchestration(waits, instance_id="i")

            with pytest.raises(OrchestrationAlreadyExistsError):
                await hub.client.schedule_new_orchestration(waits, instance_id="i")

            with pytest.raises(OrchestrationNotFoundError):
                await hub.client.raise_orchestration_event("unknown", "go")

            with pytest.raises(OrchestrationNotFoundError):
                await anext(hub.client.stream_orchestration_history("unknown"))

            with pytest.raises(TimeoutError):
                await hub.client.wait_for_orchestration_completion("i", timeout=0.01)

    def test_on_a_thread(self) -> None:
        with TaskHub("", registry) as hub:
            hub.client.schedule_new_orchestration(waits, instance_id="i")

            with pytest.raises(OrchestrationNotFoundError):
                hub.client.raise_orchestration_event("unknown", "go")

            with pytest.raises(TimeoutError):
                hub.client.wait_for_orchestration_completion("i", timeout=0.01)

            hub.client.terminate_orchestration("i")
            state = hub.client.wait_for_orchestration_completion("i", timeout=TIMEOUT)

            assert state is not None
            assert state.runtime_status is OrchestrationStatus.TERMINATED
            assert [event.kind for event in hub.client.stream_orchestration_history("i")][-1] == "ExecutionCompleted"


def test_a_blocking_call_on_the_hubs_own_thread_is_refused() -> None:
    own = Registry()
    clients: list[TaskHubGrpcClient] = []

    @own.activity
    async def asks(ctx: ActivityContext) -> str:
        try:
            clients[0].get_orchestration_state("i")
        except RuntimeError as error:
            return str(error)

        return "answered"

    @own.orchestrator
    async def asking(ctx: OrchestrationContext) -> str:
        return await ctx.call_activity(asks)

    with TaskHub("", own) as hub:
        clients.append(hub.client)

        assert "its own event loop" in hub.client.run_orchestration(asking, timeout=TIMEOUT)
