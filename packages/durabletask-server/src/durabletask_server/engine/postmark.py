"""What a message to an entity tells the engine beside the event in it: who sent it, and how far it is to go.

It stands behind the serialized event, in fields that the protocol does not have. Readers of the event pass over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.unknown_fields import UnknownFieldSet

from durabletask_server.engine.framing import varint

_EXECUTION_ID = 1000
_LEGACY = 1001
_ONWARD = 1002
_VARINT = 0
_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmark:
    """Beside the event of one message."""

    execution_id: str = ""
    """The generation of the orchestration that asked for a lock, or releases one."""
    legacy: bool = False
    """The sender knows no events of entities: it is answered by external events, as it asked by one."""
    onward: tuple[str, ...] = ()
    """Of a release: the entities whose locks come after this one, if the request may not have reached them yet."""


def stamp(event: pb.HistoryEvent, mark: Postmark) -> bytes:
    """The payload of a message."""
    return event.SerializeToString() + b"".join(_fields(mark))


def postmark(event: pb.HistoryEvent) -> Postmark:
    """What stands beside an event that was read from a message."""
    execution_id = ""
    legacy = False
    onward: list[str] = []

    fields = UnknownFieldSet(event)

    for field in map(fields.__getitem__, range(len(fields))):
        if field.field_number == _EXECUTION_ID and field.wire_type == _BYTES:
            execution_id = field.data.decode()
        elif field.field_number == _LEGACY and field.wire_type == _VARINT:
            legacy = bool(field.data)
        elif field.field_number == _ONWARD and field.wire_type == _BYTES:
            onward.append(field.data.decode())

    return Postmark(execution_id=execution_id, legacy=legacy, onward=tuple(onward))


def bare(event: pb.HistoryEvent) -> pb.HistoryEvent:
    """The event alone."""
    copy = pb.HistoryEvent()
    copy.CopyFrom(event)
    copy.DiscardUnknownFields()

    return copy


def _fields(mark: Postmark) -> Iterator[bytes]:
    if mark.execution_id:
        yield _text(_EXECUTION_ID, mark.execution_id)

    if mark.legacy:
        yield varint(_LEGACY << 3 | _VARINT) + varint(1)

    for entity in mark.onward:
        yield _text(_ONWARD, entity)


def _text(field: int, value: str) -> bytes:
    encoded = value.encode()

    return varint(field << 3 | _BYTES) + varint(len(encoded)) + encoded
