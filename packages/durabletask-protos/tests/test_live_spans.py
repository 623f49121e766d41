"""Spans that go past OpenTelemetry's SDK come out of it as its own would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any

import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import Kind, Span, TraceContext
from durabletask_protos.tracing.emission import Emitter
from durabletask_protos.tracing.live import LiveSpan
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, ParentBased, Sampler, TraceIdRatioBased

PARENT = TraceContext(0xAB << 120 | 1, 0xCD, 1, "vendor=1")
UNSAMPLED = PARENT._replace(flags=0)
ATTRIBUTES: Mapping[str, str | int] = {"a": "b", "n": 1}
FAILURE = pb.TaskFailureDetails(errorType="E", errorMessage="m")


class Another(SpanProcessor):
    """A processor that is not of OpenTelemetry's own, which sees spans begin, too."""

    def __init__(self) -> None:
        self.begun = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.begun += 1


class Traced:
    """A provider, what it exported, and what makes spans with it."""

    def __init__(self, sampler: Sampler = DEFAULT_ON, *processors: SpanProcessor) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)

        for processor in (SimpleSpanProcessor(self.exporter), *processors):
            self.provider.add_span_processor(processor)

        self.emitter = Emitter(self.provider)

    def exported(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def described(self) -> list[tuple[Any, ...]]:
        """What is said of the spans, but for their times and what is random."""
        return [
            (
                span.name,
                span.kind,
                dict(span.attributes or {}),
                span.context is not None and (span.context.trace_flags, span.context.trace_state.to_header()),
                span.parent and (span.parent.trace_id, span.parent.span_id, span.parent.is_remote),
                [(event.name, dict(event.attributes or {})) for event in span.events],
                (span.status.status_code, span.status.description),
                span.resource.attributes == self.provider.resource.attributes,
                span.instrumentation_scope and span.instrumentation_scope.name,
                bool(span.start_time and span.end_time and 0 < span.start_time <= span.end_time),
            )
            for span in self.exported()
        ]


def untouched(_: trace.Span) -> None:
    pass


def touched(span: trace.Span) -> None:
    span.set_attribute("more", True)
    span.set_attributes({"most": [1, 2]})
    span.add_event("event", {"x": 1})
    span.update_name("renamed")


def with_exception(span: trace.Span) -> None:
    span.record_exception(ValueError("no"))
    span.set_status(trace.StatusCode.ERROR, "no")


def ended_twice(span: trace.Span) -> None:
    span.end()
    span.set_attribute("late", True)


USES: list[Callable[[trace.Span], None]] = [untouched, touched, with_exception, ended_twice]


@pytest.fixture
def both() -> Iterator[tuple[Traced, Traced]]:
    """One that has spans go the short way, and one whose processors do not let it."""
    short, long = Traced(), Traced(DEFAULT_ON, Another())
    yield short, long
    short.provider.shutdown()
    long.provider.shutdown()


@pytest.mark.parametrize("parent", [PARENT, UNSAMPLED, None], ids=["sampled", "unsampled", "first"])
@pytest.mark.parametrize("use", USES)
def test_a_live_span(
    both: tuple[Traced, Traced], use: Callable[[trace.Span], None], parent: TraceContext | None
) -> None:
    for traced in both:
        with traced.emitter.server("name", parent, ATTRIBUTES) as ending:
            use(trace.get_current_span())
            traced.provider.get_tracer("user").start_span("below").end()

        assert parent is None or ending.context.trace_id == parent.trace_id
        assert all(
            span.parent is not None and span.parent.span_id == ending.context.span_id
            for span in traced.exported()
            if span.name == "below"
        )

    short, long = both

    if parent is not None:
        assert [place(span) for span in short.described()] == [place(span) for span in long.described()]

    assert [without_ids(span) for span in short.described()] == [without_ids(span) for span in long.described()]
    assert len(short.described()) == (0 if parent is UNSAMPLED else 2)


def place(span: tuple[Any, ...]) -> tuple[Any, ...]:
    name, _, _, _, parent, *_ = span

    # What is below it has a parent with an id of chance.
    return (name, parent if name != "below" else parent and parent[0])


def without_ids(span: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*span[:4], span[4] is None, *span[5:])


def test_it_is_the_short_way_until_it_is_touched() -> None:
    traced = Traced()

    with traced.emitter.server("name", PARENT, ATTRIBUTES):
        span = trace.get_current_span()
        assert isinstance(span, LiveSpan)
        assert span.is_recording()
        # What the SDK's spans have beyond the API.
        assert dict(span.attributes) == ATTRIBUTES
        assert span.name == "name"
        assert copy(span).get_span_context() == span.get_span_context()

    assert not span.is_recording()
    (made,) = traced.exported()
    assert made.context == span.get_span_context()


def test_a_producer_is_below_the_span_that_is_current(both: tuple[Traced, Traced]) -> None:
    for traced in both:
        user = traced.provider.get_tracer("user")

        with user.start_as_current_span("above") as above, traced.emitter.producer("sent", ATTRIBUTES) as sent:
            pass

        assert sent.context.trace_id == above.get_span_context().trace_id
        made = traced.exported()[0]
        assert made.parent == above.get_span_context()

    assert [without_ids(each) for each in both[0].described()] == [without_ids(each) for each in both[1].described()]


@pytest.mark.parametrize("failure", [None, FAILURE])
@pytest.mark.parametrize("parent", [PARENT, UNSAMPLED, None], ids=["sampled", "unsampled", "first"])
def test_a_span_that_has_ended(
    both: tuple[Traced, Traced], parent: TraceContext | None, failure: pb.TaskFailureDetails | None
) -> None:
    span = Span("name", Kind.CLIENT, PARENT.child(7), parent, 10, 20, ATTRIBUTES, failure)

    for traced in both:
        traced.emitter.emit([span, span._replace(context=PARENT.child(8))])

    assert both[0].described() == both[1].described()
    made = both[0].exported()
    assert [each.context and each.context.span_id for each in made] == ([] if parent is UNSAMPLED else [7, 8])
    assert all((each.start_time, each.end_time) == (10, 20) for each in made)


def test_a_processor_that_is_added_later_sees_all() -> None:
    traced, another = Traced(), Another()
    traced.provider.add_span_processor(another)

    with traced.emitter.server("name", PARENT, ATTRIBUTES):
        pass

    traced.emitter.emit([Span("name", Kind.CLIENT, PARENT.child(7), PARENT, 10, 20, ATTRIBUTES)])
    assert another.begun == 2
    assert len(traced.exported()) == 2


@pytest.mark.parametrize(
    "sampler",
    [ALWAYS_ON, TraceIdRatioBased(1.0), ParentBased(ALWAYS_ON, remote_parent_not_sampled=ALWAYS_ON)],
    ids=["always", "ratio", "in spite of the parent"],
)
def test_a_sampler_that_decides_otherwise_than_the_parent_is_asked(sampler: Sampler) -> None:
    traced = Traced(sampler)

    with traced.emitter.server("name", UNSAMPLED, ATTRIBUTES):
        pass

    traced.emitter.emit([Span("name", Kind.CLIENT, UNSAMPLED.child(7), UNSAMPLED, 10, 20, ATTRIBUTES)])
    assert len(traced.exported()) == 2


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_a_trace_that_begins_here_is_sampled_by_its_id(ratio: float) -> None:
    traced = Traced(ParentBased(TraceIdRatioBased(ratio)))
    begun = 0

    for _ in range(200):
        with traced.emitter.producer("sent", ATTRIBUTES) as sent:
            sampled = bool(sent.context.flags & trace.TraceFlags.SAMPLED)
            assert trace.get_current_span().is_recording() is sampled
            assert sampled is traced.emitter.is_sampled(sent.context.trace_id)
            begun += sampled

    assert len(traced.exported()) == begun
    assert begun == {0.0: 0, 1.0: 200}.get(ratio, begun)
    assert ratio != 0.5 or 40 < begun < 160
