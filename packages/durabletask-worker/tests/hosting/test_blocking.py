"""Orchestrator code that blocks: it is reported and given up, and the others go on."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from durabletask_client import AsyncTaskHubGrpcClient, OrchestrationStatus
from durabletask_worker import ConcurrencyOptions, OrchestrationContext, OrchestratorBlocked, TaskHubGrpcWorker

from .engine import Engine

TIMEOUT = 20


async def quick(ctx: OrchestrationContext) -> str:
    return "done"


@asynccontextmanager
async def hosted(
    engine: Engine, *orchestrators: Callable[..., Any], **options: Any
) -> AsyncIterator[tuple[TaskHubGrpcWorker, AsyncTaskHubGrpcClient]]:
    worker = TaskHubGrpcWorker(host_address=engine.address, grace_period=0.05, **options)

    for orchestrator in (quick, *orchestrators):
        worker.add_orchestrator(orchestrator)

    async with worker, AsyncTaskHubGrpcClient(host_address=engine.address) as client:
        yield worker, client


async def result_of(client: AsyncTaskHubGrpcClient, instance_id: str) -> str:
    state = await client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)
    assert state is not None
    assert state.runtime_status is OrchestrationStatus.COMPLETED

    return state.get_output(str) or ""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 - it is about what threads and the server do
            await asyncio.sleep(0.005)


async def test_an_endless_loop_is_given_up_and_unwound(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    begun, unwound = threading.Event(), threading.Event()

    async def spins(ctx: OrchestrationContext) -> None:
        begun.set()

        try:
            while True:
                pass
        except OrchestratorBlocked:
            unwound.set()

            raise

    async with hosted(engine, spins, turn_timeout=0.2, slow_turn_warning=0.05) as (worker, client):
        await client.schedule_new_orchestration(spins)
        await until(begun.is_set)
        other = await client.schedule_new_orchestration(quick)

        assert await result_of(client, other) == "done"

        await until(unwound.is_set)
        assert worker.statistics.blocked_turns == 1
        await until(lambda: worker.statistics.abandoned == 1)

    warning, error = [record for record in caplog.records if "has blocked" in record.message]
    assert (warning.levelno, error.levelno) == (logging.WARNING, logging.ERROR)
    assert "in spins" in warning.message
    assert "in spins" in error.message
    assert "is given up" in error.message


async def test_code_that_waits_for_a_thread_holds_up_nobody_for_ever(engine: Engine) -> None:
    gate = threading.Event()

    def waits(ctx: OrchestrationContext) -> str:
        return "let go" if gate.wait(TIMEOUT) else "not let go"

    try:
        async with hosted(engine, waits, turn_timeout=0.1) as (worker, client):
            waiting = await client.schedule_new_orchestration(waits)
            others = [await client.schedule_new_orchestration(quick) for _ in range(5)]

            assert [await result_of(client, other) for other in others] == ["done"] * 5

            await until(lambda: worker.statistics.abandoned >= 1)
            gate.set()

            # The server hands it out again.
            assert await result_of(client, waiting) == "let go"
    finally:
        gate.set()


async def test_a_slow_turn_is_reported_once_and_counts(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()

    def waits(ctx: OrchestrationContext) -> str:
        return "let go" if gate.wait(TIMEOUT) else "not let go"

    def is_reported() -> bool:
        return any("has blocked" in record.message for record in caplog.records)

    async with hosted(engine, waits, slow_turn_warning=0.02) as (worker, client):
        waiting = await client.schedule_new_orchestration(waits)
        await until(is_reported)
        gate.set()

        assert await result_of(client, waiting) == "let go"
        assert worker.statistics.blocked_turns == 0

    (report,) = [record for record in caplog.records if "has blocked" in record.message]
    assert waiting in report.message
    assert "gate.wait(TIMEOUT)" in report.message


async def test_it_stops_while_code_blocks_and_gives_the_turn_back(engine: Engine) -> None:
    begun = threading.Event()

    def spins(ctx: OrchestrationContext) -> None:
        begun.set()

        while True:
            pass

    async with hosted(engine, spins, turn_timeout=0) as (worker, client):
        spinning = await client.schedule_new_orchestration(spins)
        await until(begun.is_set)

    def answers(ctx: OrchestrationContext) -> str:
        return "by another"

    worker = TaskHubGrpcWorker(host_address=engine.address)
    worker.add_orchestrator(answers, name="spins")

    async with worker, AsyncTaskHubGrpcClient(host_address=engine.address) as client:
        assert await result_of(client, spinning) == "by another"


async def test_code_that_blocks_while_it_is_unloaded_is_given_up_too(engine: Engine) -> None:
    gate = threading.Event()

    async def waits(ctx: OrchestrationContext) -> str:
        try:
            return await ctx.wait_for_external_event("go", data_type=str)
        except GeneratorExit:
            gate.wait(TIMEOUT)

            raise

    limits = ConcurrencyOptions(maximum_live_executions=1)

    try:
        async with hosted(engine, waits, turn_timeout=0.1, concurrency_options=limits) as (worker, client):
            for _ in range(2):
                await client.schedule_new_orchestration(waits)

            await until(lambda: worker.statistics.blocked_turns == 1)

            assert await result_of(client, await client.schedule_new_orchestration(quick)) == "done"
            assert worker.statistics.abandoned == 0
    finally:
        gate.set()


@pytest.mark.parametrize("name", ["slow_turn_warning", "turn_timeout"])
def test_a_negative_time_is_refused(name: str) -> None:
    options: dict[str, Any] = {name: -1}

    with pytest.raises(ValueError, match=name):
        TaskHubGrpcWorker(**options)
