"""Middleware around what a worker runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from durabletask_client import AsyncTaskHubGrpcClient, OrchestrationState
from durabletask_worker import (
    ActivityContext,
    EntityContext,
    EntityInstanceId,
    Middleware,
    OrchestrationContext,
    TaskHubGrpcWorker,
)
from durabletask_worker.middleware import Proceed

from .engine import Engine

TIMEOUT = 20


class Noting(Middleware):
    """Notes what passes, and changes nothing."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes

    async def orchestration(self, ctx: OrchestrationContext, input: Any, proceed: Proceed) -> Any:
        self.note(f"{ctx.instance_id} {input}", ctx.is_replaying)

        try:
            result = await proceed(input)
        except Exception as error:
            self.note(f"{ctx.instance_id} raised {type(error).__name__}", ctx.is_replaying)

            raise

        self.note(f"{ctx.instance_id} gave {result}", ctx.is_replaying)

        return result

    async def activity(self, ctx: ActivityContext, input: Any, proceed: Proceed) -> Any:
        self.note(f"task {ctx.task_id} {input}")
        result = await proceed(input)
        self.note(f"task {ctx.task_id} gave {result}")

        return result

    async def entity(self, ctx: EntityContext, proceed: Callable[[], Awaitable[Any]]) -> Any:
        self.note(f"{ctx.operation} of {ctx.entity_id}")

        return await proceed()

    def note(self, text: str, is_replaying: bool = False) -> None:
        if not is_replaying:
            self.notes.append(f"{self.name}: {text}")


class Changing(Middleware):
    """Changes inputs and results."""

    async def orchestration(self, ctx: OrchestrationContext, input: Any, proceed: Proceed) -> Any:
        return await proceed(input + 1) * 10

    async def activity(self, ctx: ActivityContext, input: Any, proceed: Proceed) -> Any:
        return await proceed(input + 1) * 10


