"""Hands spans to OpenTelemetry. Needs the package's extra `tracing`; with no tracer provider set, there is nothing to hand them to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from os import environ
from time import time_ns
from types import TracebackType
from typing import Self, overload

from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.environment_variables import OTEL_PYTHON_TRACER_PROVIDER
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import names
from durabletask_protos.tracing.contexts import TraceContext
from durabletask_protos.tracing.live import LiveSpan
from durabletask_protos.tracing.sdk import Begun, DirectExport, GivenIds, within
from durabletask_protos.tracing.spans import Attributes, Kind, Span

__all__ = ["Emitter", "Ending", "emit", "emitter"]

log = logging.getLogger(__name__)


class Emitter:
    """Makes spans with a tracer provider.

    Args:
        provider: It.
    """

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer(names.SCOPE)
        self._ids = GivenIds(self._tracer)
        self._direct = DirectExport.of(self._tracer)

    def emit(self, spans: Iterable[Span]) -> None:
        """Make spans that have ended.

        Args:
            spans: They, in any order.
        """
        direct = self._direct if self._direct is not None and self._direct.is_open() else None
        place, parent = None, None

        for span in spans:
            # Most of them have the same one.
            if span.parent != place:
                place, parent = span.parent, _context(span.parent, is_remote=True)

            context, kind = _context(span.context, is_remote=False), _KINDS[span.kind]
            begun = Begun(span.name, kind, context, parent, span.attributes, span.start)

            if direct is not None and parent is not None:
                if not parent.trace_flags & TraceFlags.SAMPLED:
                    continue

                if span.failure is None and not span.events:
                    direct.export(begun, span.end)
                    continue

            made = self._ids.start(begun)

            for event in span.events:
                made.add_event(event.name, event.attributes, event.at)

            if span.failure is not None:
                _fail(made, span.failure, span.end)

            made.end(span.end)

    def is_sampled(self, trace_id: int) -> bool:
        """Whether a trace that begins with us is recorded. It is the same at each time for the samplers that OpenTelemetry has."""
        sampler = getattr(self._tracer, "sampler", None)

        return sampler is None or sampler.should_sample(None, trace_id, names.ORCHESTRATION).decision.is_sampled()

    def server(self, name: str, parent: TraceContext | None, attributes: Attributes) -> Ending:
        """A span for as long as the context lasts, in which code of the user's runs: spans of its own are below it.

        Args:
            name: What it is called.
            parent: Below which span of another process it is; None: it is the first of its trace.
            attributes: What is said of it.

        Returns:
            The context. It takes the span's failure; an exception is one, too.
        """
        remote = _context(parent, is_remote=True)

        return Ending(
            self._begin_directly(name, SpanKind.SERVER, remote, attributes)
            or self._tracer.start_span(name, context=within(remote), kind=SpanKind.SERVER, attributes=attributes)
        )

    def producer(self, name: str, attributes: Attributes) -> Ending:
        """A span below the caller's own, for something that is sent while the context lasts.

        Args:
            name: What it is called.
            attributes: What is said of it.

        Returns:
            The context. It has the span's place, to go along with what is sent.
        """
        current = trace.get_current_span().get_span_context()
        parent = current if current.is_valid else None

        return Ending(
            self._begin_directly(name, SpanKind.PRODUCER, parent, attributes)
            or self._tracer.start_span(name, kind=SpanKind.PRODUCER, attributes=attributes)
        )

    def _begin_directly(
        self, name: str, kind: SpanKind, parent: SpanContext | None, attributes: Attributes
    ) -> trace.Span | None:
        direct = self._direct
        context = None if direct is None else direct.place(name, kind, parent, attributes)

        if direct is None or context is None:
            return None

        if not context.trace_flags & TraceFlags.SAMPLED:
            return trace.NonRecordingSpan(context)

        return LiveSpan(Begun(name, kind, context, parent, attributes, time_ns()), self._ids, direct)


class Ending:
    """A span that is current in its context, and ends with it: where it is, and what takes its failure."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def context(self) -> TraceContext:
        """Its place."""
        trace_id, span_id, _, flags, state, _ = self._span.get_span_context()

        return TraceContext(trace_id, span_id, flags, state.to_header() if state else "")

    def failed(self, failure: pb.TaskFailureDetails) -> None:
        """It failed, though no exception says so."""
        _fail(self._span, failure, None)

    def __enter__(self) -> Self:
        self._token = attach(trace.set_span_in_context(self._span))

        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        detach(self._token)

        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))

        self._span.end()


@overload
def _context(place: TraceContext, *, is_remote: bool) -> SpanContext: ...
@overload
def _context(place: TraceContext | None, *, is_remote: bool) -> SpanContext | None: ...
def _context(place: TraceContext | None, *, is_remote: bool) -> SpanContext | None:
    if place is None:
        return None

    trace_id, span_id, flags, state = place
    states = TraceState.from_header([state]) if state else None

    return SpanContext(trace_id, span_id, is_remote, _FLAGS[flags], states)


def _fail(span: trace.Span, failure: pb.TaskFailureDetails, at: int | None) -> None:
    span.add_event("exception", _described(failure), at)
    span.set_status(Status(StatusCode.ERROR, failure.errorMessage))


def _described(failure: pb.TaskFailureDetails) -> dict[str, str]:
    attributes = {"exception.type": failure.errorType, "exception.message": failure.errorMessage}

    if failure.HasField("stackTrace"):
        attributes["exception.stacktrace"] = failure.stackTrace.value

    return attributes


_KINDS = {kind: SpanKind[kind.value] for kind in Kind}
_FLAGS = tuple(map(TraceFlags, range(256)))
_IS_NAMED = OTEL_PYTHON_TRACER_PROVIDER in environ
"""Whether the environment names a provider, which OpenTelemetry makes when it is asked for."""
_current: tuple[trace.TracerProvider, Emitter | None] | None = None


def emitter() -> Emitter | None:
    """What makes spans with the tracer provider that is set now; None: none is, and nothing is to be done for spans."""
    global _current
    # The API's function looks into the environment each time there is none, which is most of what being off would cost.
    provider = getattr(trace, "_TRACER_PROVIDER", None)

    if provider is None:
        if not _IS_NAMED and hasattr(trace, "_TRACER_PROVIDER"):
            return None

        provider = trace.get_tracer_provider()

    if _current is None or _current[0] is not provider:
        is_none = isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider))
        _current = (provider, None if is_none else Emitter(provider))

    return _current[1]


def emit(spans: Sequence[Span]) -> None:
    """Make spans that have ended, if there is a provider now. What goes wrong with it is logged, and in the way of nobody's work.

    Args:
        spans: They, in any order.
    """
    tracing = emitter() if spans else None

    if tracing is None:
        return

    try:
        tracing.emit(spans)
    except Exception:
        log.exception("spans cannot be made")
