"""The spans of every kind of orchestration, as programs export them, with the server killed and the worker replaced half way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest
from durabletask_protos.tracing import names

from integration.collector import Collected, Collector, nested
from integration.peer_environment import ROOT

TREES = {
    "sequence": """
        INTERNAL case sequence
          PRODUCER create_orchestration:sequence
            SERVER orchestration:sequence Completed, execution_id, event Received external event
              CLIENT activity:first #1
                SERVER activity:first #1
              CLIENT activity:second #2
                SERVER activity:second #2
                  INTERNAL of the user's
    """,
    "fan_out": """
        INTERNAL case fan_out
          PRODUCER create_orchestration:fan_out
            SERVER orchestration:fan_out Completed, execution_id, event Received external event
              CLIENT activity:first #1
                SERVER activity:first #1
              CLIENT activity:first #2
                SERVER activity:first #2
              CLIENT activity:first #3
                SERVER activity:first #3
          PRODUCER orchestration_event:go -> fan_out
    """,
    "retry": """
        INTERNAL case retry
          PRODUCER create_orchestration:retry
            SERVER orchestration:retry Completed, execution_id, event Received external event
              CLIENT activity:flaky #1, error 'try 1', event exception
                SERVER activity:flaky #1, error 'try 1', event exception
              CLIENT activity:flaky #3, error 'try 2', event exception
                SERVER activity:flaky #3, error 'try 2', event exception
              CLIENT activity:flaky #5
                SERVER activity:flaky #5
              INTERNAL orchestration:retry:timer #2, fire_at
              INTERNAL orchestration:retry:timer #4, fire_at
          PRODUCER orchestration_event:go -> retry
    """,
    "parent": """
        INTERNAL case parent
          PRODUCER create_orchestration:parent
            SERVER orchestration:parent Completed, execution_id
              CLIENT orchestration:child@(2.0) #1, version 2.0
                SERVER orchestration:child@(2.0) Completed, version 2.0, execution_id, event Received external event
                  CLIENT activity:first #1
                    SERVER activity:first #1
          PRODUCER orchestration_event:go -> child
    """,
    "sender": """
        INTERNAL case sender
          PRODUCER create_orchestration:sender
            SERVER orchestration:sender Completed, execution_id, event Received external event
              PRODUCER orchestration_event:go -> sequence
          PRODUCER orchestration_event:go -> sender
    """,
    "timer": """
        INTERNAL case timer
          PRODUCER create_orchestration:timer
            SERVER orchestration:timer Completed, execution_id, event Received external event
              INTERNAL orchestration:timer:timer #1, fire_at
          PRODUCER orchestration_event:go -> timer
    """,
    "generations": """
        INTERNAL case generations
          PRODUCER create_orchestration:generations
            SERVER orchestration:generations Completed, execution_id, event Received external event
            SERVER orchestration:generations ContinuedAsNew, execution_id, event Received external event
          PRODUCER orchestration_event:go -> generations
          PRODUCER orchestration_event:go -> generations
    """,
    "failure": """
        INTERNAL case failure
          PRODUCER create_orchestration:failure
            SERVER orchestration:failure Failed, execution_id, error "activity 'broken' failed: it is broken", event Received external event, event exception
              CLIENT activity:broken #1, error 'it is broken', event exception
                SERVER activity:broken #1, error 'it is broken', event exception
          PRODUCER orchestration_event:go -> failure
    """,
    "terminated": """
        INTERNAL case terminated
          PRODUCER create_orchestration:terminated
            SERVER orchestration:terminated Terminated, execution_id
              CLIENT activity:first #1
                SERVER activity:first #1
    """,
    "entities": """
        INTERNAL case entities
          PRODUCER create_orchestration:entities
            SERVER orchestration:entities Completed, execution_id, event Received external event
              CLIENT call_entity:counter:add of @counter@main
                SERVER entity:counter:add of @counter@main
              PRODUCER signal_entity:counter:add of @counter@main
                SERVER entity:counter:add of @counter@main
          PRODUCER orchestration_event:go -> entities
          PRODUCER signal_entity:counter:add of @counter@main
            SERVER entity:counter:add of @counter@main
    """,
}
TYPES = {
    "create_orchestration": names.ORCHESTRATION,
    "orchestration": names.ORCHESTRATION,
    "activity": names.ACTIVITY,
    "orchestration_event": names.EVENT,
    "entity": names.ENTITY,
    "call_entity": names.ENTITY,
    "signal_entity": names.ENTITY,
}
"""By the first word of a span's name."""


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Collected]]:
    """The spans of each case, once all are there."""
    folder = tmp_path_factory.mktemp("traced")

    with Collector() as collector:
        ran = subprocess.run(
            [sys.executable, "-m", "integration.workers.traced", str(folder)],
            cwd=ROOT,
            env={**os.environ, **collector.environment},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        cases = dict(line.split() for line in ran.stdout.splitlines())
        expected = sum(len(tree.strip().splitlines()) for tree in TREES.values())
        spans = collector.spans(lambda spans: sum(span.trace_id in cases.values() for span in spans) >= expected)

    return {case: [span for span in spans if span.trace_id == trace_id] for case, trace_id in cases.items()}


@pytest.mark.parametrize("case", TREES)
def test_the_tree_of_spans(traces: Mapping[str, Sequence[Collected]], case: str) -> None:
    lines = TREES[case].strip("\n").rstrip().splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())

    assert drawn(traces[case]) == [line[indent:] for line in lines]


