"""Trace contexts as values, and on the wire."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from google.protobuf.unknown_fields import UnknownFieldSet

from durabletask_protos import orchestrator_service_pb2 as pb

_OF_OPERATION = 1003
"""The field, which the protocol does not have, of an operation's event that holds a traceparent. Who does not know it passes it on."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)
_SAMPLED = 1
_64_BITS = (1 << 64) - 1

Operation: TypeAlias = pb.EntityOperationCalledEvent | pb.EntityOperationSignaledEvent


class TraceContext(NamedTuple):
    """A span's place, as W3C Trace Context has it."""

    trace_id: int
    span_id: int
    flags: int = _SAMPLED
    state: str = ""

    @classmethod
    def of(cls, message: pb.TraceContext) -> TraceContext | None:
        """Read a message. None: there is no valid context in it."""
        return cls.parse(message.traceParent, message.traceState.value)

    @classmethod
    def parse(cls, traceparent: str, state: str = "") -> TraceContext | None:
        """Read a traceparent. None: it is not valid."""
        found = _TRACEPARENT.fullmatch(traceparent)

        if found is None:
            return None

        trace, span, flags = found.groups()
        trace_id, span_id = int(trace, 16), int(span, 16)

        return cls(trace_id, span_id, int(flags, 16), state) if trace_id and span_id else None

    @property
    def traceparent(self) -> str:
        """In W3C's format."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"

    def write(self, message: pb.TraceContext) -> None:
        """Put it in a message."""
        message.traceParent = self.traceparent

        if self.state:
            message.traceState.value = self.state

    def child(self, span_id: int) -> TraceContext:
        """Another span of the same trace."""
        return TraceContext(self.trace_id, span_id, self.flags, self.state)


def derived_id(*parts: object, size: int = 8) -> int:
    """An id that follows from what it is for, so that it is the same whenever that is worked out anew.

    Args:
        parts: What it is for.
        size: Of how many bytes: 8 for spans, 16 for traces.
    """
    text = "\0".join(map(str, parts)).encode()

    return int.from_bytes(blake2b(text, digest_size=size).digest()) or 1


def mixed_id(of: int, at: int, number: int) -> int:
    """The id of a span that follows from the one above it, for less than `derived_id`.

    Args:
        of: The id of the one above.
        at: When it was begun, as the history has it.
        number: Tells it apart from others that were.
    """
    # The finalizer of splitmix64, by another's constant: each bit that goes in turns about half of those that come out.
    mixed = (of ^ at * 0x9E3779B97F4A7C15 ^ number * 0xD1342543DE82EF95) & _64_BITS
    mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93 & _64_BITS
    mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93 & _64_BITS

    return mixed ^ mixed >> 32 or 1


def orchestration_context(started: pb.ExecutionStartedEvent, carried: bytes | None) -> TraceContext | None:
    """Where an orchestration's span is.

    Args:
        started: The orchestration's start.
        carried: Its `OrchestrationTraceContext`, serialized; None: no worker gave one.

    Returns:
        None: it is not traced, as far as that says.
    """
    parent = TraceContext.of(started.parentTraceContext)
    span_id = "" if carried is None else pb.OrchestrationTraceContext.FromString(carried).spanID.value

    try:
        return parent.child(int(span_id, 16)) if parent is not None and span_id else parent
    except ValueError:
        return parent


def operation_context(asked: Operation) -> TraceContext | None:
    """The span that an operation of an entity was asked in, if one goes along with its event.

    Args:
        asked: The call or signal, in an answer, a history or a request.
    """
    fields = UnknownFieldSet(asked)

    for field in map(fields.__getitem__, range(len(fields))):
        if field.field_number == _OF_OPERATION and isinstance(field.data, bytes):
            return TraceContext.parse(field.data.decode("ascii", "replace"))

    return None


def travel_with(asked: Operation, context: TraceContext) -> None:
    """Have the span that an operation is asked in go along with its event.

    Args:
        asked: The call or signal, with no context yet.
        context: The span.
    """
    text = context.traceparent.encode()
    # The tag of a length-delimited field of that number, as a varint of two bytes.
    tag = _OF_OPERATION << 3 | 2
    asked.MergeFromString(bytes((tag & 0x7F | 0x80, tag >> 7, len(text))) + text)
