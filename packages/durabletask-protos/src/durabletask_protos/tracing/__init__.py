"""Spans of orchestrations, as the SDKs of the protocol make them: their names, how their contexts travel, and when each is made.

Workers make them with what they are told; the engine makes them for workers that do not. Both do it by the same rules, which are
here and pure; `emission` hands the spans to OpenTelemetry, and is the only part that needs the package's extra `tracing`.
"""

from durabletask_protos.tracing.contexts import TraceContext
from durabletask_protos.tracing.orchestration import OrchestrationTrace
from durabletask_protos.tracing.spans import Kind, Span, SpanEvent

__all__ = ["Kind", "OrchestrationTrace", "Span", "SpanEvent", "TraceContext"]