@pytest.mark.parametrize("case", TREES)
def test_what_a_span_says_of_itself(traces: Mapping[str, Sequence[Collected]], case: str) -> None:
    for span in traces[case]:
        kind, _, rest = span.name.partition(":")

        if kind not in TYPES:
            continue

        is_timer = rest.endswith(":timer")
        asked = rest.removesuffix(":timer").partition("@(")[0]
        name = asked.split(":")[0] if kind.endswith("entity") else asked
        assert span.attributes[names.TYPE] == (names.TIMER if is_timer else TYPES[kind])
        assert span.attributes[names.NAME] == name
        assert span.attributes.keys() <= {*names.ATTRIBUTES}
        assert span.links == 0

        if kind in {"create_orchestration", "activity", "orchestration"}:
            expected = "child" if rest.startswith("child") or parent_of(traces[case], span, "child") else case
            assert span.attributes[names.INSTANCE_ID] == expected


@pytest.mark.parametrize("case", TREES)
def test_the_times_of_spans(traces: Mapping[str, Sequence[Collected]], case: str) -> None:
    """Whoever made them, a span lies in the one that waits for it; an orchestration's has its whole life."""
    by_id = {span.span_id: span for span in traces[case]}
    assert len(by_id) == len(traces[case]), "an id is there twice"

    for span in traces[case]:
        above = by_id.get(span.parent_id)
        assert span.start <= span.end

        if above is not None and span.kind in {"CLIENT", "INTERNAL"} and above.kind == "SERVER":
            assert above.start <= span.start
            assert span.end <= above.end

        if above is not None and span.kind == "SERVER":
            assert above.start <= span.start


def test_an_orchestration_is_one_span_over_the_death_of_its_server(traces: Mapping[str, Sequence[Collected]]) -> None:
    [life] = [span for span in traces["fan_out"] if span.kind == "SERVER" and span.name.startswith("orchestration:")]
    [start] = [span for span in traces["fan_out"] if span.name.startswith("create_")]
    [event] = [span for span in traces["fan_out"] if span.name.startswith("orchestration_event")]
    # It was started before the server was killed, and went on when the event came after that.
    assert start.start <= life.start < event.start < life.end


def test_who_makes_the_spans(traces: Mapping[str, Sequence[Collected]]) -> None:
    """The worker all but one: no worker hears that an orchestration was terminated."""
    by_server = [
        (case, span.name) for case, spans in traces.items() for span in spans if span.service == "durabletask-server"
    ]
    assert by_server == [("terminated", "orchestration:terminated")]


def parent_of(spans: Sequence[Collected], span: Collected, name: str) -> bool:
    """Whether a span is anywhere below one of an orchestration."""
    by_id = {each.span_id: each for each in spans}

    while (above := by_id.get(span.parent_id)) is not None:
        if above.name.startswith(f"orchestration:{name}"):
            return True

        span = above

    return False


def drawn(spans: Sequence[Collected]) -> list[str]:
    """A trace as lines, each below the span that it belongs to."""
    return [f"{'  ' * depth}{said(span)}" for depth, span in nested(spans, said)]


def said(span: Collected) -> str:
    """A span as a line."""
    attributes = span.attributes
    parts = [
        *([str(attributes[names.STATUS])] if names.STATUS in attributes else []),
        *([f"#{attributes[names.TASK_ID]}"] if names.TASK_ID in attributes else []),
        *([f"-> {attributes[names.TARGET]}"] if names.TARGET in attributes else []),
        *([f"of {attributes[names.ENTITY_ID]}"] if names.ENTITY_ID in attributes else []),
        *([f"version {attributes[names.VERSION]}"] if names.VERSION in attributes else []),
        *(["execution_id"] if names.EXECUTION_ID in attributes else []),
        *(["fire_at"] if names.FIRE_AT in attributes else []),
        *([f"error {span.error!r}"] if span.error is not None else []),
        *(f"event {name}" for name, _ in span.events),
    ]

    return f"{span.kind} {span.name} {', '.join(parts)}".rstrip()
