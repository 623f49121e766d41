"""Tracing: what the SDK makes of the trace contexts that the server keeps and hands on."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from durabletask.task import ActivityContext, OrchestrationContext
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from runs import Flow, equal, output, until
from workers import connected, serving


def traced(_: ActivityContext, value: str) -> str:
    return value


def traced_child(ctx: OrchestrationContext, _: None) -> Flow:
    return (yield ctx.call_activity(traced, input="child"))


def traced_parent(ctx: OrchestrationContext, _: None) -> Flow:
    yield ctx.call_activity(traced, input="parent")

    return (yield ctx.call_sub_orchestrator(traced_child))


def scenario_tracing(address: str) -> None:
    """One trace goes from the client over the orchestration to its activity, its child and the child's activity."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    with (
        serving(address, orchestrators=[traced_parent, traced_child], activities=[traced]),
        connected(address) as client,
    ):
        with trace.get_tracer("caller").start_as_current_span("caller") as caller:
            equal(output(client, traced_parent), "child")

        def spans() -> dict[str, list[ReadableSpan]]:
            found: dict[str, list[ReadableSpan]] = {}

            for span in exporter.get_finished_spans():
                if span.context.trace_id == caller.get_span_context().trace_id:
                    found.setdefault(f"{span.kind.name} {span.name}", []).append(span)

            return found

        until(lambda: "SERVER orchestration:traced_parent" in spans(), "the parent's span is there")

    found = spans()
    [start] = found["PRODUCER create_orchestration:traced_parent"]
    [parent] = found["SERVER orchestration:traced_parent"]
    [child] = found["SERVER orchestration:traced_child"]
    equal(start.parent.span_id, caller.get_span_context().span_id)
    equal(parent.parent.span_id, start.context.span_id)
    equal(child.parent.span_id, found["CLIENT orchestration:traced_child"][0].context.span_id)
    equal(
        sorted(span.parent.span_id for span in found["SERVER activity:traced"]),
        sorted(span.context.span_id for span in found["CLIENT activity:traced"]),
    )
