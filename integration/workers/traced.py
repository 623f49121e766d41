"""Runs orchestrations of every kind, traced, over a server that is killed half way. For `test_tracing.py`.

python integration/workers/traced.py FOLDER     # exports as the OTEL_* variables say, and prints a line a case: its name, its trace id
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

from durabletask_client import EntityInstanceId, TaskHubGrpcClient
from durabletask_protos.tracing.export import export_spans
from durabletask_worker import (
    ActivityContext,
    EntityContext,
    OrchestrationContext,
    Registry,
    RetryPolicy,
    TaskHubGrpcWorker,
    when_all,
)
from opentelemetry import trace

from integration.processes import our_server

TIMEOUT = 30
COUNTER = EntityInstanceId("counter", "main")
registry = Registry()
calls = {"flaky": 0}


@registry.activity
def first(ctx: ActivityContext, _: None = None) -> str:
    return "first"


@registry.activity
async def second(ctx: ActivityContext, _: None = None) -> str:
    with trace.get_tracer("user").start_as_current_span("of the user's"):
        return "second"


@registry.activity
def flaky(ctx: ActivityContext, _: None = None) -> str:
    calls["flaky"] += 1

    if calls["flaky"] < 3:
        raise RuntimeError(f"try {calls['flaky']}")

    return "at last"


@registry.activity
def broken(ctx: ActivityContext, _: None = None) -> None:
    raise ValueError("it is broken")


@registry.entity(name="counter")
def counter(ctx: EntityContext, amount: int) -> int:
    total = ctx.get_state(int, 0) + amount
    ctx.set_state(total)

    return total


@registry.orchestrator
async def sequence(ctx: OrchestrationContext, _: None = None) -> None:
    await ctx.call_activity(first)
    await ctx.wait_for_external_event("go")
    await ctx.call_activity(second)


@registry.orchestrator
async def fan_out(ctx: OrchestrationContext, _: None = None) -> None:
    await ctx.wait_for_external_event("go")
    await when_all([ctx.call_activity(first) for _ in range(3)])


@registry.orchestrator
async def retry(ctx: OrchestrationContext, _: None = None) -> None:
    await ctx.wait_for_external_event("go")
    policy = RetryPolicy(first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3)
    await ctx.call_activity(flaky, retry_policy=policy)


@registry.orchestrator
async def parent(ctx: OrchestrationContext, _: None = None) -> None:
    await ctx.call_sub_orchestrator(child, instance_id="child", version="2.0")


@registry.orchestrator
async def child(ctx: OrchestrationContext, _: None = None) -> None:
    await ctx.wait_for_external_event("go")
    await ctx.call_activity(first)


@registry.orchestrator
async def sender(ctx: OrchestrationContext, target: str) -> None:
    await ctx.wait_for_external_event("go")
    ctx.send_event(target, "go", data="from the sender")


@registry.orchestrator
async def timer(ctx: OrchestrationContext, _: None = None) -> None:
    await ctx.wait_for_external_event("go")
    await ctx.create_timer(timedelta(milliseconds=50))


@registry.orchestrator
async def generations(ctx: OrchestrationContext, number: int) -> None:
    await ctx.wait_for_external_event("go")

    if number == 1:
        ctx.continue_as_new(2, save_events=True)


@registry.orchestrator
async def failure(ctx: OrchestrationContext, _: None = None) -> None:
    await ctx.wait_for_external_event("go")
    await ctx.call_activity(broken)


@registry.orchestrator
async def terminated(ctx: OrchestrationContext, _: None = None) -> None:
    await ctx.call_activity(first)
    await ctx.wait_for_external_event("never")


@registry.orchestrator
async def entities(ctx: OrchestrationContext, _: None = None) -> None:
    await ctx.wait_for_external_event("go")
    ctx.signal_entity(COUNTER, "add", 1)
    await ctx.call_entity(COUNTER, "add", 2, return_type=int)


CASES = {
    "sequence": sequence,
    "fan_out": fan_out,
    "retry": retry,
    "parent": parent,
    "sender": sender,
    "timer": timer,
    "generations": generations,
    "failure": failure,
    "terminated": terminated,
    "entities": entities,
}
INPUTS = {"sender": "sequence", "generations": 1}


def main(folder: Path) -> None:
    """Run all cases at the same time."""
    export_spans(os.environ, "program", "it is installed here")
    tracer = trace.get_tracer("program")
    server = our_server(folder / "hub.sqlite3", folder / "server.log")
    roots = {name: tracer.start_span(f"case {name}") for name in CASES}

    with server, TaskHubGrpcClient(host_address=server.address, patience=30) as client:
        with TaskHubGrpcWorker(host_address=server.address, registry=registry) as worker:
            worker.start()

            for name, orchestrator in CASES.items():
                with trace.use_span(roots[name]):
                    client.schedule_new_orchestration(orchestrator.__name__, input=INPUTS.get(name), instance_id=name)

            for name in [*CASES, "child"]:
                client.wait_for_orchestration_start(name, timeout=TIMEOUT)

            while not any(event.kind == "TaskCompleted" for event in client.get_orchestration_history("terminated")):
                time.sleep(0.02)

        server.restart()

        with TaskHubGrpcWorker(host_address=server.address, registry=registry) as worker:
            worker.start()

            for name in CASES.keys() - {"sequence", "terminated", "parent"}:
                with trace.use_span(roots[name]):
                    client.raise_orchestration_event(name, "go")

            with trace.use_span(roots["generations"]):
                client.raise_orchestration_event("generations", "go")

            with trace.use_span(roots["parent"]):
                client.raise_orchestration_event("child", "go")

            with trace.use_span(roots["entities"]):
                client.signal_entity(COUNTER, "add", input=3)

            with trace.use_span(roots["terminated"]):
                client.terminate_orchestration("terminated", output="enough")

            for name in CASES:
                client.wait_for_orchestration_completion(name, timeout=TIMEOUT)

        server.stop()

    for name, root in roots.items():
        root.end()
        print(name, f"{root.get_span_context().trace_id:032x}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
