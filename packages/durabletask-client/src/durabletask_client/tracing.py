"""The spans of a client: of what it starts and sends. With no tracer provider set, there are none."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import names
from durabletask_protos.tracing.emission import emitter
from durabletask_protos.tracing.spans import operation_attributes, task_attributes

from durabletask_client.calls import Call

__all__ = ["spanning"]

_NOTHING: AbstractContextManager[object] = nullcontext()


def spanning(call: Call[Any, Any]) -> AbstractContextManager[object]:
    """A span for as long as a call is made, whose context travels in the call's request.

    Args:
        call: The call. Only what starts or sends something has a span.

    Returns:
        To be entered around all tries of the call. An exception is the span's failure.
    """
    tracing = emitter()

    if tracing is None:
        return _NOTHING

    match call.request:
        case pb.CreateInstanceRequest() as start:
            version = start.version.value
            name = names.create_orchestration(start.name, version)
            attributes = task_attributes(names.ORCHESTRATION, start.name, start.instanceId, version=version)
            span = tracing.producer(name, attributes)
            span.context.write(start.parentTraceContext)
        case pb.SignalEntityRequest() as signal:
            name = names.signal_entity(signal.instanceId, signal.name)
            span = tracing.producer(name, operation_attributes(signal.instanceId, signal.name))
            span.context.write(signal.parentTraceContext)
        case pb.RaiseEventRequest() as raised:
            attributes = {names.TYPE: names.EVENT, names.NAME: raised.name, names.TARGET: raised.instanceId}
            span = tracing.producer(names.orchestration_event(raised.name), attributes)
        case _:
            return _NOTHING

    return span
