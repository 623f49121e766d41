"""Sub-orchestrations: an order is packed by one orchestration a parcel, each with a history of its own."""

from __future__ import annotations

from durabletask_client import TaskHubGrpcClient
from durabletask_worker import ActivityContext, OrchestrationContext, TaskHubGrpcWorker, when_all
from hub import result, task_hub


def pack(ctx: ActivityContext, item: str) -> str:
    """Pack an item."""
    return f"{item} (packed)"


def label(ctx: ActivityContext, items: list[str]) -> str:
    """Write a parcel's label."""
    return " + ".join(items)


async def parcel(ctx: OrchestrationContext, items: list[str]) -> str:
    """Pack the items of a parcel and label it."""
    packed = await when_all([ctx.call_activity(pack, input=item) for item in items])

    return await ctx.call_activity(label, input=packed)


async def order(ctx: OrchestrationContext, parcels: list[list[str]]) -> list[str]:
    """Make all parcels of an order, at the same time."""
    return await when_all([ctx.call_sub_orchestrator(parcel, input=items) for items in parcels])


def main() -> None:
    """Run it once, with two parcels."""
    with task_hub(__doc__) as address, TaskHubGrpcWorker(host_address=address) as worker:
        for orchestrator in (parcel, order):
            worker.add_orchestrator(orchestrator)

        for activity in (pack, label):
            worker.add_activity(activity)

        worker.start()

        with TaskHubGrpcClient(host_address=address) as client:
            instance_id = client.schedule_new_orchestration(order, input=[["tea", "cup"], ["book"]])
            print("\n".join(result(client, instance_id, list[str])))


if __name__ == "__main__":
    main()
