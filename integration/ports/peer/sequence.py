"""A sequence: each step gets what the one before it gave. The second has a bad day, and a retry policy for it.

python sequence.py localhost:4001
"""

# Written as most users of the SDK write: without all the types.
# mypy: ignore-errors
from __future__ import annotations

import sys
from datetime import timedelta

from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.task import ActivityContext, OrchestrationContext, RetryPolicy
from durabletask.worker import TaskHubGrpcWorker

attempts: list[int] = []


def measure(ctx: ActivityContext, text: str) -> int:
    return len(text)


def price(ctx: ActivityContext, length: int) -> float:
    attempts.append(length)

    if len(attempts) < 3:
        raise ConnectionError(f"no prices today, at attempt {len(attempts)} of task {ctx.task_id}")

    return length * 1.5


def label(ctx: ActivityContext, amount: float) -> dict[str, str]:
    return {"label": f"{amount:.2f} EUR"}


def quote(ctx: OrchestrationContext, text: str):
    policy = RetryPolicy(
        first_retry_interval=timedelta(milliseconds=20),
        max_number_of_attempts=5,
        backoff_coefficient=2.0,
        max_retry_interval=timedelta(seconds=1),
        retry_timeout=timedelta(minutes=1),
    )
    ctx.set_custom_status("measuring")
    length = yield ctx.call_activity(measure, input=text)
    ctx.set_custom_status("pricing")
    amount = yield ctx.call_activity(price, input=length, retry_policy=policy)

    return (yield ctx.call_activity(label, input=amount))


def main(address: str) -> None:
    with TaskHubGrpcWorker(host_address=address, secure_channel=False) as worker:
        worker.add_orchestrator(quote)
        worker.add_activity(measure)
        worker.add_activity(price)
        worker.add_activity(label)
        worker.start()

        client = TaskHubGrpcClient(host_address=address, secure_channel=False)
        instance_id = client.schedule_new_orchestration(quote, input="a birthday card", tags={"shop": "north"})
        state = client.wait_for_orchestration_completion(instance_id, timeout=30)

        if state is None or state.runtime_status != OrchestrationStatus.COMPLETED:
            print(f"not done: {state}")
        else:
            print(state.name, state.runtime_status.name, state.get_input(), state.get_output(), state.serialized_output)
            print(state.get_custom_status(), len(attempts), "attempts")


if __name__ == "__main__":
    main(sys.argv[1])
