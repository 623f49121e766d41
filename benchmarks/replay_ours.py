"""Our replay, for `replay_speed.py`: with the orchestrations as `async def`, or with `generators` as generators.

echo FILE | python benchmarks/replay_ours.py [generators]
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import ActivityContext, OrchestrationContext, Registry, Task, when_all
from durabletask_worker.execution.host import Host
from durabletask_worker.execution.replay import replay
from durabletask_worker.nondeterminism.guard import guard

from benchmarks.replay_loop import described, serve

Flow = Generator[Task[Any], Any, Any]


def step(_: ActivityContext, number: int) -> int:
    return number


async def sequence(ctx: OrchestrationContext, count: int) -> int:
    total = 0

    for number in range(count):
        total += await ctx.call_activity(step, input=number)

    return total


async def fan_out(ctx: OrchestrationContext, count: int) -> int:
    return sum(await when_all([ctx.call_activity(step, input=number) for number in range(count)]))


async def waits(ctx: OrchestrationContext, count: int) -> int:
    total = 0

    for _ in range(count):
        await ctx.create_timer(timedelta(seconds=1))
        total += await ctx.wait_for_external_event("go", data_type=int)

    return total


def yielding_sequence(ctx: OrchestrationContext, count: int) -> Flow:
    total = 0

    for number in range(count):
        total += yield ctx.call_activity(step, input=number)

    return total


def yielding_fan_out(ctx: OrchestrationContext, count: int) -> Flow:
    return sum((yield when_all([ctx.call_activity(step, input=number) for number in range(count)])))


def yielding_waits(ctx: OrchestrationContext, count: int) -> Flow:
    total = 0

    for _ in range(count):
        yield ctx.create_timer(timedelta(seconds=1))
        total += yield ctx.wait_for_external_event("go", data_type=int)

    return total


def replayed(host: Host, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
    return replay(host, instance_id=request.instanceId, past_events=request.pastEvents, new_events=request.newEvents)


if __name__ == "__main__":
    registry = Registry()

    if sys.argv[1:] == ["generators"]:
        registry.add_orchestrator(yielding_sequence, name="sequence")
        registry.add_orchestrator(yielding_fan_out, name="fan_out")
        registry.add_orchestrator(yielding_waits, name="waits")
    else:
        registry.add_orchestrator(sequence)
        registry.add_orchestrator(fan_out)
        registry.add_orchestrator(waits)

    # With the guard, as a worker has it by default.
    serve(
        pb.OrchestratorRequest.FromString,
        partial(replayed, Host(registry=registry, guard=guard)),
        lambda response: described(response.actions),
    )
