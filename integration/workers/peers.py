"""PyPI `durabletask`'s worker with the orchestrator `ledger`: three activities in sequence, then five at a time.

.venv-peer/bin/python integration/workers/peers.py localhost:4001
"""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import signal
import sys
import time
from collections.abc import Generator
from typing import Any

from durabletask.grpc_options import GrpcWorkerResiliencyOptions
from durabletask.task import ActivityContext, OrchestrationContext, Task, when_all
from durabletask.worker import TaskHubGrpcWorker

WORK = 0.005
"""Seconds that an activity takes, so that a kill finds some in flight."""


def add_one(_: ActivityContext, number: int) -> int:
    time.sleep(WORK)
    return number + 1


def double(_: ActivityContext, number: int) -> int:
    time.sleep(WORK)
    return 2 * number


def square(_: ActivityContext, number: int) -> int:
    time.sleep(WORK)
    return number**2


def entry(_: ActivityContext, numbers: list[int]) -> int:
    time.sleep(WORK)
    number, part = numbers
    return 10 * number + part


def ledger(ctx: OrchestrationContext, number: int) -> Generator[Task[Any], Any, Any]:
    for step in (add_one, double, square):
        number = yield ctx.call_activity(step, input=number)

    entries = yield when_all([ctx.call_activity(entry, input=[number, part]) for part in range(5)])

    return sum(entries)


if __name__ == "__main__":
    # By default it may wait for half a minute before it connects again.
    resiliency = GrpcWorkerResiliencyOptions(reconnect_backoff_base_seconds=0.1, reconnect_backoff_cap_seconds=2.0)

    with TaskHubGrpcWorker(host_address=sys.argv[1], resiliency_options=resiliency) as worker:
        worker.add_orchestrator(ledger)

        for activity in (add_one, double, square, entry):
            worker.add_activity(activity)

        worker.start()
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
