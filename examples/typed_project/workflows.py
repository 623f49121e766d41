"""The orchestrations, one in each style: an `async def`, a generator, and a plain function for what needs no waiting."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durabletask_worker import (
    OrchestrationContext,
    Registry,
    RetryAttempt,
    RetryPolicy,
    Task,
    TaskFailedError,
    when_all,
)

from typed_project import activities, entities
from typed_project.entities import BOOKS, Books, Stock
from typed_project.models import Decision, Order, Payment, Priority, Refused, Shipped

__all__ = ["approve", "count", "discount", "fulfil", "registry", "reserve"]

registry = Registry()
registry.include(activities, entities)

LIMIT = 10_000
"""Cents; what costs more needs somebody's approval."""


def while_the_bank_is_closed(attempt: RetryAttempt) -> bool:
    """Whether to try again: for errors of the connection, and ten times at most."""
    return attempt.failure.is_caused_by(ConnectionError) and attempt.number < 10


PATIENT = RetryPolicy(
    first_retry_interval=timedelta(seconds=1),
    max_number_of_attempts=None,
    backoff_coefficient=2,
    jitter=0.2,
    handler=while_the_bank_is_closed,
)


@registry.orchestrator
async def fulfil(ctx: OrchestrationContext, order: Order) -> Shipped | Refused:
    """Take an order from its prices to its parcels."""
    if not await ctx.call_sub_orchestrator(reserve, order):
        return Refused(reason="not in stock")

    prices = await when_all([ctx.call_activity(activities.price, line) for line in order.lines])
    cents = sum(prices) - await ctx.call_sub_orchestrator(discount, order.priority)

    if cents > LIMIT:
        decision = await ctx.call_sub_orchestrator(approve, cents, instance_id=f"approval-{order.id}")

        if not decision.approved:
            return Refused(reason=f"refused by {decision.by}")

    try:
        payment = Payment(customer=order.customer, cents=cents)
        receipt = await ctx.call_activity(activities.charge, payment, retry_policy=PATIENT)
    except TaskFailedError as error:
        return Refused(reason=error.details.message)

    async with ctx.group() as group:
        parcels = [group.start(ctx.call_activity(activities.pack, line)) for line in order.lines]
        group.start(ctx.call_activity(activities.notify, {"to": order.customer, "cents": cents}))
        booked = group.start(ctx.call_entity(BOOKS, Books.record, receipt))

    ctx.set_custom_status({"sum of today": booked.get_result()})

    return Shipped(parcels=[parcel.get_result() for parcel in parcels], receipt=receipt)


@registry.orchestrator
def reserve(ctx: OrchestrationContext, order: Order) -> Generator[Task[Any], Any, bool]:
    """Take all lines of an order from the stock, or none of them. `yield from` gives a type to what it waits for; `yield` does not."""
    stocks = [ctx.entity(Stock, line.item) for line in order.lines]

    with (yield from ctx.lock_entities(stocks)):
        for stock, line in zip(stocks, order.lines, strict=True):
            if (yield from stock.call(Stock.level)) < line.quantity:
                return False

        for stock, line in zip(stocks, order.lines, strict=True):
            yield stock.call(Stock.take, line.quantity)

    return True


@registry.orchestrator
def discount(ctx: OrchestrationContext, priority: Priority) -> int:
    """How much less to pay, in cents, for those who can wait."""
    return 0 if priority is Priority.EXPRESS else 100


@registry.orchestrator
async def approve(ctx: OrchestrationContext, cents: int) -> Decision:
    """Wait for somebody's decision, for a day."""
    try:
        return await ctx.wait_for_external_event("decision", data_type=Decision, timeout=timedelta(days=1))
    except TimeoutError:
        return Decision(approved=cents < 2 * LIMIT, by="the clock")


@registry.orchestrator
async def count(ctx: OrchestrationContext) -> int:
    """What the books say."""
    return await ctx.call_entity(BOOKS, Books.total)
