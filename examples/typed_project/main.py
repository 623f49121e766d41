"""A small shop: three orders, of which one needs an approval and one cannot be paid."""

from __future__ import annotations

from uuid import UUID

from durabletask_client import EntityInstanceId
from hub import PATIENCE, result, task_hub

from typed_project.entities import Stock
from typed_project.models import Decision, Line, Order, Priority, Refused, Shipped
from typed_project.workflows import count, fulfil, registry

__all__ = ["main"]


def main() -> None:
    """Run them, one after the other."""
    with task_hub(__doc__, registry) as client:
        for item in ("tea", "cup", "pot"):
            client.signal_entity(EntityInstanceId("stock", item), Stock.fill, 3)

        small = Order(
            id=UUID(int=1), customer="Ada", lines=[Line(item="tea", quantity=2), Line(item="cup", quantity=1)]
        )
        print(_told(client.run_orchestration(fulfil, input=small, timeout=PATIENCE)))

        large = Order(id=UUID(int=2), customer="Bob", lines=[Line(item="pot", quantity=2)], priority=Priority.EXPRESS)
        started = client.schedule_new_orchestration(fulfil, input=large)
        client.wait_for_orchestration_start(f"approval-{large.id}", timeout=PATIENCE)
        client.raise_orchestration_event(f"approval-{large.id}", "decision", data=Decision(approved=True, by="Eve"))
        print(_told(result(client, started, Shipped)))

        unpaid = Order(id=UUID(int=3), customer="Nobody", lines=[Line(item="cup", quantity=1)])
        print(_told(client.run_orchestration(fulfil, input=unpaid, timeout=PATIENCE)))

        print(f"in the books: {client.run_orchestration(count, timeout=PATIENCE)}")


def _told(ended: Shipped | Refused) -> str:
    if isinstance(ended, Refused):
        return f"refused: {ended.reason}"

    parcels = ", ".join(parcel.label for parcel in ended.parcels)

    return f"shipped: {parcels}, for {ended.receipt.payment.cents} cents at {ended.receipt.paid_at:%Z}"


if __name__ == "__main__":
    main()
