"""Our worker with the program of `peer_worker.py`: the same generators and plain activity, with other imports.

python benchmarks/our_generator_worker.py localhost:4001
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from durabletask_worker import ActivityContext, OrchestrationContext, Task, when_all

from benchmarks.our_worker import serve

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
    serve((steps3, steps5, step1, parent, fanout), step)
