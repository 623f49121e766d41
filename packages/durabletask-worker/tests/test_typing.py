"""Types follow the functions that are called. mypy checks this file; `ignore` comments that are not needed are errors, too."""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from datetime import timedelta
from typing import Any, assert_type

from durabletask_worker import ActivityContext, OrchestrationContext, Registry, Task, when_all, when_any

registry = Registry()


@registry.activity
def length(_: ActivityContext, text: str) -> int:
    return len(text)


@registry.activity(name="length.async")
async def async_length(_: ActivityContext, text: str) -> int:
    return len(text)


def promise(_: ActivityContext, text: str) -> Awaitable[int]:
    return async_length(_, text)


def now(_: ActivityContext) -> float:
    return 0.0


async def async_now(_: ActivityContext) -> float:
    return 0.0


def shorten(_: ActivityContext, to: int = 3) -> str:
    return "abc"[:to]


@registry.orchestrator
async def child(ctx: OrchestrationContext, text: str) -> int:
    return await ctx.call_activity(length, text)


def generator_child(ctx: OrchestrationContext, text: str) -> Generator[Task[int], int, int]:
    return (yield ctx.call_activity(length, text))


def plain_child(ctx: OrchestrationContext, text: str) -> int:
    return len(text)


async def lone_child(ctx: OrchestrationContext) -> str:
    return ctx.instance_id


async def activities(ctx: OrchestrationContext) -> None:
    assert_type(await ctx.call_activity(length, "a"), int)
    assert_type(await ctx.call_activity(length, input="a"), int)
    assert_type(await ctx.call_activity(async_length, "a"), int)
    assert_type(await ctx.call_activity(promise, "a", return_type=int), int)
    assert_type(await ctx.call_activity(now), float)
    assert_type(await ctx.call_activity(async_now), float)
    assert_type(await ctx.call_activity(shorten), str)
    assert_type(await ctx.call_activity(shorten, 2), str)
    assert_type(await ctx.call_activity("length", "a", return_type=int), int)
    assert_type(ctx.call_activity("length", "a"), Task[Any])

    ctx.call_activity(length, "a", tags={"k": "v"}, retry_policy=None)
    ctx.call_activity(length, "a", tag={})  # type: ignore[call-overload]
    ctx.call_activity(length, 1)  # type: ignore[arg-type]
    ctx.call_activity(length)  # type: ignore[arg-type]
    ctx.call_activity(now, 1)  # type: ignore[arg-type]
    ctx.call_activity(child, "a")  # type: ignore[arg-type]


async def children(ctx: OrchestrationContext) -> None:
    assert_type(await ctx.call_sub_orchestrator(child, "a"), int)
    assert_type(await ctx.call_sub_orchestrator(child, input="a", instance_id="i"), int)
    assert_type(await ctx.call_sub_orchestrator(generator_child, "a"), int)
    assert_type(await ctx.call_sub_orchestrator(plain_child, "a"), int)
    assert_type(await ctx.call_sub_orchestrator(lone_child), str)
    assert_type(await ctx.call_sub_orchestrator("child", "a", return_type=int), int)

    ctx.call_sub_orchestrator(child, 1)  # type: ignore[arg-type]
    ctx.call_sub_orchestrator(length, "a")  # type: ignore[arg-type]


async def groups(ctx: OrchestrationContext) -> None:
    lengths = [ctx.call_activity(length, text) for text in "ab"]

    assert_type(await when_all(lengths), list[int])
    assert_type(await when_any(lengths), Task[int])
    assert_type((await when_any(lengths)).get_result(), int)
    assert_type(await ctx.create_timer(timedelta(1)), None)
    assert_type(await ctx.wait_for_external_event("a", data_type=int), int)
    assert_type(ctx.wait_for_external_event("a", timeout=timedelta(1)), Task[Any])


def test_decorators_keep_the_type() -> None:
    assert_type(length(ActivityContext(name="a", orchestration_id="i", task_id=1), "a"), int)

    assert registry.find_activity("length.async") is not None
