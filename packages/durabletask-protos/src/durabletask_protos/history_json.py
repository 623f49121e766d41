"""Recorded histories as JSON: for files in a repository, and for tools that know nothing of the protocol.

Events are written in protobuf's own JSON mapping, under the names of the `.proto`. What is read back is what was written, to the last bit.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from durabletask_protos import orchestrator_service_pb2 as pb

__all__ = ["HistoryFormatError", "RecordedHistory", "dump", "load"]

_FORMAT = "durabletask-history/1"
_RAW = "raw"
"""Holds an event that has no lossless JSON, with fields of a newer protocol say; base64."""


class HistoryFormatError(ValueError):
    """A text is no recorded history. The message says where, and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedHistory:
    """The history of one generation of an orchestration."""

    instance_id: str
    """The orchestration."""
    events: tuple[pb.HistoryEvent, ...]
    """What happened, oldest first."""

    @property
    def name(self) -> str:
        """The orchestrator's; empty for a history without a start."""
        return next((event.executionStarted.name for event in self.events if event.HasField("executionStarted")), "")


def dump(instance_id: str, events: Iterable[pb.HistoryEvent]) -> str:
    """Write a history.

    Args:
        instance_id: The orchestration.
        events: What happened, oldest first.

    Returns:
        JSON, the same text for the same history, with a line break at its end.
    """
    written = {"format": _FORMAT, "instanceId": instance_id, "events": [_written(event) for event in events]}

    return json.dumps(written, indent=2, ensure_ascii=False) + "\n"


def load(text: str) -> RecordedHistory:
    """Read what `dump` wrote.

    Args:
        text: The JSON.

    Returns:
        The history.

    Raises:
        HistoryFormatError: It is none.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise HistoryFormatError(f"not JSON: {error}") from None

    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        got = found.get("format") if isinstance(found, dict) else type(found).__name__
        raise HistoryFormatError(f"format: is {got!r}; a recorded history has {_FORMAT!r}")

    instance_id, events = found.get("instanceId"), found.get("events")

    if not isinstance(instance_id, str) or not isinstance(events, list):
        raise HistoryFormatError("instanceId must be a text, and events a list")

    return RecordedHistory(
        instance_id=instance_id, events=tuple(_read(number, each) for number, each in enumerate(events))
    )


def _written(event: pb.HistoryEvent) -> dict[str, Any]:
    written: dict[str, Any] = json_format.MessageToDict(event)
    # Fields that this version does not know are not in it.
    read = json_format.ParseDict(written, pb.HistoryEvent())
    encoded = event.SerializeToString(deterministic=True)

    if read.SerializeToString(deterministic=True) != encoded:
        return {_RAW: base64.b64encode(encoded).decode()}

    # Maps are in no order.
    ordered: dict[str, Any] = json.loads(json.dumps(written, sort_keys=True))

    return ordered


def _read(number: int, written: Any) -> pb.HistoryEvent:
    try:
        if isinstance(written, dict) and _RAW in written:
            return pb.HistoryEvent.FromString(base64.b64decode(written[_RAW], validate=True))

        return json_format.ParseDict(written, pb.HistoryEvent())
    except (json_format.ParseError, DecodeError, ValueError, TypeError, AttributeError) as error:
        raise HistoryFormatError(f"events[{number}]: {error}") from None