class Forgiving(Middleware):
    """Tries again once, and then gives something else."""

    async def orchestration(self, ctx: OrchestrationContext, input: Any, proceed: Proceed) -> Any:
        for _ in range(2):
            try:
                return await proceed(input)
            except ValueError:
                await ctx.call_activity(double, 1)

        return "forgiven"

    async def activity(self, ctx: ActivityContext, input: Any, proceed: Proceed) -> Any:
        try:
            return await proceed(input)
        except ValueError as error:
            return f"forgiven: {error}"

    async def entity(self, ctx: EntityContext, proceed: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await proceed()
        except ValueError as error:
            return f"forgiven: {error}"


def double(_: ActivityContext, number: int) -> int:
    return 2 * number


async def async_double(_: ActivityContext, number: int) -> int:
    return 2 * number


def greet(_: ActivityContext, name: str = "nobody") -> str:
    return f"hello {name}"


def nothing(_: ActivityContext) -> str:
    return "nothing"


def breaks(_: ActivityContext, number: int) -> None:
    raise ValueError("broken")


async def as_coroutine(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(double, number)


def as_generator(ctx: OrchestrationContext, number: int) -> Generator[Any, Any, int]:
    result: int = yield ctx.call_activity(double, number)

    return result


def as_task(ctx: OrchestrationContext, number: int) -> object:
    return ctx.call_activity(double, number)


def as_value(ctx: OrchestrationContext, number: int) -> int:
    return 2 * number


async def fails(ctx: OrchestrationContext, number: int) -> None:
    await ctx.call_activity(double, number)

    raise ValueError("broken")


async def calls(ctx: OrchestrationContext, what: list[Any]) -> Any:
    name, *inputs = what

    return await ctx.call_activity(name, *inputs)


async def adds(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_entity(EntityInstanceId("counter", "k"), "add", number, return_type=int)


async def asks_in_vain(ctx: OrchestrationContext) -> str:
    return await ctx.call_entity(EntityInstanceId("counter", "k"), "break", return_type=str)


def counter(ctx: EntityContext, number: int = 0) -> int:
    if ctx.operation == "break":
        raise ValueError("broken")

    ctx.set_state(ctx.get_state(int, 0) + number)

    return ctx.get_state(int, 0)


@asynccontextmanager
async def hosted(engine: Engine, *middleware: Middleware) -> AsyncIterator[AsyncTaskHubGrpcClient]:
    worker = TaskHubGrpcWorker(host_address=engine.address, middleware=middleware)

    for orchestrator in (as_coroutine, as_generator, as_task, as_value, fails, calls, adds, asks_in_vain):
        worker.add_orchestrator(orchestrator)

    for activity in (double, async_double, greet, nothing, breaks):
        worker.add_activity(activity)

    worker.add_entity(counter)

    async with worker, AsyncTaskHubGrpcClient(host_address=engine.address) as client:
        yield client


async def run(client: AsyncTaskHubGrpcClient, name: str, data: object = None) -> OrchestrationState:
    instance_id = await client.schedule_new_orchestration(name, input=data, instance_id=name)
    state = await client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)
    assert state is not None

    return state


@pytest.mark.parametrize("name", ["as_coroutine", "as_generator", "as_task", "as_value"])
async def test_the_first_is_the_outermost_whatever_the_style(engine: Engine, name: str) -> None:
    notes: list[str] = []

    async with hosted(engine, Noting("outer", notes), Noting("inner", notes)) as client:
        assert (await run(client, name, 4)).get_output(int) == 8

    assert [note for note in notes if "task 1" not in note] == [
        f"outer: {name} 4",
        f"inner: {name} 4",
        f"inner: {name} gave 8",
        f"outer: {name} gave 8",
    ]
    assert [note for note in notes if "task 1" in note] == (
        []
        if name == "as_value"
        else ["outer: task 1 4", "inner: task 1 4", "inner: task 1 gave 8", "outer: task 1 gave 8"]
    )


@pytest.mark.parametrize(
    ("name", "data", "result"),
    [("as_value", 1, 40), ("as_coroutine", 1, 600), ("as_generator", 1, 600), ("as_task", 1, 600)],
)
async def test_it_may_change_what_passes(engine: Engine, name: str, data: int, result: int) -> None:
    async with hosted(engine, Changing()) as client:
        assert (await run(client, name, data)).get_output(int) == result


@pytest.mark.parametrize(
    ("what", "result"),
    [
        (["async_double", 2], 4),
        (["greet"], "hello nobody"),
        (["greet", "you"], "hello you"),
        (["nothing"], "nothing"),
        (["breaks", 1], "forgiven: broken"),
    ],
)
async def test_around_activities_of_all_kinds(engine: Engine, what: list[Any], result: object) -> None:
    async with hosted(engine, Forgiving()) as client:
        assert (await run(client, "calls", what)).get_output(object) == result


async def test_it_may_catch_and_wait_and_try_again(engine: Engine) -> None:
    async with hosted(engine, Forgiving()) as client:
        assert (await run(client, "fails", 1)).get_output(str) == "forgiven"


async def test_a_failure_goes_through(engine: Engine) -> None:
    notes: list[str] = []

    async with hosted(engine, Noting("it", notes)) as client:
        state = await run(client, "fails", 1)

    assert state.failure_details is not None
    assert state.failure_details.error_type.endswith("ValueError")
    assert notes[-1] == "it: fails raised ValueError"


async def test_around_operations_of_entities(engine: Engine) -> None:
    notes: list[str] = []

    async with hosted(engine, Noting("outer", notes), Forgiving(), Noting("inner", notes)) as client:
        assert (await run(client, "adds", 3)).get_output(int) == 3
        assert (await run(client, "asks_in_vain")).get_output(str) == "forgiven: broken"

    assert [note for note in notes if "@counter@k" in note] == [
        "outer: add of @counter@k",
        "inner: add of @counter@k",
        "outer: break of @counter@k",
        "inner: break of @counter@k",
    ]
