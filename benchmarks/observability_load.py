"""One process of `observability.py`: an embedded hub, or a worker or a client of a server.

    python benchmarks/observability_load.py hub FILE off|on
    python benchmarks/observability_load.py worker ADDRESS off|on
    python benchmarks/observability_load.py client ADDRESS off|on

A hub and a client read from standard input how many orchestrations to run, and say how many seconds that took, until the input ends; with a
word after the number, the questions whether spans are to be made are taken out meanwhile. At last all of them say how many spans they made.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from durabletask_client import AsyncTaskHubGrpcClient
from durabletask_embedded import TaskHub
from durabletask_worker import TaskHubGrpcWorker
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.embedded_ours import registry, three

AT_A_TIME = 64
ASKERS = (
    "durabletask_worker._orchestrations",
    "durabletask_worker._activities",
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


@contextmanager
def without() -> Iterator[None]:
    """Take the questions out, and put them back."""
    replaced: list[tuple[Any, str, Any]] = [(import_module(name), "emitter", lambda: None) for name in ASKERS]
    replaced.append((import_module("durabletask_client._async.transport"), "spanning", lambda _: nullcontext()))
    before = [getattr(module, name) for module, name, _ in replaced]

    for module, name, value in replaced:
        setattr(module, name, value)

    try:
        yield
    finally:
        for (module, name, _), value in zip(replaced, before, strict=True):
            setattr(module, name, value)


async def main(role: str, where: str, mode: str) -> None:
    exporter = Counting()
    provider = TracerProvider(shutdown_on_exit=False)

    if mode == "on":
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=100_000))
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False))

    if role == "worker":
        async with TaskHubGrpcWorker(host_address=where, registry=registry):
            await asyncio.to_thread(sys.stdin.read)
    elif role == "client":
        async with AsyncTaskHubGrpcClient(host_address=where) as client:
            await load(client)
    else:
        async with TaskHub(where, registry) as hub:
            await load(hub.client)

    provider.shutdown()
    print(exporter.exported)


async def load(client: AsyncTaskHubGrpcClient) -> None:
    """Run as many orchestrations as each line of the input says, and tell how many seconds that took."""
    room = asyncio.Semaphore(AT_A_TIME)

    async def in_turn(number: int) -> None:
        async with room:
            assert await client.run_orchestration(three, input=number) == number + 3

    while line := await asyncio.to_thread(sys.stdin.readline):
        count, *words = line.split()

        with without() if words else nullcontext():
            began = time.perf_counter()
            await asyncio.gather(*map(in_turn, range(int(count))))
            took = time.perf_counter() - began

        print(took, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
