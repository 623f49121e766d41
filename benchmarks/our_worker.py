"""Our worker with the benchmark's orchestrations.

python benchmarks/our_worker.py localhost:4001
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from durabletask_worker import ActivityContext, ConcurrencyOptions, OrchestrationContext, TaskHubGrpcWorker, when_all

AT_A_TIME = 1000


async def step(_: ActivityContext, number: int) -> int:
    return number


async def steps3(ctx: OrchestrationContext, _: None) -> int:
    for _number in range(3):
        await ctx.call_activity(step, input=1)

    return 1


async def steps5(ctx: OrchestrationContext, _: None) -> int:
    for _number in range(5):
        await ctx.call_activity(step, input=1)

    return 1


async def step1(ctx: OrchestrationContext, _: None) -> int:
    return await ctx.call_activity(step, input=1)


async def parent(ctx: OrchestrationContext, _: None) -> int:
    return await ctx.call_sub_orchestrator(step1, input=None)


async def fanout(ctx: OrchestrationContext, width: int) -> int:
    return len(await when_all([ctx.call_activity(step, input=1) for _ in range(width)]))


def serve(orchestrators: Iterable[Callable[..., Any]], activity: Callable[..., Any]) -> None:
    """Host them on the server that the command line names, until a signal."""
    options = parser().parse_args()
    limits: dict[str, int] = {} if options.live is None else {"maximum_live_executions": options.live}
    concurrency = ConcurrencyOptions(
        maximum_concurrent_activity_work_items=AT_A_TIME,
        maximum_concurrent_orchestration_work_items=AT_A_TIME,
        **limits,
    )

    with TaskHubGrpcWorker(host_address=options.address, concurrency_options=concurrency) as worker:
        for orchestrator in orchestrators:
            worker.add_orchestrator(orchestrator)

        worker.add_activity(activity)

        if options.uvloop:
            import uvloop

            uvloop.run(worker.run(handle_signals=True))
            return

        worker.start()
        signal.sigwait([signal.SIGTERM, signal.SIGINT])


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Hosts the benchmark's orchestrations on a server.")
    made.add_argument("address")
    made.add_argument("--live", type=int, help="`maximum_live_executions` [the worker's default]")
    made.add_argument("--uvloop", action="store_true", help="run it on a loop of uvloop's [in a thread, on asyncio's]")

    return made


if __name__ == "__main__":
    serve((steps3, steps5, step1, parent, fanout), step)
