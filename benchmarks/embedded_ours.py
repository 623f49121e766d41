"""The load of `embedded.py` on a hub in this process; see there.

python benchmarks/embedded_ours.py FILE COUNT AT_A_TIME ONE_BY_ONE WIDTH
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from durabletask_embedded import TaskHub
from durabletask_worker import ActivityContext, OrchestrationContext, Registry, when_all

registry = Registry()


@registry.activity
async def step(ctx: ActivityContext, number: int) -> int:
    return number + 1


@registry.orchestrator
async def three(ctx: OrchestrationContext, number: int) -> int:
    for _ in range(3):
        number = await ctx.call_activity(step, number)

    return number


@registry.orchestrator
async def one(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(step, number)


@registry.orchestrator
async def fan_out(ctx: OrchestrationContext, width: int) -> int:
    return sum(await when_all([ctx.call_activity(step, number) for number in range(width)]))


async def main(file: str, count: int, at_a_time: int, one_by_one: int, width: int) -> None:
    began = time.perf_counter()

    async with TaskHub(file, registry) as hub:
        started_up = time.perf_counter() - began
        run, room = hub.client.run_orchestration, asyncio.Semaphore(at_a_time)

        async def in_turn(number: int) -> None:
            async with room:
                assert await run(three, input=number) == number + 3

        await asyncio.gather(*map(in_turn, range(at_a_time)))
        began = time.perf_counter()
        await asyncio.gather(*map(in_turn, range(count)))
        per_second = count / (time.perf_counter() - began)

        took = []
        for number in range(one_by_one):
            began = time.perf_counter()
            assert await run(one, input=number) == number + 1
            took.append(time.perf_counter() - began)

        began = time.perf_counter()
        assert await run(fan_out, input=width) == width * (width + 1) // 2
        fanned_out = time.perf_counter() - began

    seen = {
        "per_second": per_second,
        "latencies": took,
        "fan_out": fanned_out,
        "start_up": started_up,
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
