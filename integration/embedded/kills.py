"""Embeds a hub in a process that is killed again and again; then once in one that is not.

    python integration/embedded/kills.py DIRECTORY SEED KILLS

Each process opens the hub on the same file, starts some orchestrations, notes each that was acknowledged, and works on until it is killed,
at a point of time that chance gives. The last process waits for everything that was acknowledged. Prints, as JSON, what became of it.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from durabletask_embedded import AsyncRunningHub, TaskHub
from durabletask_worker import (
    ActivityContext,
    EntityContext,
    EntityInstanceId,
    OrchestrationContext,
    Registry,
    when_all,
)

EACH = 4
"""Orchestrations that a process starts."""
LONGEST = 0.4
"""Seconds that a process lives at the most, from when it begins to open the hub; what it starts takes about half of that."""
PATIENCE = 60.0
"""Seconds for what is left in the end."""
KINDS = {"ExecutionStarted": 1, "TaskScheduled": 6, "TaskCompleted": 6, "ExecutionCompleted": 1}
"""How often each stands in the history of `work`."""
TOTAL = EntityInstanceId("total", "all")

registry = Registry()


@registry.activity
def square(ctx: ActivityContext, number: int) -> int:
    """A step."""
    return number * number


@registry.entity(name="total")
def total(ctx: EntityContext, amount: int) -> int:
    """What was added so far."""
    sum_so_far: int = ctx.get_state(int, 0) + amount
    ctx.set_state(sum_so_far)

    return sum_so_far


@registry.orchestrator
async def part(ctx: OrchestrationContext, number: int) -> int:
    """A child."""
    await ctx.create_timer(timedelta(milliseconds=10))

    return await ctx.call_activity(square, number)


@registry.orchestrator
async def work(ctx: OrchestrationContext, number: int) -> int:
    """Something of everything: a sequence, a fan-out, a child, a timer, a generation, an entity."""
    first = await ctx.call_activity(square, number)
    squares = await when_all([ctx.call_activity(square, each) for each in range(5)])
    child = await ctx.call_sub_orchestrator(part, number)
    await ctx.call_entity(TOTAL, "add", 1)

    return first + sum(squares) + child


def expected(number: int) -> int:
    """What `work` returns."""
    return 2 * number * number + 30


def main(directory: Path, seed: int, kills: int) -> None:
    """Kill, and look what is left."""
    random = Random(seed)
    # Forked, so that they need not import everything anew; this process has no threads and no hub.
    fork = multiprocessing.get_context("fork")

    for number in range(kills):
        process = fork.Process(target=embed, args=(directory, number))
        process.start()
        time.sleep(random.uniform(0.0, LONGEST))
        process.kill()
        process.join()

    print(json.dumps(asyncio.run(finish(directory))))


def embed(directory: Path, number: int) -> None:
    """Start some orchestrations, and work until killed."""
    asyncio.run(_embed(directory, number))


async def _embed(directory: Path, number: int) -> None:
    with (directory / "acknowledged").open("a") as acknowledged:
        async with TaskHub(directory / "hub.sqlite3", registry) as hub:
            for each in range(number * EACH, number * EACH + EACH):
                await hub.client.schedule_new_orchestration(work, input=each, instance_id=f"work-{each}")
                # Only the process is killed, not the machine: what is written is there.
                acknowledged.write(f"{each}\n")
                acknowledged.flush()

            await asyncio.Event().wait()


async def finish(directory: Path) -> dict[str, Any]:
    """Wait for all that is there, which is what was acknowledged, and perhaps what nobody lived to hear of."""
    acknowledged = [f"work-{number}" for number in (directory / "acknowledged").read_text().split()]

    async with TaskHub(directory / "hub.sqlite3", registry) as hub:
        states = await hub.client.get_all_orchestration_states()
        there = [state.instance_id for state in states if state.name == "work"]
        wrong = [instance_id for instance_id in there if not await _is_right(hub, instance_id)]
        counted = await hub.client.get_entity(TOTAL)

        return {
            "lost": sorted({*acknowledged} - {*there}),
            "acknowledged": len(acknowledged),
            "there": len(there),
            "wrong": wrong,
            "total": None if counted is None else counted.get_state(int),
        }


async def _is_right(hub: AsyncRunningHub, instance_id: str) -> bool:
    state = await hub.client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
    number = int(instance_id.removeprefix("work-"))

    if state is None or state.get_output(int) != expected(number):
        return False

    kinds = Counter(event.kind for event in await hub.client.get_orchestration_history(instance_id))

    return all(kinds[kind] == times for kind, times in KINDS.items())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
