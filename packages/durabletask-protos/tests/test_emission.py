"""Spans are in the way of nobody's work."""

from __future__ import annotations

import logging

import pytest
from durabletask_protos.tracing import Kind, Span, TraceContext, emission

SPAN = Span(name="n", kind=Kind.INTERNAL, context=TraceContext(1, 2), parent=None, start=1, end=2, attributes={})


class Broken(emission.Emitter):
    """Of a provider that does not work."""

    def __init__(self) -> None:
        pass

    def emit(self, spans: object) -> None:
        raise ValueError("no room")


def test_what_goes_wrong_with_them_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(emission, "emitter", Broken)
    emission.emit(())
    assert not caplog.records
    emission.emit([SPAN])
    assert [(record.levelno, record.message) for record in caplog.records] == [(logging.ERROR, "spans cannot be made")]


def test_without_a_provider_there_are_none() -> None:
    assert emission.emitter() is None
    emission.emit([SPAN])
