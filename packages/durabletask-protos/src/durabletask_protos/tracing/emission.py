"""Hands spans to OpenTelemetry. Needs the package's extra `tracing`; with no tracer provider set, there is nothing to hand them to.

OpenTelemetry's API cannot make a span under an id that is given, and its SDK can: its tracers take their ids from a generator. A provider
of another make gives ids of its own, and what hangs on an orchestration's span or on a wait then has a parent that is not there.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import names
from durabletask_protos.tracing.contexts import TraceContext
from durabletask_protos.tracing.spans import Attributes, Span

__all__ = ["Emitter", "Ending", "emit", "emitter"]

log = logging.getLogger(__name__)


class Emitter:
    """Makes spans with a tracer provider.

    Args:
        provider: It.
    """

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer(names.SCOPE)
        self._takes_ids = hasattr(self._tracer, "id_generator")
        self._of_thread = threading.local()
        self._export = _exporting(self._tracer)

    def emit(self, spans: Iterable[Span]) -> None:
        """Make spans that have ended.

        Args:
            spans: They, in any order.
        """
        tracer, given = self._with_given_ids()
        parent, context = None, Context()

        for span in spans:
            if self._export is not None and span.parent is not None:
                self._export(span)
                continue

            given.context = span.context

            # Most of them have the same one.
            if span.parent != parent:
                parent, context = span.parent, _within(span.parent)

            made = tracer.start_span(
                span.name,
                context=context,
                kind=SpanKind[span.kind.value],
                attributes=span.attributes,
                start_time=span.start,
            )

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
        return Ending(
            self._tracer.start_span(name, context=_within(parent), kind=SpanKind.SERVER, attributes=attributes)
        )

    @contextmanager
    def producer(self, name: str, attributes: Attributes) -> Iterator[TraceContext]:
        """A span below the caller's own, for something that is sent while the context lasts.

        Args:
            name: What it is called.
            attributes: What is said of it.

        Yields:
            Its place, to go along with what is sent.
        """
        with self._tracer.start_as_current_span(name, kind=SpanKind.PRODUCER, attributes=attributes) as span:
            yield _place(span)

    def _with_given_ids(self) -> tuple[trace.Tracer, _Given]:
        """A tracer of this thread's own, and what it takes ids from."""
        made: tuple[trace.Tracer, _Given] | None = getattr(self._of_thread, "made", None)

        if made is None:
            made = self._of_thread.made = (copy.copy(self._tracer), _Given())

            if self._takes_ids:
                made[0].id_generator = made[1]  # type: ignore[attr-defined]

        return made


def _exporting(tracer: trace.Tracer) -> Callable[[Span], None] | None:
    """What hands a span that has ended straight to the exporters, which takes a third of the time that making one takes.

    None: not with this tracer. It has to be the SDK's, whose sampler does what the parent did and whose processors only export.
    """
    try:
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.sdk.trace import Tracer as SdkTracer
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased
    except ImportError:
        return None

    if not isinstance(tracer, SdkTracer) or type(tracer.sampler) is not ParentBased:
        return None

    processors = getattr(tracer.span_processor, "_span_processors", ())

    if not processors or any(type(each) not in (BatchSpanProcessor, SimpleSpanProcessor) for each in processors):
        return None

    end, resource, scope = tracer.span_processor.on_end, tracer.resource, tracer._instrumentation_scope  # noqa: SLF001

    def export(span: Span) -> None:
        parent = span.parent

        if parent is None or not parent.flags & TraceFlags.SAMPLED:
            return

        failure = span.failure
        events = [Event(event.name, dict(event.attributes), event.at) for event in span.events]

        if failure is not None:
            events.append(Event("exception", _described(failure), span.end))

        end(
            ReadableSpan(
                name=span.name,
                context=_remote(span.context, is_remote=False),
                parent=_remote(parent),
                resource=resource,
                attributes=span.attributes,
                events=events,
                kind=SpanKind[span.kind.value],
                status=_OK if failure is None else Status(StatusCode.ERROR, failure.errorMessage),
                start_time=span.start,
                end_time=span.end,
                instrumentation_scope=scope,
            )
        )

    return export


class Ending:
    """A span that is current in its context, and ends with it: where it is, and what takes its failure."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def context(self) -> TraceContext:
        """Its place."""
        return _place(self._span)

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


class _Given:
    """A generator of the ids that are given."""

    context = TraceContext(0, 0)

    def generate_span_id(self) -> int:
        return self.context.span_id

    def generate_trace_id(self) -> int:
        return self.context.trace_id

    def is_trace_id_random(self) -> bool:
        return False


def _place(span: trace.Span) -> TraceContext:
    context = span.get_span_context()

    return TraceContext(context.trace_id, context.span_id, context.trace_flags, context.trace_state.to_header())


def _within(parent: TraceContext | None) -> Context:
    if parent is None:
        return Context()

    return trace.set_span_in_context(NonRecordingSpan(_remote(parent)), Context())


def _remote(place: TraceContext, *, is_remote: bool = True) -> SpanContext:
    return SpanContext(
        place.trace_id,
        place.span_id,
        is_remote=is_remote,
        trace_flags=TraceFlags(place.flags),
        trace_state=TraceState.from_header([place.state]) if place.state else None,
    )


def _fail(span: trace.Span, failure: pb.TaskFailureDetails, at: int | None) -> None:
    span.add_event("exception", _described(failure), at)
    span.set_status(Status(StatusCode.ERROR, failure.errorMessage))


def _described(failure: pb.TaskFailureDetails) -> dict[str, str]:
    attributes = {"exception.type": failure.errorType, "exception.message": failure.errorMessage}

    if failure.HasField("stackTrace"):
        attributes["exception.stacktrace"] = failure.stackTrace.value

    return attributes


_OK = Status()
_current: tuple[trace.TracerProvider, Emitter | None] | None = None


def emitter() -> Emitter | None:
    """What makes spans with the tracer provider that is set now; None: none is, and nothing is to be done for spans."""
    global _current
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
