"""What a type checker knows of each kind of call: nothing here runs, mypy checks that every type is the one that is written down."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from random import Random
from typing import Any, assert_type

from durabletask_client import (
    AsyncTaskHubGrpcClient,
    EntityInstanceId,
    FailureDetails,
    OrchestrationState,
    TaskHubGrpcClient,
)
from durabletask_worker import (
    ActivityContext,
    OrchestrationContext,
    RetryAttempt,
    RetryPolicy,
    Task,
    when_all,
    when_any,
)

from typed_project.activities import charge, notify, open_hours, pack, price, wrap
from typed_project.entities import BOOKS, Books, Stock
from typed_project.models import Decision, Line, Order, Parcel, Payment, Priority, Receipt, Refused, Shipped
from typed_project.workflows import approve, count, discount, fulfil, reserve

__all__ = [
    "activities",
    "clients",
    "clients_of_asyncio",
    "decorated",
    "entities",
    "generators",
    "groups",
    "others",
    "retries",
    "sub_orchestrations",
    "waits",
]

TEA = Line(item="tea", quantity=1)


def decorated(ctx: ActivityContext, step: OrchestrationContext, order: Order) -> None:
    """Decorators leave functions and classes as they are."""
    assert_type(price(ctx, TEA), int)
    assert_type(pack(ctx, TEA), Parcel)
    assert_type(wrap(ctx), str)
    assert_type(reserve(step, order), Generator[Task[Any], Any, bool])
    assert_type(discount(step, Priority.NORMAL), int)
    assert_type(Stock(pieces=1), Stock)
    assert_type(Stock().take(1), bool)


async def activities(ctx: OrchestrationContext) -> None:
    """Plain functions and `async def`s, with an input, with none, with one that may be left out, and by name."""
    payment = Payment(customer="Ada", cents=1)

    assert_type(ctx.call_activity(price, TEA), Task[int])
    assert_type(await ctx.call_activity(price, TEA), int)
    assert_type(await ctx.call_activity(price, input=TEA, tags={"shop": "north"}), int)
    assert_type(await ctx.call_activity(charge, payment, retry_policy=RetryPolicy.never()), Receipt)
    assert_type(await ctx.call_activity(open_hours), dict[str, int])
    assert_type(await ctx.call_activity(notify, {"to": "Ada", "cents": 1}), bool)
    assert_type(await ctx.call_activity(wrap), str)
    assert_type(await ctx.call_activity(wrap, "red"), str)
    assert_type(await ctx.call_activity("pack.line", TEA, return_type=Parcel), Parcel)
    assert_type(await ctx.call_activity("pack.line", TEA), Any)


async def sub_orchestrations(ctx: OrchestrationContext, order: Order) -> None:
    """An `async def`, a generator, a plain function, one without an input, and by name."""
    assert_type(await ctx.call_sub_orchestrator(fulfil, order), Shipped | Refused)
    assert_type(await ctx.call_sub_orchestrator(approve, 1, instance_id="a", version="2.0"), Decision)
    assert_type(await ctx.call_sub_orchestrator(reserve, order), bool)
    assert_type(await ctx.call_sub_orchestrator(discount, Priority.NORMAL), int)
    assert_type(await ctx.call_sub_orchestrator(count), int)
    assert_type(await ctx.call_sub_orchestrator("approve", 1, return_type=Decision), Decision)
    assert_type(await ctx.call_sub_orchestrator("approve", 1), Any)


async def others(ctx: OrchestrationContext, order: Order) -> None:
    """What is started and not waited for, and what the context tells."""
    assert_type(ctx.start_orchestration(fulfil, order, tags={"shop": "north"}), str)
    assert_type(ctx.start_orchestration(reserve, order), str)
    assert_type(ctx.start_orchestration(count), str)
    assert_type(ctx.start_orchestration("fulfil", order), str)
    assert_type(ctx.patched("new prices"), bool)
    assert_type(ctx.random, Random)
    assert_type(ctx.new_uuid(), str)
    assert_type(ctx.version, str | None)
    ctx.continue_as_new(order, save_events=True, new_version="2.0")


async def entities(ctx: OrchestrationContext, receipt: Receipt) -> None:
    """Calls and signals, by the entity's id and by its class."""
    stock, tea = EntityInstanceId("stock", "tea"), ctx.entity(Stock, "tea")

    assert_type(await ctx.call_entity(stock, Stock.take, 1), bool)
    assert_type(await ctx.call_entity(stock, Stock.level), int)
    assert_type(await ctx.call_entity(stock, Stock.fill, 1), None)
    assert_type(await ctx.call_entity(stock, Stock.move, "cup"), None)
    assert_type(await ctx.call_entity(BOOKS, Books.record, receipt), int)
    assert_type(await ctx.call_entity(BOOKS, "total", return_type=int), int)
    assert_type(await ctx.call_entity(BOOKS, "total"), Any)
    assert_type(await tea.call(Stock.take, 1), bool)
    assert_type(await tea.call(Stock.level), int)
    assert_type(await tea.call(Stock.move, "cup"), None)
    assert_type(await ctx.entity(Books, "main").call(Books.record, receipt), int)
    assert_type(await ctx.entity("stock", "tea").call("level", return_type=int), int)

    ctx.signal_entity(stock, Stock.fill, 1)
    ctx.signal_entity(stock, Stock.move, "cup")
    ctx.signal_entity(stock, Stock.level)
    tea.signal(Stock.fill, 1, scheduled_time=ctx.current_utc_datetime + timedelta(hours=1))
    tea.signal(Stock.level)

    async with ctx.lock_entities([stock, BOOKS]) as lock:
        assert_type(lock.release(), None)

    async with ctx.lock_entities([tea]):
        assert_type(await tea.call(Stock.level), int)


