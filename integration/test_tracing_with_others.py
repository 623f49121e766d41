"""One trace over two SDKs, and the spans that the engine makes for workers that make none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integration.collector import Collected, Collector, nested
from integration.peer_environment import ROOT
from integration.processes import Program, Server, our_server

WORKERS = Path(__file__).parent / "workers"


@contextmanager
def exporting(folder: Path, collector: Collector, *options: str) -> Iterator[Server]:
    """A server that exports its spans."""
    log = folder / "server.log"

    with our_server(folder / "hub.sqlite3", log, *options, environment=collector.environment) as server:
        yield server
        # It exports the last of them.
        server.stop()


def run_ours(collector: Collector, server: Server, name: str) -> str:
    """Run an orchestration by our worker and client. Returns the id of its trace."""
    ran = subprocess.run(
        [sys.executable, "-m", "integration.workers.traced_ours", server.address, name],
        cwd=ROOT,
        env={**os.environ, **collector.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr + server.log

    return ran.stdout.strip()


def peer(python: Path, collector: Collector, server: Server, folder: Path, *options: str) -> Program:
    """PyPI's worker."""
    environment = {**collector.environment, "DURABLETASK_ADDRESS": server.address}

    return Program([python, WORKERS / "traced_peer.py", *options], folder / "peer.log", environment)


def tree(spans: list[Collected], trace_id: str) -> list[str]:
    """A trace, drawn: whose span, its kind and its name; each below the span that it belongs to."""
    own = [span for span in spans if span.trace_id == trace_id]

    return [
        f"{'  ' * depth}{span.service}: {span.kind} {span.name}" for depth, span in nested(own, lambda span: span.start)
    ]


def traced(spans: list[Collected], trace_id: str, count: int) -> bool:
    return sum(span.trace_id == trace_id for span in spans) >= count


def test_one_trace_over_two_sdks(tmp_path: Path, peer_python: Path) -> None:
    with Collector() as collector:
        with (
            exporting(tmp_path, collector) as server,
            peer(peer_python, collector, server, tmp_path),
        ):
            trace_id = run_ours(collector, server, "ours_outer")

        spans = collector.spans(lambda spans: traced(spans, trace_id, 9))

    assert tree(spans, trace_id) == [
        "ours: INTERNAL program",
        "  ours: PRODUCER create_orchestration:ours_outer",
        "    ours: SERVER orchestration:ours_outer",
        "      ours: CLIENT activity:pypi_greet",
        "        pypi: SERVER activity:pypi_greet",
        "      ours: CLIENT orchestration:pypi_inner",
        "        pypi: SERVER orchestration:pypi_inner",
        "          pypi: CLIENT activity:ours_greet",
        "            ours: SERVER activity:ours_greet",
    ]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            "auto",
            [
                "    durabletask-server: SERVER orchestration:pypi_alone",
                "      durabletask-server: INTERNAL orchestration:pypi_alone:timer",
                "      durabletask-server: CLIENT activity:pypi_greet",
            ],
        ),
        ("off", []),
    ],
)
def test_the_engine_makes_the_spans_of_a_worker_without(
    tmp_path: Path, peer_python: Path, policy: str, expected: list[str]
) -> None:
    with Collector() as collector:
        with (
            exporting(tmp_path, collector, "--engine-spans", policy) as server,
            peer(peer_python, collector, server, tmp_path, "--no-spans"),
        ):
            trace_id = run_ours(collector, server, "pypi_alone")

        spans = collector.spans(lambda spans: traced(spans, trace_id, 2 + len(expected)))

    assert tree(spans, trace_id) == [
        "ours: INTERNAL program",
        "  ours: PRODUCER create_orchestration:pypi_alone",
        *expected,
    ]


def test_the_engine_makes_all_spans_when_it_is_told(tmp_path: Path) -> None:
    with Collector() as collector:
        with exporting(tmp_path, collector, "--engine-spans", "on") as server:
            trace_id = run_ours(collector, server, "ours_alone")

        spans = collector.spans(lambda spans: traced(spans, trace_id, 7))

    drawn = tree(spans, trace_id)
    assert sorted(drawn[2:]) == sorted(
        [
            "    ours: SERVER orchestration:ours_alone",
            "      ours: CLIENT activity:ours_greet",
            "        ours: SERVER activity:ours_greet",
            "    durabletask-server: SERVER orchestration:ours_alone",
            "      durabletask-server: CLIENT activity:ours_greet",
        ]
    )


def test_an_exporter_that_is_not_there_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "durabletask_server", "--db", "memory:", "--port", "0"]
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "carrier-pigeon"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 1
    assert "no exporter 'carrier-pigeon' is installed; run pip install \"durabletask-server[telemetry]\"" in ran.stderr
