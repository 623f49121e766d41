"""Retries: an activity that fails at first is tried again, each time after a longer wait, which a timer of the hub keeps."""

from __future__ import annotations

from datetime import timedelta

from durabletask_worker import ActivityContext, OrchestrationContext, Registry, RetryPolicy, TaskFailedError
from hub import PATIENCE, task_hub

registry = Registry()

PATIENT = RetryPolicy(
    first_retry_interval=timedelta(milliseconds=100),
    max_number_of_attempts=3,
    backoff_coefficient=2.0,
)

calls: dict[str, int] = {}


@registry.activity
def fetch_quote(ctx: ActivityContext, works_at: int) -> str:
    """Fetch a quote from a service that fails until it is called for the `works_at`-th time."""
    call = calls[ctx.orchestration_id] = calls.get(ctx.orchestration_id, 0) + 1
    print(f"  call {call}")

    if call < works_at:
        raise ConnectionError("the service does not answer")

    return f"a quote, at call {call}"


@registry.orchestrator
async def quote(ctx: OrchestrationContext, works_at: int) -> str:
    """Fetch a quote, with at most three attempts."""
    try:
        return await ctx.call_activity(fetch_quote, input=works_at, retry_policy=PATIENT)
    except TaskFailedError as error:
        return f"given up: {error.details.message}"


def main() -> None:
    """Run it with a service that works at the third call, and with one that needs a fourth."""
    with task_hub(__doc__, registry) as client:
        for works_at in (3, 4):
            print(client.run_orchestration(quote, input=works_at, timeout=PATIENCE))


if __name__ == "__main__":
    main()
