"""Fan-out and fan-in: as much work as a first step finds, all at once, and one result. One of the tasks fails.

python fan_out.py localhost:4001
"""

# Written as most users of the SDK write: without all the types.
# mypy: ignore-errors
from __future__ import annotations

import sys

import durabletask_worker as task
from durabletask_client import TaskHubGrpcClient
from durabletask_worker import ConcurrencyOptions, TaskHubGrpcWorker


def list_shelves(ctx: task.ActivityContext, count: int) -> list[str]:
    return [f"shelf-{number:02}" for number in range(count)]


def count_boxes(ctx: task.ActivityContext, shelf: str) -> int:
    number = int(shelf.removeprefix("shelf-"))

    if number == 13:
        raise ValueError(f"{shelf} is locked")

    return number % 5


def stocktaking(ctx: task.OrchestrationContext, count: int):
    shelves = yield ctx.call_activity(list_shelves, input=count)
    tasks = [ctx.call_activity(count_boxes, input=shelf) for shelf in shelves if shelf != "shelf-13"]
    counts = yield task.when_all(tasks)
    first = yield task.when_any([ctx.call_activity("count_boxes", input="shelf-04")])

    try:
        yield task.when_all([ctx.call_activity(count_boxes, input=shelf) for shelf in ("shelf-01", "shelf-13")])
    except task.TaskFailedError as error:
        missing = str(error.details.message)
    else:
        missing = "none"

    return {
        "boxes": sum(counts),
        "first": first.get_result(),
        "missing": missing,
        "done": all(t.is_complete for t in tasks),
    }


def main(address: str) -> None:
    options = ConcurrencyOptions(
        maximum_concurrent_activity_work_items=8, maximum_concurrent_orchestration_work_items=4
    )

    with TaskHubGrpcWorker(host_address=address, concurrency_options=options) as worker:
        worker.add_orchestrator(stocktaking)
        worker.add_activity(list_shelves)
        worker.add_activity(count_boxes)
        worker.start()

        with TaskHubGrpcClient(host_address=address) as client:
            instance_id = client.schedule_new_orchestration(stocktaking, input=30)
            state = client.wait_for_orchestration_completion(instance_id, timeout=30)
            state.raise_if_failed()
            print(state.get_output())


if __name__ == "__main__":
    main(sys.argv[1])
