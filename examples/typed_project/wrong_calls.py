"""What a type checker refuses: each line that ends in `# error: …` is an error of that kind to mypy, and no other line is one.

Nothing here runs. `mypy examples` leaves this file out; the test of the examples checks it by name.
"""

# What is wrong is often an attribute that is not there, and nothing is done with what is.
# ruff: noqa: B018, F841
from __future__ import annotations

from datetime import timedelta

from durabletask_client import AsyncTaskHubGrpcClient, EntityInstanceId, TaskHubGrpcClient
from durabletask_worker import EntityContext, OrchestrationContext, RetryAttempt, RetryPolicy, when_all, when_any

from typed_project.activities import charge, open_hours, price, wrap
from typed_project.entities import BOOKS, Books, Stock
from typed_project.models import Decision, Line, Order, Payment
from typed_project.workflows import approve, count, fulfil, reserve

__all__ = [
    "activities",
    "clients",
    "clients_of_asyncio",
    "entities",
    "operations",
    "others",
    "retries",
    "sub_orchestrations",
    "waits",
]

TEA = Line(item="tea", quantity=1)


async def activities(ctx: OrchestrationContext, order: Order) -> None:
    """Inputs, options and results."""
    ctx.call_activity(price, "tea")  # error: arg-type
    ctx.call_activity(price, order)  # error: arg-type
    ctx.call_activity(price)  # error: arg-type
    ctx.call_activity(charge, input=TEA)  # error: arg-type
    ctx.call_activity(charge)  # error: arg-type
    ctx.call_activity(wrap, 1)  # error: arg-type
    ctx.call_activity(open_hours, "today")  # error: arg-type
    ctx.call_activity(fulfil, order)  # error: arg-type
    ctx.call_activity(price, TEA, order)  # error: call-overload
    ctx.call_activity(price, TEA, tag={})  # error: call-overload
    ctx.call_activity(price, TEA, retry_policy=3)  # error: call-overload
    (await ctx.call_activity(price, TEA)).upper()  # error: attr-defined
    (await ctx.call_activity(charge, Payment(customer="Ada", cents=1))).cents  # error: attr-defined
    1 + ctx.call_activity(price, TEA)  # error: operator
    name: str = await ctx.call_activity(price, TEA)  # error: arg-type


async def sub_orchestrations(ctx: OrchestrationContext, order: Order) -> None:
    """Inputs, options and results."""
    ctx.call_sub_orchestrator(fulfil, TEA)  # error: arg-type
    ctx.call_sub_orchestrator(fulfil)  # error: arg-type
    ctx.call_sub_orchestrator(reserve, 1)  # error: arg-type
    ctx.call_sub_orchestrator(reserve)  # error: arg-type
    ctx.call_sub_orchestrator(count, 1)  # error: arg-type
    ctx.call_sub_orchestrator(price, TEA)  # error: arg-type
    ctx.call_sub_orchestrator(approve, 1, instance_id=2)  # error: call-overload
    (await ctx.call_sub_orchestrator(fulfil, order)).receipt  # error: union-attr
    (await ctx.call_sub_orchestrator(approve, 1)).refused  # error: attr-defined
    (await ctx.call_sub_orchestrator(reserve, order)).parcels  # error: attr-defined


async def others(ctx: OrchestrationContext, order: Order) -> None:
    """What is started and not waited for."""
    ctx.start_orchestration(fulfil, TEA)  # error: arg-type
    ctx.start_orchestration(fulfil)  # error: arg-type
    ctx.start_orchestration(count, 1)  # error: arg-type
    ctx.start_orchestration(fulfil, order, version=2)  # error: call-overload
    await ctx.start_orchestration(fulfil, order)  # error: misc
    ctx.continue_as_new(order, new_version=2)  # error: arg-type
    ctx.instance_id = "another"  # error: misc
    await fulfil(ctx, TEA)  # error: arg-type


