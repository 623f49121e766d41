"""Histories as JSON: what is read back is what was written."""

from __future__ import annotations

import json

import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.history_json import HistoryFormatError, dump, load
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

KINDS = [field.name for field in pb.HistoryEvent.DESCRIPTOR.oneofs_by_name["eventType"].fields]
VALUES = {
    FieldDescriptor.TYPE_STRING: '"ü\u2028\0',
    FieldDescriptor.TYPE_BYTES: b"\0\xff",
    FieldDescriptor.TYPE_BOOL: True,
}


def fill(message: Message, depth: int = 0) -> None:
    """Give every field a value that is not its default."""
    for field in message.DESCRIPTOR.fields:
        value, kind = getattr(message, field.name), field.message_type

        if kind is not None and kind.GetOptions().map_entry:
            for key in ("b", "a"):
                if kind.fields_by_name["value"].message_type is None:
                    value[key] = "ü\n\u2028"
                else:
                    value[key].string_value = key
        elif kind is not None and kind.full_name == "google.protobuf.Timestamp":
            value.FromNanoseconds(1_700_000_000_123_456_789)
        elif kind is not None:
            if depth < 3 and kind.full_name != "google.protobuf.Value":
                fill(value.add() if hasattr(value, "add") else value, depth + 1)
        elif hasattr(value, "append"):
            value.append("x")
        elif field.enum_type is not None:
            setattr(message, field.name, field.enum_type.values[-1].number)
        else:
            setattr(message, field.name, VALUES.get(field.type, 2**31 - 1))


def event_of(kind: str, *, filled: bool) -> pb.HistoryEvent:
    event = pb.HistoryEvent(eventId=-1)
    event.timestamp.FromNanoseconds(1_700_000_000_000_000_001)
    getattr(event, kind).SetInParent()

    if filled:
        fill(getattr(event, kind))

    return event


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_event_comes_back(kind: str, filled: bool) -> None:
    event = event_of(kind, filled=filled)
    text = dump("i", [event])
    read = load(text)

    assert read.events == (event,)
    assert read.instance_id == "i"
    assert dump(read.instance_id, read.events) == text
    assert kind in json.loads(text)["events"][0]


def test_a_payload_that_is_empty_is_not_one_that_is_absent() -> None:
    empty, absent = event_of("taskCompleted", filled=False), event_of("taskCompleted", filled=False)
    empty.taskCompleted.result.value = ""
    read = load(dump("i", [empty, absent])).events

    assert [event.taskCompleted.HasField("result") for event in read] == [True, False]


def test_what_a_newer_protocol_says_is_kept() -> None:
    event = pb.HistoryEvent.FromString(event_of("taskCompleted", filled=True).SerializeToString() + b"\x82\x7d\x03new")

    assert load(dump("i", [event])).events[0].SerializeToString() == event.SerializeToString()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "format: is 'list'"),
        ('{"format": "durabletask-history/2"}', "format: is 'durabletask-history/2'"),
        ('{"format": "durabletask-history/1", "events": []}', "instanceId"),
        ('{"format": "durabletask-history/1", "instanceId": "i", "events": {}}', "events a list"),
        ('{"format": "durabletask-history/1", "instanceId": "i", "events": [{}, {"x": 1}]}', r"events\[1\].*x"),
        ('{"format": "durabletask-history/1", "instanceId": "i", "events": [7]}', r"events\[0\]"),
        ('{"format": "durabletask-history/1", "instanceId": "i", "events": [{"raw": "*"}]}', r"events\[0\]"),
    ],
)
def test_what_is_no_history_is_told(text: str, message: str) -> None:
    with pytest.raises(HistoryFormatError, match=message):
        load(text)
