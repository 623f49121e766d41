"""What OpenTelemetry's SDK can do beyond the API: spans under ids that are given, and spans that go straight to its exporters.

The first has its tracers take their ids from a generator of ours. A provider of another make gives ids of its own, and what hangs on an
orchestration's span or on a wait then has a parent that is not there. The second takes a fifth of the time that the SDK takes to make a
span, and is done only where nobody can tell the difference.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, SpanKind, Status, TraceFlags

from durabletask_protos.tracing.spans import Attributes, Nanos

__all__ = ["Begun", "DirectExport", "GivenIds", "within"]

_OK = Status()
_RANDOM = 2
"""W3C's flag of traces whose ids are random throughout; OpenTelemetry's older versions have no name for it."""


class Begun(NamedTuple):
    """A span as it begins."""

    name: str
    kind: SpanKind
    context: SpanContext
    """Its place."""
    parent: SpanContext | None
    """None: it is the first of its trace."""
    attributes: Attributes
    start: Nanos


class GivenIds:
    """Starts spans whose ids are given.

    Args:
        tracer: Makes them.
    """

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._of_thread = threading.local()

    def start(self, begun: Begun) -> trace.Span:
        """Start a span."""
        made: tuple[trace.Tracer, _Given] | None = getattr(self._of_thread, "made", None)

        if made is None:
            made = self._of_thread.made = (copy.copy(self._tracer), _Given())

            if hasattr(self._tracer, "id_generator"):
                made[0].id_generator = made[1]  # type: ignore[attr-defined]

        tracer, given = made
        name, kind, given.context, parent, attributes, start = begun

        return tracer.start_span(name, context=within(parent), kind=kind, attributes=attributes, start_time=start)


class _Given:
    """A generator of the ids that are given."""

    context: SpanContext

    def generate_span_id(self) -> int:
        return self.context.span_id

    def generate_trace_id(self) -> int:
        return self.context.trace_id

    def is_trace_id_random(self) -> bool:
        return bool(self.context.trace_flags & _RANDOM)


class DirectExport:
    """Hands spans that have ended straight to the exporters: such as are sampled, and have attributes and no more.

    Args:
        tracer: The SDK's, as `of` found it to be.
        readable: The SDK's class of spans that have ended.
        root: The sampler of traces that begin here, if it does nothing but sample.
    """

    def __init__(self, tracer: Any, readable: Callable[..., Any], root: Any) -> None:
        self._readable = readable
        self._root = root
        self._ids = tracer.id_generator
        # Newer ones say whether ids of traces are random throughout.
        random = _RANDOM if getattr(self._ids, "is_trace_id_random", bool)() else 0
        self._flags = (TraceFlags(random), TraceFlags(random | TraceFlags.SAMPLED))
        self._resource = tracer.resource
        self._scope = tracer._instrumentation_scope  # noqa: SLF001
        self._processor = tracer.span_processor
        self._processors = tracer.span_processor._span_processors  # noqa: SLF001
        self._end = _ending(self._processor, self._processors)

    @classmethod
    def of(cls, tracer: trace.Tracer) -> DirectExport | None:
        """The one for a tracer. None: it is not the SDK's, it samples otherwise than the parent did, or its processors do more."""
        try:
            from opentelemetry.sdk.trace import ReadableSpan
            from opentelemetry.sdk.trace import Tracer as SdkTracer
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
            from opentelemetry.sdk.trace.sampling import (
                ALWAYS_OFF,
                ALWAYS_ON,
                ParentBased,
                StaticSampler,
                TraceIdRatioBased,
            )
        except ImportError:
            return None

        if not isinstance(tracer, SdkTracer) or not isinstance(tracer.sampler, ParentBased):
            return None

        for place in ("remote_parent", "local_parent"):
            for state, as_parent in (("sampled", ALWAYS_ON), ("not_sampled", ALWAYS_OFF)):
                if getattr(tracer.sampler, f"_{place}_{state}", None) is not as_parent:
                    return None

        processors = getattr(tracer.span_processor, "_span_processors", ())

        if not processors or any(type(each) not in (BatchSpanProcessor, SimpleSpanProcessor) for each in processors):
            return None

        root = getattr(tracer.sampler, "_root", None)

        return cls(tracer, ReadableSpan, root if type(root) in (StaticSampler, TraceIdRatioBased) else None)

    def is_open(self) -> bool:
        """Whether it is still so: somebody may have added a processor."""
        return self._processor._span_processors is self._processors  # noqa: SLF001

    def place(
        self, name: str, kind: SpanKind, parent: SpanContext | None, attributes: Attributes
    ) -> SpanContext | None:
        """The place of a new span, with its flags. None: it is for the SDK to make.

        Args:
            name: What it is called.
            kind: Its kind.
            parent: Below which span it is; None: it is the first of its trace.
            attributes: What is said of it.
        """
        ids = self._ids

        if not self.is_open():
            return None

        if parent is not None:
            trace_id, _, _, flags, state, _ = parent
        elif self._root is not None:
            trace_id = ids.generate_trace_id()
            asked = self._root.should_sample(None, trace_id, name, kind, attributes, ())
            flags, state = self._flags[asked.decision.is_sampled()], asked.trace_state
        else:
            return None

        return SpanContext(trace_id, ids.generate_span_id(), is_remote=False, trace_flags=flags, trace_state=state)

    def export(self, begun: Begun, end: Nanos) -> None:
        """Export a span that ended then."""
        name, kind, context, parent, attributes, start = begun
        self._end(
            self._readable(
                name=name,
                context=context,
                parent=parent,
                resource=self._resource,
                attributes=attributes,
                kind=kind,
                status=_OK,
                start_time=start,
                end_time=end,
                instrumentation_scope=self._scope,
            )
        )


def _ending(processor: Any, parts: Sequence[Any]) -> Callable[[Any], None]:
    """What takes a span that has ended and is sampled: of processors, mostly the queue of the only one."""
    if len(parts) != 1:
        return processor.on_end  # type: ignore[no-any-return]

    return getattr(getattr(parts[0], "_batch_processor", None), "emit", parts[0].on_end)  # type: ignore[no-any-return]


def within(parent: SpanContext | None) -> Context:
    """The context of what is below a span."""
    return Context() if parent is None else trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())
