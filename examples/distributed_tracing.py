"""Distributed tracing: an orchestration calls an activity, waits for two seconds, and has an activity ask a web server; all of it is one trace.

    java -jar zipkin.jar     # zipkin.io tells where to get it
    OTEL_EXPORTER_ZIPKIN_ENDPOINT=http://localhost:9411/api/v2/spans python examples/distributed_tracing.py

Without a Zipkin, the spans are printed.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from durabletask_worker import ActivityContext, OrchestrationContext, Registry
from hub import PATIENCE, task_hub
from opentelemetry import trace
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.trace import SpanKind

registry = Registry()
tracer = trace.get_tracer("distributed_tracing")


@registry.activity
def choose_city(ctx: ActivityContext, _: None = None) -> str:
    """Choose where to look."""
    return "tokyo"


@registry.activity
def ask(ctx: ActivityContext, url: str) -> str:
    """Ask a web server. A span that is made in an activity is below the activity's, and the request has its context along."""
    with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT):
        headers: dict[str, str] = {}
        inject(headers)

        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            body: bytes = answer.read()

            return body.decode()


@registry.orchestrator
async def weather(ctx: OrchestrationContext, server: str) -> str:
    """Look at the weather, after a while."""
    city = await ctx.call_activity(choose_city)
    await ctx.create_timer(timedelta(seconds=2))

    return await ctx.call_activity(ask, f"{server}/{city}")


class Weather(BaseHTTPRequestHandler):
    """The web server, which makes a span of each request, below the one that asked."""

    def do_GET(self) -> None:
        """Answer."""
        context = extract({name.lower(): value for name, value in self.headers.items()})

        with tracer.start_as_current_span(f"GET {self.path}", context=context, kind=SpanKind.SERVER):
            body = f"sunny in {self.path[1:]}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def web_server() -> Iterator[str]:
    """The address of a web server that runs."""
    with HTTPServer(("localhost", 0), Weather) as server:
        Thread(target=server.serve_forever, daemon=True).start()

        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def main() -> None:
    """Run it once, and say which trace it is."""
    zipkin = os.environ.get("OTEL_EXPORTER_ZIPKIN_ENDPOINT")
    provider = TracerProvider(resource=Resource.create({"service.name": "weather"}))
    provider.add_span_processor(
        BatchSpanProcessor(ZipkinExporter(endpoint=zipkin) if zipkin else ConsoleSpanExporter())
    )
    trace.set_tracer_provider(provider)

    with task_hub(__doc__, registry) as client, web_server() as server:
        with tracer.start_as_current_span("look at the weather") as span:
            print(client.run_orchestration(weather, input=server, timeout=PATIENCE))

        print(f"trace {span.get_span_context().trace_id:032x}")

    # What is not exported yet.
    provider.shutdown()


if __name__ == "__main__":
    main()
