"""What is kept: a stock for each item, as a class that is the state, and the shop's books, as one that handles its state itself."""

from __future__ import annotations

from dataclasses import dataclass

from durabletask_worker import DurableEntity, EntityContext, EntityInstanceId, Registry

from typed_project.models import Receipt

__all__ = ["BOOKS", "Books", "Stock", "registry"]

registry = Registry()

BOOKS = EntityInstanceId("books", "main")
"""There is one of them."""


@registry.entity
@dataclass
class Stock:
    """How many there are of an item."""

    pieces: int = 0

    def fill(self, pieces: int) -> None:
        """Add some."""
        self.pieces += pieces

    def take(self, pieces: int) -> bool:
        """Take some, if there are as many."""
        if pieces > self.pieces:
            return False

        self.pieces -= pieces

        return True

    def level(self) -> int:
        """Count them."""
        return self.pieces

    def move(self, ctx: EntityContext, to: str) -> None:
        """Put all of them to another item's."""
        ctx.signal_entity(EntityInstanceId("stock", to), Stock.fill, self.pieces)
        self.pieces = 0


@registry.entity
class Books(DurableEntity):
    """What was paid."""

    async def record(self, receipt: Receipt) -> int:
        """Write a receipt down, and give the sum of all, in cents."""
        cents = self.get_state(int, 0) + receipt.payment.cents
        self.set_state(cents)

        return cents

    def total(self) -> int:
        """The sum of all, in cents."""
        return self.get_state(int, 0)
