"""Framed history events, and how messages are spliced from bytes that are already encoded.

A frame of history is a record of field 3 of a protobuf message (the contract of `durabletask_backend`), which is where
`OrchestratorRequest` has its past events: a history is sent by copying it.
"""

from __future__ import annotations

from collections.abc import Iterable

PAST_EVENT = 0x1A
"""The tag of `OrchestratorRequest.pastEvents`, and of a frame of history."""
NEW_EVENT = 0x22
"""The tag of `OrchestratorRequest.newEvents`."""
CHUNK_EVENT = 0x0A
"""The tag of `HistoryChunk.events`."""

_SHORT = tuple(bytes((length,)) for length in range(0x80))


def varint(value: int) -> bytes:
    """A non-negative number as a base-128 varint."""
    if value < 0x80:
        return _SHORT[value]

    encoded = bytearray()

    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7

    encoded.append(value)

    return bytes(encoded)


def frame(tag: int, record: bytes) -> bytes:
    """One length-delimited record."""
    return b"%c%b%b" % (tag, varint(len(record)), record)


def frames(tag: int, records: Iterable[bytes]) -> bytes:
    """Length-delimited records, one after the other."""
    return b"".join([frame(tag, record) for record in records])


def split(framed: bytes) -> list[bytes]:
    """The records of a run of frames, whatever their one-byte tag."""
    records: list[bytes] = []
    at = 0
    end = len(framed)

    while at < end:
        at += 1
        length = shift = 0

        while True:
            byte = framed[at]
            at += 1
            length |= (byte & 0x7F) << shift

            if byte < 0x80:
                break

            shift += 7

        records.append(framed[at : at + length])
        at += length

    return records
