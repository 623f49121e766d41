"""What travels between orchestrations, activities, entities and clients: dataclasses, rebuilt by the type hints of whoever gets them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

__all__ = ["Decision", "Line", "Order", "Parcel", "Payment", "Priority", "Receipt", "Refused", "Shipped"]


class Priority(Enum):
    """How much of a hurry an order is in."""

    NORMAL = "normal"
    """It may wait."""
    EXPRESS = "express"
    """It may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of an order."""

    item: str
    """What is wanted."""
    quantity: int
    """How many of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a customer wants."""

    id: UUID
    """The order's number."""
    customer: str
    """Who pays."""
    lines: list[Line]
    """What is wanted, each item once."""
    priority: Priority = Priority.NORMAL
    """How soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What is to be charged."""

    customer: str
    """Whom to charge."""
    cents: int
    """How much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was charged."""

    payment: Payment
    """What it is for."""
    paid_at: datetime
    """When; aware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The data of the event `decision`."""

    approved: bool
    """Whether the order may go on."""
    by: str
    """Who says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What leaves the shop."""

    label: str
    """What is written on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """An order that went well."""

    parcels: list[Parcel]
    """All of it."""
    receipt: Receipt
    """What was paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An order that came to nothing."""

    reason: str
    """Why."""
