"""Spans as values: what is known of one that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import names
from durabletask_protos.tracing.contexts import TraceContext

Nanos: TypeAlias = int
"""Nanoseconds since 1970, in UTC."""
Attributes: TypeAlias = Mapping[str, str | int]


class Kind(Enum):
    """The kinds of spans, by their names in OpenTelemetry."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"

    # It is looked up for each span; the hash of `Enum` is slower.
    __hash__ = object.__hash__


class SpanEvent(NamedTuple):
    """Something that happened during a span."""

    name: str
    at: Nanos
    attributes: Attributes


class Span(NamedTuple):
    """A span that has ended."""

    name: str
    kind: Kind
    context: TraceContext
    """Its own place."""
    parent: TraceContext | None
    """None: it is the first of its trace."""
    start: Nanos
    end: Nanos
    attributes: Attributes
    failure: pb.TaskFailureDetails | None = None
    """Why it failed; None: it did not."""
    events: tuple[SpanEvent, ...] = ()


def task_attributes(
    kind: str, name: str, instance_id: str, *, version: str = "", task_id: int | None = None
) -> dict[str, str | int]:
    """What is said of an orchestration, an activity or a timer.

    Args:
        kind: Which of these; one of `names.TYPES`.
        name: What it is called.
        instance_id: The orchestration.
        version: Empty for none.
        task_id: The number of the step; None where it is none.
    """
    attributes: dict[str, str | int] = {names.TYPE: kind, names.NAME: name, names.INSTANCE_ID: instance_id}

    if version:
        attributes[names.VERSION] = version

    if task_id is not None:
        attributes[names.TASK_ID] = task_id

    return attributes


def operation_attributes(entity_id: str, operation: str) -> dict[str, str | int]:
    """What is said of an operation of an entity.

    Args:
        entity_id: The entity, as in `@counter@main`.
        operation: What it is to do.
    """
    return {
        names.TYPE: names.ENTITY,
        names.NAME: names.entity_name(entity_id),
        names.ENTITY_OPERATION: operation,
        names.ENTITY_ID: entity_id,
    }


def nanos(timestamp: Timestamp) -> Nanos:
    """A point in time of the protocol."""
    return timestamp.seconds * 1_000_000_000 + timestamp.nanos
