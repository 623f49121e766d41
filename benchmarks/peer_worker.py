"""PyPI `durabletask`'s worker with the benchmark's orchestrations.

.venv-peer/bin/python benchmarks/peer_worker.py localhost:4001
"""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Generator
from typing import Any

from durabletask.task import ActivityContext, OrchestrationContext, Task, when_all
from durabletask.worker import ConcurrencyOptions, TaskHubGrpcWorker

AT_A_TIME = 1000

Flow = Generator[Task[Any], Any, Any]


def step(_: ActivityContext, number: int) -> int:
    return number


def steps3(ctx: OrchestrationContext, _: None) -> Flow:
    for _number in range(3):
        yield ctx.call_activity(step, input=1)

    return 1


def steps5(ctx: OrchestrationContext, _: None) -> Flow:
    for _number in range(5):
        yield ctx.call_activity(step, input=1)

    return 1


def step1(ctx: OrchestrationContext, _: None) -> Flow:
    return (yield ctx.call_activity(step, input=1))


def parent(ctx: OrchestrationContext, _: None) -> Flow:
    return (yield ctx.call_sub_orchestrator(step1, input=None))


def fanout(ctx: OrchestrationContext, width: int) -> Flow:
    return len((yield when_all([ctx.call_activity(step, input=1) for _ in range(width)])))


if __name__ == "__main__":
    log = logging.getLogger("peer")
    log.setLevel(logging.WARNING)  # a line an item is no part of the work
    limits = ConcurrencyOptions(
        maximum_concurrent_activity_work_items=AT_A_TIME,
        maximum_concurrent_orchestration_work_items=AT_A_TIME,
    )

    with TaskHubGrpcWorker(host_address=sys.argv[1], logger=log, concurrency_options=limits) as worker:
        for orchestrator in (steps3, steps5, step1, parent, fanout):
            worker.add_orchestrator(orchestrator)

        worker.add_activity(step)
        worker.start()
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
