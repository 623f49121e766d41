"""What orchestrations do: activities, timers, children, retries and failures, in all three styles."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durabletask_client import FailureDetails, OrchestrationStatus
from durabletask_worker import (
    ActivityContext,
    OrchestrationContext,
    Registry,
    RetryPolicy,
    Task,
    TaskFailedError,
    when_all,
    when_any,
)

from integration.engines.hub import Hub, fresh

registry = Registry()

TWICE_MORE = RetryPolicy(first_retry_interval=timedelta(milliseconds=50), max_number_of_attempts=3)

_attempts: Counter[str] = Counter()
_attempts_lock = threading.Lock()


@registry.activity
def double(_: ActivityContext, number: int) -> int:
    return 2 * number


@registry.activity
async def echo(_: ActivityContext, value: Any) -> Any:
    return value


@registry.activity
def fail_nested(_: ActivityContext, reason: str) -> None:
    try:
        raise KeyError(reason)
    except KeyError as error:
        raise ValueError(f"cannot work: {reason}") from error


@registry.activity
def succeed_at_third(_: ActivityContext, key: str) -> int:
    return _attempt(key)


def _attempt(key: str) -> int:
    with _attempts_lock:
        _attempts[key] += 1  # durabletask: ignore[DT401]
        attempt = _attempts[key]

    if attempt < 3:
        raise RuntimeError(f"attempt {attempt} fails")

    return attempt


@registry.orchestrator
async def in_sequence(ctx: OrchestrationContext, number: int) -> int:
    for _ in range(3):
        number = await ctx.call_activity(double, number)

    return number


def scenario_sequence(hub: Hub) -> None:
    assert hub.output(in_sequence, input=5) == 40


@registry.orchestrator
def yielding(ctx: OrchestrationContext, number: int) -> Generator[Task[Any], Any, int]:
    for _ in range(3):
        number = yield ctx.call_activity(double, number)

    return number


@registry.orchestrator
def without_steps(ctx: OrchestrationContext, number: int) -> str:
    return f"{number} for {ctx.instance_id}"


def scenario_generators_and_plain_functions(hub: Hub) -> None:
    assert hub.output(yielding, input=5) == 40
    instance_id = hub.started(without_steps, input=3)
    assert hub.output_of(instance_id) == f"3 for {instance_id}"


@registry.orchestrator
async def fan_out(ctx: OrchestrationContext, width: int) -> list[int]:
    return await when_all([ctx.call_activity(double, number) for number in range(width)])


def scenario_fan_out_of_50(hub: Hub) -> None:
    assert hub.output(fan_out, input=50) == [2 * number for number in range(50)]


@registry.orchestrator
async def first_of_two(ctx: OrchestrationContext) -> str:
    fast = ctx.call_activity(double, 1)
    first = await when_any([fast, ctx.create_timer(timedelta(minutes=10))])

    return "activity" if first is fast else "timer"


def scenario_first_of_two(hub: Hub) -> None:
    assert hub.output(first_of_two) == "activity"


@registry.orchestrator
async def echoing(ctx: OrchestrationContext, value: Any) -> Any:
    return await ctx.call_activity(echo, value)


def scenario_payloads_stay_as_they_are(hub: Hub) -> None:
    for value in ("", "žluťoučký 🐎", {"a": [1, None, {"b": ""}]}, 0, False, None):
        assert hub.output(echoing, input=value) == value


def scenario_large_payloads(hub: Hub) -> None:
    text = "x" * 1_000_000
    assert hub.output(echoing, input=text) == text


@registry.orchestrator
async def timing(ctx: OrchestrationContext, milliseconds: int) -> float:
    before = ctx.current_utc_datetime
    await ctx.create_timer(timedelta(milliseconds=milliseconds))

    return (ctx.current_utc_datetime - before) / timedelta(milliseconds=1)


def scenario_timer(hub: Hub) -> None:
    assert 300 <= hub.output(timing, input=300) < 5000


@registry.orchestrator
async def parent(ctx: OrchestrationContext, child_id: str) -> list[int]:
    named = ctx.call_sub_orchestrator(in_sequence, 1, instance_id=child_id)
    unnamed = [ctx.call_sub_orchestrator(in_sequence, number) for number in (2, 3)]

    return await when_all([named, *unnamed])


def scenario_sub_orchestrations(hub: Hub) -> None:
    child_id = fresh("child")
    assert hub.output(parent, input=child_id) == [8, 16, 24]
    assert hub.output_of(child_id) == 8


@registry.orchestrator
async def naming_parent(ctx: OrchestrationContext) -> str | None:
    return await ctx.call_sub_orchestrator(named_parent)


@registry.orchestrator
async def named_parent(ctx: OrchestrationContext) -> str | None:
    return ctx.parent_instance_id


def scenario_child_knows_its_parent(hub: Hub) -> None:
    instance_id = hub.started(naming_parent)
    assert hub.output_of(instance_id) == instance_id


@registry.orchestrator
async def retrying(ctx: OrchestrationContext, key: str) -> int:
    return await ctx.call_activity(succeed_at_third, key, retry_policy=TWICE_MORE)


def scenario_activity_retry(hub: Hub) -> None:
    assert hub.output(retrying, input=fresh("activity")) == 3


@registry.orchestrator
def third_child(_: OrchestrationContext, key: str) -> int:
    return _attempt(key)


@registry.orchestrator
async def retrying_child(ctx: OrchestrationContext, key: str) -> int:
    return await ctx.call_sub_orchestrator(third_child, key, retry_policy=TWICE_MORE)


def scenario_child_retry(hub: Hub) -> None:
    assert hub.output(retrying_child, input=fresh("child")) == 3


@registry.orchestrator
async def stubborn(ctx: OrchestrationContext, reason: str) -> None:
    await ctx.call_activity(fail_nested, reason, retry_policy=TWICE_MORE)


def scenario_retries_run_out(hub: Hub) -> None:
    state = hub.completed(hub.client.schedule_new_orchestration(stubborn, input="no disk"))
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert state.failure_details is not None
    assert "cannot work: no disk" in state.failure_details.message


@registry.orchestrator
async def catching(ctx: OrchestrationContext, reason: str) -> list[str]:
    try:
        await ctx.call_activity(fail_nested, reason)
    except TaskFailedError as error:
        found: FailureDetails | None = error.details
        causes = []

        while found is not None:
            causes.append(f"{found.error_type.rpartition('.')[2]}: {found.message}")
            found = found.inner

        return causes

    return []


def scenario_failure_with_its_causes(hub: Hub) -> None:
    assert hub.output(catching, input="no disk") == ["ValueError: cannot work: no disk", "KeyError: 'no disk'"]


@registry.orchestrator
async def failing(ctx: OrchestrationContext, reason: str) -> None:
    await ctx.call_activity(fail_nested, reason)


@registry.orchestrator
async def failing_child(ctx: OrchestrationContext, reason: str) -> str:
    try:
        await ctx.call_sub_orchestrator(failing, reason)
    except TaskFailedError as error:
        return error.details.message

    return ""


def scenario_failure_of_a_child_is_caught(hub: Hub) -> None:
    assert "cannot work: no disk" in hub.output(failing_child, input="no disk")


@registry.orchestrator
async def failing_grandchild(ctx: OrchestrationContext, reason: str) -> bool:
    try:
        await ctx.call_sub_orchestrator(failing, reason)
    except TaskFailedError as error:
        return error.details.inner is not None

    return False


def scenario_failure_of_a_child_with_its_causes(hub: Hub) -> None:
    assert hub.output(failing_grandchild, input="no disk") is True


@registry.orchestrator
async def surprised(ctx: OrchestrationContext) -> None:
    await ctx.call_activity("nobody has this one")


def scenario_unregistered_activity(hub: Hub) -> None:
    state = hub.completed(hub.client.schedule_new_orchestration(surprised))
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert "nobody has this one" in str(state.failure_details)


def scenario_unregistered_orchestrator(hub: Hub) -> None:
    state = hub.completed(hub.client.schedule_new_orchestration("nobody has this flow"))
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert "nobody has this flow" in str(state.failure_details)


@registry.orchestrator
async def long(ctx: OrchestrationContext, steps: int) -> int:
    number = 0

    for _ in range(steps):
        number += await ctx.call_activity(double, 1)

    return number


def scenario_long_history(hub: Hub) -> None:
    assert hub.output(long, input=60) == 120
