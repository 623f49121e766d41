"""Runs an orchestration, traced, whose work is in part another worker's. For `test_tracing_with_others.py`.

python -m integration.workers.traced_ours ADDRESS NAME     # exports as the OTEL_* variables say, and prints the trace id
"""

from __future__ import annotations

import os
import sys

from durabletask_client import TaskHubGrpcClient
from durabletask_protos.tracing.export import export_spans
from durabletask_worker import ActivityContext, OrchestrationContext, Registry, TaskHubGrpcWorker
from opentelemetry import trace

registry = Registry()


@registry.activity
def ours_greet(ctx: ActivityContext, name: str) -> str:
    return f"ours greets {name}"


@registry.orchestrator
async def ours_outer(ctx: OrchestrationContext, name: str) -> list[str]:
    first = await ctx.call_activity("pypi_greet", input=name, return_type=str)

    return [first, await ctx.call_sub_orchestrator("pypi_inner", input=name, return_type=str)]


@registry.orchestrator
async def ours_alone(ctx: OrchestrationContext, name: str) -> str:
    return await ctx.call_activity(ours_greet, input=name)


def main(address: str, name: str) -> None:
    """Run it."""
    export_spans(os.environ, "ours", "it is installed here")

    with (
        TaskHubGrpcWorker(host_address=address, registry=registry) as worker,
        TaskHubGrpcClient(host_address=address) as client,
        trace.get_tracer("program").start_as_current_span("program") as root,
    ):
        worker.use_work_item_filters()
        worker.start()
        client.run_orchestration(name, input="Ada", timeout=30)
        print(f"{root.get_span_context().trace_id:032x}")


if __name__ == "__main__":
    main(*sys.argv[1:])