async def entities(ctx: OrchestrationContext, order: Order) -> None:
    """Inputs and results of operations, and whose they are."""
    stock, tea = EntityInstanceId("stock", "tea"), ctx.entity(Stock, "tea")

    ctx.call_entity(stock, Stock.take, "1")  # error: arg-type
    ctx.call_entity(stock, Stock.take)  # error: arg-type
    ctx.call_entity(stock, Stock.level, 1)  # error: arg-type
    ctx.call_entity(stock, Stock.move, 1)  # error: arg-type
    ctx.call_entity("@stock@tea", Stock.level)  # error: call-overload
    ctx.call_entity(BOOKS, Books.record, order)  # error: arg-type
    (await ctx.call_entity(stock, Stock.take, 1)).pieces  # error: attr-defined
    (await ctx.call_entity(BOOKS, Books.total)).cents  # error: attr-defined
    ctx.signal_entity(stock, Stock.fill, "1")  # error: arg-type
    ctx.signal_entity(stock, Stock.fill)  # error: arg-type
    tea.call(Stock.take, "1")  # error: arg-type
    tea.call(Stock.take)  # error: arg-type
    tea.call(Stock.level, 1)  # error: arg-type
    tea.call(Books.total)  # error: arg-type
    tea.call(Stock.move, 1)  # error: arg-type
    (await tea.call(Stock.level)).pieces  # error: attr-defined
    tea.signal(Stock.fill, "1")  # error: arg-type
    tea.signal(Stock.fill)  # error: arg-type
    tea.signal(Books.total)  # error: arg-type
    tea.signal(Stock.fill, 1, scheduled_time=timedelta(1))  # error: call-overload
    ctx.lock_entities(["@stock@tea"])  # error: list-item
    ctx.lock_entities([Stock])  # error: list-item


async def waits(ctx: OrchestrationContext) -> None:
    """Times, events, tasks together and groups."""
    prices = [ctx.call_activity(price, TEA)]

    (await ctx.wait_for_external_event("decision", data_type=Decision)).reason  # error: attr-defined
    ctx.wait_for_external_event("decision", timeout=5)  # error: call-overload
    ctx.wait_for_external_event(approve)  # error: call-overload
    ctx.create_timer(5)  # error: arg-type
    ctx.timeout(5)  # error: arg-type
    when_all([price])  # error: arg-type
    (await when_all(prices)).upper()  # error: attr-defined
    (await when_any(prices)).bit_length()  # error: attr-defined

    async with ctx.group() as group:
        group.start(approve)  # error: call-overload
        group.start(approve(ctx, 1)).get_result().refused  # error: attr-defined

    with ctx.group():  # error: attr-defined
        ctx.spawn(approve)  # error: call-overload


def retries(attempt: RetryAttempt) -> None:
    """Policies and what a handler is given and answers."""

    def handler(failed: int) -> bool:
        return failed > 1

    def answer(failed: RetryAttempt) -> str:
        return failed.failure.message

    second = timedelta(seconds=1)
    RetryPolicy(second, 3)  # error: call-arg
    RetryPolicy(first_retry_interval=1, max_number_of_attempts=3)  # error: arg-type
    RetryPolicy(first_retry_interval=second)  # error: call-arg
    RetryPolicy(first_retry_interval=second, max_number_of_attempts=3, handler=handler)  # error: arg-type
    RetryPolicy(first_retry_interval=second, max_number_of_attempts=3, handler=answer)  # error: arg-type
    RetryPolicy(first_retry_interval=second, max_number_of_attempts=3, retryable=[404])  # error: list-item
    attempt.number = 2  # error: misc


def operations(ctx: EntityContext, order: Order) -> None:
    """What an entity asks of others."""
    ctx.signal_entity(BOOKS, Books.record, order)  # error: arg-type
    ctx.signal_entity(BOOKS, Books.record)  # error: arg-type
    ctx.schedule_new_orchestration(fulfil, TEA)  # error: arg-type
    ctx.schedule_new_orchestration(fulfil)  # error: arg-type


def clients(client: TaskHubGrpcClient, order: Order) -> None:
    """Runs, starts and signals from outside."""
    client.run_orchestration(fulfil, input=TEA)  # error: arg-type
    client.run_orchestration(fulfil)  # error: arg-type
    client.run_orchestration(count, input=1)  # error: arg-type
    client.run_orchestration(fulfil, input=order, timeuot=1)  # error: call-overload
    client.run_orchestration(fulfil, input=order).receipt  # error: union-attr
    client.run_orchestration(reserve, input=TEA)  # error: arg-type
    client.schedule_new_orchestration(fulfil, input=TEA)  # error: arg-type
    client.schedule_new_orchestration(fulfil, order)  # error: call-arg
    client.schedule_new_orchestration(fulfil, input=order, start_at=timedelta(1))  # error: arg-type
    client.signal_entity(BOOKS, Books.record, order)  # error: arg-type
    client.signal_entity("@books@main", Books.total)  # error: arg-type
    client.raise_orchestration_event("i", "decision", Decision(approved=True, by="Eve"))  # error: call-arg


async def clients_of_asyncio(client: AsyncTaskHubGrpcClient, order: Order) -> None:
    """The same with `await`."""
    await client.run_orchestration(fulfil, input=TEA)  # error: arg-type
    (await client.run_orchestration(fulfil, input=order)).receipt  # error: union-attr
    client.run_orchestration(fulfil, input=order).receipt  # error: attr-defined
    await client.schedule_new_orchestration(fulfil, input=TEA)  # error: arg-type
