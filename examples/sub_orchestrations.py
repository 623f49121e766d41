"""Sub-orchestrations: an order is packed by one orchestration a parcel, each with a history of its own."""

from __future__ import annotations

from durabletask_worker import ActivityContext, OrchestrationContext, Registry, when_all
from hub import PATIENCE, task_hub

registry = Registry()


@registry.activity
def pack(ctx: ActivityContext, item: str) -> str:
    """Pack an item."""
    return f"{item} (packed)"


@registry.activity
def label(ctx: ActivityContext, items: list[str]) -> str:
    """Write a parcel's label."""
    return " + ".join(items)


@registry.orchestrator
async def parcel(ctx: OrchestrationContext, items: list[str]) -> str:
    """Pack the items of a parcel and label it."""
    packed = await when_all([ctx.call_activity(pack, input=item) for item in items])

    return await ctx.call_activity(label, input=packed)


@registry.orchestrator
async def order(ctx: OrchestrationContext, parcels: list[list[str]]) -> list[str]:
    """Make all parcels of an order, at the same time."""
    return await when_all([ctx.call_sub_orchestrator(parcel, input=items) for items in parcels])


def main() -> None:
    """Run it once, with two parcels."""
    with task_hub(__doc__, registry) as client:
        print("\n".join(client.run_orchestration(order, input=[["tea", "cup"], ["book"]], timeout=PATIENCE)))


if __name__ == "__main__":
    main()
