"""The load of `observability.py` on a hub in this process; see there.

python benchmarks/observability_load.py FILE COUNT AT_A_TIME without|off|on
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from durabletask_embedded import TaskHub
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.embedded_ours import registry, three

ASKERS = (
    "durabletask_worker._orchestrations",
    "durabletask_worker._activities",
    "durabletask_worker._session",
    "durabletask_worker._executor",
    "durabletask_server.observability.engine_spans",
)
"""Who asks whether spans are to be made."""


class Counting(SpanExporter):
    """Counts spans, in place of sending them somewhere."""

    exported = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.exported += len(spans)

        return SpanExportResult.SUCCESS


def without() -> None:
    """Take the questions out."""
    for module in map(import_module, ASKERS):
        module.emitter = lambda: None  # type: ignore[attr-defined]

    for face in ("_async", "_sync"):
        import_module(f"durabletask_client.{face}.transport").spanning = lambda _: nullcontext()  # type: ignore[attr-defined]


async def main(file: str, count: int, at_a_time: int, mode: str) -> None:
    exporter = Counting()

    if mode == "without":
        without()
    elif mode == "on":
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=100_000))
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False))

    async with TaskHub(file, registry) as hub:
        room = asyncio.Semaphore(at_a_time)

        async def in_turn(number: int) -> None:
            async with room:
                assert await hub.client.run_orchestration(three, input=number) == number + 3

        await asyncio.gather(*map(in_turn, range(at_a_time)))
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*map(in_turn, range(count)))
        took, cpu = time.perf_counter() - began, time.process_time() - cpu

    if mode == "on":
        provider.shutdown()

    print(json.dumps({"per_second": count / took, "cpu": cpu / count, "spans": exporter.exported}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
