"""A collector of OpenTelemetry spans: what programs export by OTLP over gRPC comes in here, as they exported it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as wire
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

WITHIN = 20.0
"""Seconds for spans to come in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A span as it came in."""

    service: str
    """Who made it."""
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first of its trace."""
    start: int
    """Nanoseconds since 1970."""
    end: int
    attributes: Mapping[str, str | int]
    error: str | None
    """What the status says; None: it is no error."""
    events: tuple[tuple[str, Mapping[str, str | int]], ...]
    links: int
    """How many it has."""


class Collector(TraceServiceServicer):
    """Listens on a free port, in its context."""

    def __init__(self) -> None:
        self._spans: list[Collected] = []
        self._changed = threading.Condition()
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.address = f"localhost:{self._server.add_insecure_port('localhost:0')}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a program exports to it, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.address}",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def spans(self, complete: Callable[[list[Collected]], bool]) -> list[Collected]:
        """Wait for spans.

        Args:
            complete: Whether all that are waited for are there.

        Returns:
            All that are there.
        """
        with self._changed:
            found = self._changed.wait_for(lambda: complete(self._spans), WITHIN)
            assert found, "\n".join(f"{span.service}: {span.kind} {span.name}" for span in self._spans)

            return list(self._spans)

    def Export(self, request: wire.ExportTraceServiceRequest, context: object) -> wire.ExportTraceServiceResponse:
        """Take spans in."""
        with self._changed:
            for resource in request.resource_spans:
                service = str(_attributes(resource.resource.attributes).get("service.name"))
                self._spans += [_read(service, span) for scope in resource.scope_spans for span in scope.spans]

            self._changed.notify_all()

        return wire.ExportTraceServiceResponse()

    def __enter__(self) -> Self:
        self._server.start()

        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(None).wait()


def nested(
    spans: Sequence[Collected],
    key: Callable[[Collected], Any],
    *,
    depth: int = 0,
    parents: Collection[str] | None = None,
) -> Iterator[tuple[int, Collected]]:
    """Put spans in their places.

    Args:
        spans: Those of a trace.
        key: What those of one parent are sorted by.
        depth: Of the first ones.
        parents: Whose children come; None: those whose parent is not among them.

    Yields:
        How deep a span is, and it; each behind the one that it belongs to.
    """
    if parents is None:
        parents = {span.parent_id for span in spans} - {span.span_id for span in spans}

    for span in sorted((span for span in spans if span.parent_id in parents), key=key):
        yield depth, span
        yield from nested(spans, key, depth=depth + 1, parents={span.span_id})


def _read(service: str, span: trace_pb2.Span) -> Collected:
    is_error = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR

    return Collected(
        service=service,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        error=span.status.message if is_error else None,
        events=tuple((event.name, _attributes(event.attributes)) for event in span.events),
        links=len(span.links),
    )


def _attributes(pairs: Any) -> dict[str, str | int]:
    values: list[KeyValue] = list(pairs)

    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in values}
