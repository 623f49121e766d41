"""What happened to an orchestration, event by event."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import json_format, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.message import Message

from durabletask_client.models import OrchestrationStatus

__all__ = ["HistoryEvent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """One entry of a history: the protocol's `HistoryEvent`."""

    event_id: int
    """The id of the action that it confirms; -1 when it came from outside."""
    timestamp: datetime
    """When it happened; aware, in UTC."""
    kind: str
    """What happened, such as `TaskScheduled`; "" for a kind that this version does not know."""
    details: Mapping[str, object] = field(hash=False)
    """The fields of the protocol's message for that kind, under their names there, with payloads as text, times as aware
    datetimes, statuses as `OrchestrationStatus`, messages as dicts, and None for what is absent."""
    raw: pb.HistoryEvent = field(compare=False, repr=False)
    """The message itself."""

    @classmethod
    def from_proto(cls, proto: pb.HistoryEvent) -> HistoryEvent:
        """Read the protocol's message."""
        name = proto.WhichOneof("eventType")

        return cls(
            event_id=proto.eventId,
            timestamp=proto.timestamp.ToDatetime(tzinfo=UTC),
            kind="" if name is None else name[0].upper() + name[1:],
            details={} if name is None else _fields(getattr(proto, name)),
            raw=proto,
        )


def _fields(message: Message) -> dict[str, object]:
    found: dict[str, object] = {}

    for each in message.DESCRIPTOR.fields:
        if each.has_presence and not message.HasField(each.name):
            found[each.name] = None
        elif each.enum_type is None:
            found[each.name] = _plain(getattr(message, each.name))
        else:
            # Histories have no other enum.
            found[each.name] = OrchestrationStatus(getattr(message, each.name))

    return found


def _plain(content: object) -> object:
    if isinstance(content, wrappers_pb2.StringValue):
        return content.value

    if isinstance(content, timestamp_pb2.Timestamp):
        return content.ToDatetime(tzinfo=UTC)

    if isinstance(content, struct_pb2.Value):
        return json_format.MessageToDict(content)

    if isinstance(content, Message):
        return _fields(content)

    if isinstance(content, Mapping):
        return {key: _plain(content[key]) for key in content}

    return [_plain(item) for item in content] if isinstance(content, MutableSequence) else content
