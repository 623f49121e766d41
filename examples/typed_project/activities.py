"""The work itself: plain functions, which run in threads, and `async def`s, which run on the worker's event loop."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from durabletask_worker import ActivityContext, NonRetryableError, Registry

from typed_project.models import Line, Parcel, Payment, Receipt

__all__ = ["charge", "notify", "open_hours", "pack", "price", "registry", "wrap"]

registry = Registry()

PRICES = {"tea": 450, "cup": 1200, "pot": 6800}
"""Cents a piece."""


@registry.activity
def price(ctx: ActivityContext, line: Line) -> int:
    """What a line costs, in cents."""
    return PRICES[line.item] * line.quantity


@registry.activity
async def charge(ctx: ActivityContext, payment: Payment) -> Receipt:
    """Take a customer's money, which nobody tries a second time from one who has none."""
    if payment.customer == "Nobody":
        raise NonRetryableError("the card is refused")

    return Receipt(payment=payment, paid_at=datetime.now(UTC))


@registry.activity(name="pack.line")
def pack(ctx: ActivityContext, line: Line) -> Parcel:
    """Put a line into a parcel."""
    return Parcel(label=f"{line.quantity} x {line.item}")


@registry.activity
def wrap(ctx: ActivityContext, paper: str = "brown") -> str:
    """Choose the paper."""
    return f"{paper} paper"


@registry.activity
async def open_hours(ctx: ActivityContext) -> dict[str, int]:
    """When the shop is open."""
    return {"from": 8, "to": 18}


@registry.activity
async def notify(ctx: ActivityContext, message: dict[str, Any]) -> bool:
    """Tell a customer something; return whether the customer wants to be told."""
    return bool(message["to"])
