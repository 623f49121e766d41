"""Our worker with the benchmark's orchestrations.

python benchmarks/our_worker.py localhost:4001
"""

from __future__ import annotations

import signal
import sys

from durabletask_worker import ActivityContext, ConcurrencyOptions, OrchestrationContext, TaskHubGrpcWorker, when_all

AT_A_TIME = 1000


async def step(_: ActivityContext, number: int) -> int:
    return number


async def steps3(ctx: OrchestrationContext, _: None) -> int:
    for _number in range(3):
        await ctx.call_activity(step, input=1)

    return 1


async def step1(ctx: OrchestrationContext, _: None) -> int:
    return await ctx.call_activity(step, input=1)


async def fanout(ctx: OrchestrationContext, width: int) -> int:
    return len(await when_all([ctx.call_activity(step, input=1) for _ in range(width)]))


if __name__ == "__main__":
    limits = ConcurrencyOptions(
        maximum_concurrent_activity_work_items=AT_A_TIME,
        maximum_concurrent_orchestration_work_items=AT_A_TIME,
    )

    with TaskHubGrpcWorker(host_address=sys.argv[1], concurrency_options=limits) as worker:
        for orchestrator in (steps3, step1, fanout):
            worker.add_orchestrator(orchestrator)

        worker.add_activity(step)
        worker.start()
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
