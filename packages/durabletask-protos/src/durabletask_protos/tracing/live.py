"""A span that goes on, at a fifth of the price: it becomes one of OpenTelemetry's SDK when more is said of it, and not before."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanContext, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from durabletask_protos.tracing.sdk import Begun, DirectExport, GivenIds

__all__ = ["LiveSpan"]

_becoming = threading.Lock()


class LiveSpan(trace.Span):
    """A span that is sampled. Its methods are those of OpenTelemetry's, in any thread.

    Args:
        begun: It, so far.
        ids: Makes the SDK's span of it.
        direct: Exports it if it ends as it began.
    """

    def __init__(self, begun: Begun, ids: GivenIds, direct: DirectExport) -> None:
        self._begun = begun
        self._ids = ids
        self._direct = direct
        self._full: trace.Span | None = None

    def get_span_context(self) -> SpanContext:
        """See `Span.get_span_context`."""
        return self._begun.context

    def is_recording(self) -> bool:
        """See `Span.is_recording`."""
        return self._full is None or self._full.is_recording()

    def end(self, end_time: int | None = None) -> None:
        """See `Span.end`."""
        if self._full is not None:
            self._full.end(end_time)

            return

        # What is said from now on is said in vain.
        self._full = trace.INVALID_SPAN
        self._direct.export(self._begun, time.time_ns() if end_time is None else end_time)

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """See `Span.set_attributes`."""
        self._sdk().set_attributes(attributes)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """See `Span.set_attribute`."""
        self._sdk().set_attribute(key, value)

    def add_event(
        self, name: str, attributes: Mapping[str, AttributeValue] | None = None, timestamp: int | None = None
    ) -> None:
        """See `Span.add_event`."""
        self._sdk().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Mapping[str, AttributeValue] | None = None) -> None:
        """See `Span.add_link`."""
        self._sdk().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """See `Span.update_name`."""
        self._sdk().update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """See `Span.set_status`."""
        self._sdk().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, AttributeValue] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """See `Span.record_exception`."""
        self._sdk().record_exception(exception, attributes, timestamp, escaped)

    def __getattr__(self, name: str) -> Any:
        # What the SDK's spans have besides, as `attributes`; `copy` asks for more, and before there is anything here.
        if name.startswith("__"):
            raise AttributeError(name)

        return getattr(self._sdk(), name)

    def _sdk(self) -> trace.Span:
        with _becoming:
            if self._full is None:
                self._full = self._ids.start(self._begun)

            return self._full
