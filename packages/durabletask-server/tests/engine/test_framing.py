"""Framed events and varints."""

from __future__ import annotations

import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events
from durabletask_server.engine.framing import CHUNK_EVENT, NEW_EVENT, PAST_EVENT, frame, frames, split, varint
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, b"\x00"),
        (1, b"\x01"),
        (0x7F, b"\x7f"),
        (0x80, b"\x80\x01"),
        (0x3FFF, b"\xff\x7f"),
        (0x4000, b"\x80\x80\x01"),
        (1 << 32, b"\x80\x80\x80\x80\x10"),
    ],
)
def test_a_varint_has_seven_bits_a_byte_the_lowest_first(value: int, encoded: bytes) -> None:
    assert varint(value) == encoded


@given(st.lists(st.binary(max_size=300)), st.sampled_from([PAST_EVENT, NEW_EVENT, CHUNK_EVENT]))
def test_splitting_undoes_framing(records: list[bytes], tag: int) -> None:
    assert split(frames(tag, records)) == records


@pytest.mark.parametrize("length", [0, 127, 128, 16383, 16384])
def test_a_frame_of_any_length_splits_again(length: int) -> None:
    assert split(frame(PAST_EVENT, b"x" * length)) == [b"x" * length]


@given(st.lists(st.text(max_size=200), max_size=20), st.lists(st.text(max_size=200), max_size=20))
def test_framed_events_are_the_events_of_a_request(past: list[str], new: list[str]) -> None:
    def encoded(names: list[str]) -> list[bytes]:
        return [events.event_raised(1, name, name).SerializeToString() for name in names]

    request = pb.OrchestratorRequest.FromString(frames(PAST_EVENT, encoded(past)) + frames(NEW_EVENT, encoded(new)))

    assert [event.eventRaised.name for event in request.pastEvents] == past
    assert [event.eventRaised.name for event in request.newEvents] == new


def test_framed_events_are_the_events_of_a_chunk() -> None:
    event = events.event_raised(1, "e", None)

    chunk = pb.HistoryChunk.FromString(frame(CHUNK_EVENT, event.SerializeToString()))

    assert list(chunk.events) == [event]


def test_runs_of_frames_are_joined_by_concatenation() -> None:
    assert frames(PAST_EVENT, [b"a", b"b"]) + frame(PAST_EVENT, b"c") == frames(PAST_EVENT, [b"a", b"b", b"c"])
