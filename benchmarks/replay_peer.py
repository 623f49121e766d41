"""PyPI `durabletask`'s replay, for `replay_speed.py`: the class that its worker makes for each turn.

echo FILE | .venv-peer/bin/python benchmarks/replay_peer.py
"""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.serialization import JsonDataConverter
from durabletask.task import ActivityContext, OrchestrationContext, Task, when_all
from durabletask.worker import _OrchestrationExecutor, _Registry

from benchmarks.replay_loop import described, serve

Flow = Generator[Task[Any], Any, Any]


def step(_: ActivityContext, number: int) -> int:
    return number


def sequence(ctx: OrchestrationContext, count: int) -> Flow:
    total = 0

    for number in range(count):
        total += yield ctx.call_activity(step, input=number)

    return total


def fan_out(ctx: OrchestrationContext, count: int) -> Flow:
    return sum((yield when_all([ctx.call_activity(step, input=number) for number in range(count)])))


def waits(ctx: OrchestrationContext, count: int) -> Flow:
    total = 0

    for _ in range(count):
        yield ctx.create_timer(timedelta(seconds=1))
        total += yield ctx.wait_for_external_event("go", data_type=int)

    return total


if __name__ == "__main__":
    log = logging.getLogger("peer")
    log.setLevel(logging.WARNING)  # a line an event is no part of the work
    registry = _Registry()

    for orchestrator in (sequence, fan_out, waits):
        registry.add_orchestrator(orchestrator)

    serve(
        pb.OrchestratorRequest.FromString,
        lambda request: _OrchestrationExecutor(registry, log, JsonDataConverter()).execute(
            request.instanceId, request.pastEvents, request.newEvents
        ),
        lambda results: described(results.actions),
    )
