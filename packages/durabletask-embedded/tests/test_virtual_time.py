"""Hubs whose time jumps: for tests of workflows that sleep for days."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from durabletask_client import OrchestrationFailedError
from durabletask_embedded import AsyncTestHub, TestHub
from durabletask_worker import (
    ActivityContext,
    EntityContext,
    EntityInstanceId,
    OrchestrationContext,
    Registry,
    RetryPolicy,
    when_any,
)

DAY = timedelta(days=1)
SEEDS = 500  # each run twice

registry = Registry()


@registry.activity
def charge(ctx: ActivityContext, cents: int) -> str:
    return f"charged {cents}"


@registry.activity
async def ask(ctx: ActivityContext, instance_id: str) -> None:
    """Asks somebody, who answers within two days, or not."""


@registry.orchestrator
async def subscription(ctx: OrchestrationContext, months: int) -> list[str]:
    paid = []

    for _ in range(months):
        paid.append(await ctx.call_activity(charge, 5, retry_policy=RETRIES))
        await ctx.create_timer(30 * DAY)

    return paid


RETRIES = RetryPolicy(first_retry_interval=timedelta(hours=8), max_number_of_attempts=3)


@registry.orchestrator
async def answering(ctx: OrchestrationContext, asker: str) -> None:
    await ctx.create_timer(timedelta(milliseconds=50))
    ctx.send_event(asker, "answer", data="yes")


@registry.orchestrator
async def race(ctx: OrchestrationContext) -> str:
    ctx.start_orchestration(answering, ctx.instance_id)
    await ctx.call_activity(ask, ctx.instance_id)
    timer = ctx.create_timer(timedelta(milliseconds=1))
    answer = ctx.wait_for_external_event("answer")

    return "late" if await when_any([timer, answer]) is timer else "in time"


@registry.orchestrator
async def patient(ctx: OrchestrationContext) -> str:
    try:
        return await ctx.wait_for_external_event("go", data_type=str, timeout=DAY)
    except TimeoutError:
        return "nobody came"


@registry.entity(name="counter")
def counter(ctx: EntityContext, amount: int) -> int:
    total: int = ctx.get_state(int, 0) + amount
    ctx.set_state(total)

    return total


@registry.orchestrator
async def counts(ctx: OrchestrationContext) -> int:
    return await ctx.call_entity(EntityInstanceId("counter", "a"), "add", 1, return_type=int)


async def test_months_go_by() -> None:
    async with TestHub(registry, start=datetime(2030, 1, 1)) as hub:
        assert await hub.client.run_orchestration(subscription, input=12) == ["charged 5"] * 12
        assert timedelta(0) < hub.clock.datetime - datetime(2030, 1, 1, tzinfo=UTC) - 360 * DAY < timedelta(minutes=1)
        assert hub.activities.calls(charge) == 12
        assert hub.activities.inputs("charge") == [5] * 12


async def test_activities_are_replaced_failed_and_delayed() -> None:
    async with TestHub(registry) as hub:
        hub.activities.fail(charge, ConnectionError("no network"), times=2)
        hub.activities.delay(charge, timedelta(hours=1))
        hub.activities.replace(charge, lambda ctx, cents: f"{ctx.name}d {cents} in a test")
        before = hub.clock.datetime

        assert await hub.client.run_orchestration(subscription, input=1) == ["charged 5 in a test"]
        assert hub.clock.datetime - before == 30 * DAY + 3 * timedelta(hours=1) + 2 * timedelta(hours=8)

        hub.activities.fail("charge", ConnectionError("no network"), times=3)

        with pytest.raises(OrchestrationFailedError, match="no network"):
            await hub.client.run_orchestration(subscription, input=1)


async def test_time_stands_still_while_nobody_waits() -> None:
    async with TestHub(registry) as hub:
        instance_id = await hub.client.schedule_new_orchestration(patient)
        await hub.settle()
        await asyncio.sleep(0.05)
        await hub.client.raise_orchestration_event(instance_id, "go", data="now")
        state = await hub.client.wait_for_orchestration_completion(instance_id)

        assert state is not None
        assert state.get_output() == "now"


async def test_time_is_told_to_pass() -> None:
    async with TestHub(registry) as hub:
        instance_id = await hub.client.schedule_new_orchestration(patient)
        before = hub.clock.datetime
        await hub.advance(DAY - timedelta(minutes=1))
        assert (await state_of(hub, instance_id)).runtime_status.name == "RUNNING"

        await hub.advance(timedelta(minutes=2))
        assert (await state_of(hub, instance_id)).get_output() == "nobody came"
        assert hub.clock.datetime - before == DAY + timedelta(minutes=1)


async def state_of(hub: AsyncTestHub, instance_id: str) -> Any:
    return await hub.client.get_orchestration_state(instance_id)


async def test_an_entity_is_given_a_state() -> None:
    async with TestHub(registry) as hub:
        await hub.set_entity_state(EntityInstanceId("counter", "a"), 41)

        assert await hub.client.run_orchestration(counts) == 42


async def history_of(seed: int) -> tuple[str, str]:
    async with TestHub(registry, seed=seed) as hub:
        output = await hub.client.run_orchestration(race, instance_id="race")

        return output, await hub.client.export_orchestration_history("race")


@pytest.mark.timeout(300)
async def test_a_seed_decides_what_comes_first() -> None:
    outputs: Counter[str] = Counter()
    different = set()

    for seed in range(SEEDS):
        output, history = await history_of(seed)
        assert (output, history) == await history_of(seed), f"seed {seed}"
        outputs[output] += 1
        different.add(history)

    assert outputs["late"] > SEEDS / 10
    assert outputs["in time"] > SEEDS / 10
    assert len(different) > SEEDS / 2


def test_a_hub_without_asyncio() -> None:
    with TestHub(registry, seed=3) as hub:
        hub.activities.fail(charge, ConnectionError("no network"), times=2)
        before = hub.clock.datetime

        assert hub.client.run_orchestration(subscription, input=1) == ["charged 5"]
        assert hub.clock.datetime - before > 30 * DAY
        assert hub.activities.calls(charge) == 3

        hub.set_entity_state(EntityInstanceId("counter", "a"), 41)
        assert hub.client.run_orchestration(counts) == 42

        instance_id = hub.client.schedule_new_orchestration(patient)
        hub.advance(DAY + timedelta(minutes=1))
        hub.settle()
        state = hub.client.get_orchestration_state(instance_id)
        assert state is not None
        assert state.get_output() == "nobody came"
        assert "patient" in hub.describe()

    with pytest.raises(RuntimeError, match="stopped"):
        hub.advance(DAY)


async def test_both_faces_have_the_same_history() -> None:
    def blocking(seed: int) -> str:
        with TestHub(registry, seed=seed) as hub:
            hub.client.run_orchestration(race, instance_id="race")

            return hub.client.export_orchestration_history("race")

    for seed in range(10):
        assert await asyncio.to_thread(blocking, seed) == (await history_of(seed))[1]