async def waits(ctx: OrchestrationContext) -> None:
    """Tasks together, times and events."""
    prices = [ctx.call_activity(price, line) for line in (TEA, TEA)]
    decision = ctx.wait_for_external_event("decision", data_type=Decision, timeout=timedelta(days=1))

    assert_type(await when_all(prices), list[int])
    assert_type(await when_any(prices), Task[int])
    assert_type((await when_any(prices)).get_result(), int)
    assert_type(await ctx.create_timer(timedelta(hours=1)), None)
    assert_type(await ctx.create_timer(ctx.current_utc_datetime), None)
    assert_type(decision, Task[Decision])
    assert_type((await decision).approved, bool)
    assert_type(await ctx.wait_for_external_event("decision"), Any)
    assert_type(await ctx.wait_for_external_event("lines", data_type=list[Line]), list[Line])

    first: Task[object] = await when_any([decision, ctx.create_timer(timedelta(hours=1))])

    if first is decision:
        assert_type(decision.get_result(), Decision)


async def groups(ctx: OrchestrationContext, order: Order) -> None:
    """Work that belongs together, parts that run beside each other, and limits of time."""

    async def part(text: str) -> int:
        return len(text)

    async with ctx.group() as group:
        assert_type(group.start(ctx.call_activity(price, TEA)), Task[int])
        assert_type(group.start(part("a")), Task[int])
        assert_type(group.start(reserve(ctx, order)), Task[bool])
        assert_type(group.start(fulfil(ctx, order)).get_result(), Shipped | Refused)

    assert_type(await ctx.spawn(part("a")), int)
    assert_type(await ctx.spawn(reserve(ctx, order)), bool)

    async with ctx.timeout(timedelta(minutes=5)) as limit:
        assert_type(limit.expired, bool)


def generators(ctx: OrchestrationContext, order: Order) -> Generator[Task[Any], Any, int]:
    """`yield from` gives what `await` gives; of what `yield` gives no checker knows the type."""
    assert_type((yield from ctx.call_activity(price, TEA)), int)
    assert_type((yield from ctx.call_sub_orchestrator(fulfil, order)), Shipped | Refused)
    assert_type((yield from ctx.call_entity(BOOKS, Books.total)), int)
    assert_type((yield from when_all([ctx.call_activity(pack, TEA)])), list[Parcel])
    assert_type((yield ctx.call_activity(price, TEA)), Any)

    return (yield from ctx.spawn(reserve(ctx, order)))


def retries() -> RetryPolicy:
    """A handler sees the attempt, and says whether or when to try again."""

    def handler(attempt: RetryAttempt) -> bool | timedelta:
        assert_type(attempt.failure, FailureDetails)
        assert_type(attempt.failure.is_caused_by(ConnectionError), bool)

        return timedelta(minutes=1) if attempt.number > 3 else True

    return RetryPolicy(
        first_retry_interval=timedelta(seconds=1),
        max_number_of_attempts=5,
        retryable=[ConnectionError, "System.TimeoutException"],
        handler=handler,
    )


def clients(client: TaskHubGrpcClient, order: Order) -> None:
    """Orchestrations run and started from outside, and entities signalled."""
    assert_type(client.run_orchestration(fulfil, input=order, timeout=30), Shipped | Refused)
    assert_type(client.run_orchestration(reserve, input=order), bool)
    assert_type(client.run_orchestration(discount, input=Priority.EXPRESS), int)
    assert_type(client.run_orchestration(count), int)
    assert_type(client.run_orchestration("count", return_type=int), int)
    assert_type(client.run_orchestration("count"), Any)
    assert_type(client.schedule_new_orchestration(fulfil, input=order, tags={"shop": "north"}), str)
    assert_type(client.schedule_new_orchestration(reserve, input=order), str)
    assert_type(client.schedule_new_orchestration(count), str)

    state = client.wait_for_orchestration_completion("i")
    assert_type(state, OrchestrationState | None)

    if state is not None:
        assert_type(state.get_output(Shipped), Shipped | None)
        assert_type(state.get_output(), Any)

    client.signal_entity(EntityInstanceId("stock", "tea"), Stock.fill, 1)
    client.signal_entity(EntityInstanceId("stock", "tea"), Stock.level)
    books = client.get_entity(BOOKS)

    if books is not None:
        assert_type(books.get_state(int), int | None)


async def clients_of_asyncio(client: AsyncTaskHubGrpcClient, order: Order) -> None:
    """The same with `await`."""
    assert_type(await client.run_orchestration(fulfil, input=order), Shipped | Refused)
    assert_type(await client.run_orchestration(count), int)
    assert_type(await client.schedule_new_orchestration(fulfil, input=order), str)
    await client.signal_entity(EntityInstanceId("stock", "tea"), Stock.fill, 1)
