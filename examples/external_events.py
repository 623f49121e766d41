"""External events: an order waits for somebody's approval, but not for ever. One gets it in time, one does not."""

from __future__ import annotations

from datetime import timedelta

from durabletask_worker import OrchestrationContext, Registry
from hub import result, task_hub

registry = Registry()


@registry.orchestrator
async def approval(ctx: OrchestrationContext, seconds: float) -> str:
    """Wait for the event `approve` for some seconds; its data says who approved."""
    try:
        approver: str = await ctx.wait_for_external_event("approve", timeout=timedelta(seconds=seconds))
    except TimeoutError:
        return "nobody approved in time"

    return f"approved by {approver}"


def main() -> None:
    """Run it twice."""
    with task_hub(__doc__, registry) as client:
        lucky = client.schedule_new_orchestration(approval, input=30.0)
        late = client.schedule_new_orchestration(approval, input=0.5)
        client.raise_orchestration_event(lucky, "approve", data="Ada")

        for instance_id in (lucky, late):
            print(result(client, instance_id, str))


if __name__ == "__main__":
    main()
