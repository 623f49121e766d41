"""PyPI `durabletask`'s worker with OpenTelemetry set up, for `test_tracing_with_others.py`.

DURABLETASK_ADDRESS=localhost:4001 .venv-peer/bin/python integration/workers/traced_peer.py [--no-spans]
"""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durabletask.task import ActivityContext, OrchestrationContext, Task
from durabletask.worker import TaskHubGrpcWorker
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

Flow = Generator[Task[Any], Any, Any]


def pypi_greet(_: ActivityContext, name: str) -> str:
    return f"pypi greets {name}"


def pypi_inner(ctx: OrchestrationContext, name: str) -> Flow:
    return (yield ctx.call_activity("ours_greet", input=name))


def pypi_alone(ctx: OrchestrationContext, name: str) -> Flow:
    yield ctx.create_timer(timedelta(milliseconds=20))

    return (yield ctx.call_activity(pypi_greet, input=name))


if __name__ == "__main__":
    provider = TracerProvider(resource=Resource.create({"service.name": "pypi"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)

    with TaskHubGrpcWorker(
        host_address=os.environ["DURABLETASK_ADDRESS"], emit_trace_spans="--no-spans" not in sys.argv
    ) as worker:
        worker.add_orchestrator(pypi_inner)
        worker.add_orchestrator(pypi_alone)
        worker.add_activity(pypi_greet)
        worker.use_work_item_filters()
        worker.start()
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
