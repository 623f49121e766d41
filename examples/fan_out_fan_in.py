"""Fan-out/fan-in: update many devices at once, wait for all of them, and report the success rate."""

from __future__ import annotations

import random
import sys
import time

from durabletask_worker import ActivityContext, OrchestrationContext, Registry, when_all
from hub import PATIENCE, task_hub

registry = Registry()


@registry.activity
def devices_to_update(ctx: ActivityContext, count: int) -> list[str]:
    """List the devices that need an update."""
    return [f"device-{number:02}" for number in range(1, count + 1)]


@registry.activity
def update_device(ctx: ActivityContext, device: str) -> bool:
    """Update a device, which takes a moment and does not always work; return whether it did."""
    time.sleep(random.uniform(0.05, 0.25))
    updated = random.random() < 0.8
    sys.stdout.write(f"{device}: {'updated' if updated else 'failed'}\n")  # one write, for many threads do

    return updated


@registry.orchestrator
async def update_devices(ctx: OrchestrationContext, count: int) -> float:
    """Update all devices at the same time; return the share that succeeded."""
    devices = await ctx.call_activity(devices_to_update, input=count)
    updated = await when_all([ctx.call_activity(update_device, input=device) for device in devices])

    return sum(updated) / len(updated)


def main() -> None:
    """Run it once, for 20 devices."""
    with task_hub(__doc__, registry) as client:
        rate = client.run_orchestration(update_devices, input=20, timeout=PATIENCE)
        print(f"success rate: {rate:.0%}")


if __name__ == "__main__":
    main()
