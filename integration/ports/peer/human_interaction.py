"""Human interaction: an order waits for somebody's word until a deadline, which its customer gave as a time without a zone.

python human_interaction.py localhost:4001
"""

# Written as most users of the SDK write: without all the types.
# mypy: ignore-errors
from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from durabletask import task
from durabletask.client import TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker


@dataclass
class Order:
    item: str
    cost: float
    deadline: str


def ask(ctx: task.ActivityContext, item: str) -> None:
    print(f"is {item} approved?")


def place(ctx: task.ActivityContext, item: str) -> str:
    return f"{item} is ordered"


def purchase(ctx: task.OrchestrationContext, order: Order):
    if order.cost < 1000:
        return "approved by itself"

    yield ctx.call_activity(ask, input=order.item)
    deadline = datetime.fromisoformat(order.deadline)
    approval = ctx.wait_for_external_event("approval")
    timeout = ctx.create_timer(deadline)
    winner = yield task.when_any([approval, timeout])

    if winner == timeout:
        late = ctx.current_utc_datetime >= deadline
        return f"nobody spoke until the deadline, {late}"

    said = approval.get_result()
    placed = yield ctx.call_activity(place, input=order.item)

    return f"{placed}, says {said['approver']}"


def main(address: str) -> None:
    with TaskHubGrpcWorker(host_address=address) as worker:
        worker.add_orchestrator(purchase)
        worker.add_activity(ask)
        worker.add_activity(place)
        worker.start()

        client = TaskHubGrpcClient(host_address=address)
        now = datetime.now(UTC).replace(tzinfo=None)
        soon, later = (now + wait for wait in (timedelta(seconds=1), timedelta(hours=1)))

        for item, cost, deadline, word in (
            ("a pen", 2.0, later, None),
            ("a press", 20000.0, later, "Ada"),
            ("a palace", 2000000.0, soon, None),
        ):
            order = Order(item=item, cost=cost, deadline=deadline.isoformat())
            instance_id = client.schedule_new_orchestration(purchase, input=order, start_at=now)
            client.wait_for_orchestration_start(instance_id, timeout=30)

            if word is not None:
                client.raise_orchestration_event(instance_id, "approval", data={"approver": word})

            state = client.wait_for_orchestration_completion(instance_id, timeout=30)
            print(f"{item}: {state.get_output()}")


if __name__ == "__main__":
    main(sys.argv[1])
