"""The comparisons with the peer run; how fast is not asked here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import observability, replay_speed, worker_cpu
from benchmarks.replay_histories import HISTORIES
from benchmarks.sources import SourcesChangedError, digest, require_unchanged
from integration.peer_environment import DBOS, PeerUnavailableError, peer_python

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def peer() -> None:
    """Skips where the peer cannot be had."""
    try:
        peer_python()
    except PeerUnavailableError as error:
        pytest.skip(f"no environment for PyPI durabletask: {error}")


def run(program: str, *options: str | Path) -> list[list[str]]:
    """The cells of the rows of the table that a program prints."""
    ran = subprocess.run([sys.executable, HERE / program, *options], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    rows = [line for line in ran.stdout.splitlines() if line.startswith("| ")]

    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:]]


def test_cpu_ratios_are_of_one_round_and_not_of_the_medians() -> None:
    whats = [shape.what for shape in worker_cpu.SHAPES]
    rounds = [
        {worker_cpu.PEER: dict.fromkeys(whats, peer), worker_cpu.OURS: dict.fromkeys(whats, ours)}
        for peer, ours in ((10.0, 5.0), (20.0, 8.0), (4.0, 3.0))
    ]

    lines = list(worker_cpu.table(rounds))

    assert "| one activity | PyPI durabletask | 10.00 | 4.00 to 20.00 | 1.00 | 1.00 to 1.00 |  |" in lines
    assert "| one activity | ours | 5.00 | 3.00 to 8.00 | 0.50 | 0.40 to 0.75 | reached |" in lines


def test_what_tracing_costs_is_of_turns_that_follow_each_other() -> None:
    def pairs(*per_second: tuple[float, float]) -> list[tuple[observability.Turn, observability.Turn]]:
        return [(observability.Turn(one, 1 / one), observability.Turn(two, 1 / two)) for one, two in per_second]

    lines = observability.table(
        {
            ("here", "off", "without"): pairs((99.5, 100)),
            ("here", "on", "off"): pairs((80, 100), (80, 100)),
            ("there", "on", "off"): pairs((180, 200), (90, 100), (40, 50)),
            ("there", "off", "without"): pairs((90, 100), (98, 100), (130, 100)),
        }
    )

    assert lines[2:] == [
        "| here | off of without | 100 of 100 | 10.05 of 10.00 | 0.995 ± 0.000 | 1.005 ± 0.000 | ≥ 0.99 | reached |",
        "| here | on of off | 80 of 100 | 12.50 of 10.00 | 0.800 ± 0.000 | 1.250 ± 0.000 | ≥ 0.9 | not reached |",
        "| there | on of off | 90 of 100 | 11.11 of 10.00 | 0.900 ± 0.042 | 1.111 ± 0.058 | ≥ 0.9 | reached |",
        "| there | off of without | 98 of 100 | 10.20 of 10.00 | 0.980 ± 0.153 | 1.020 ± 0.128 | ≥ 0.99 | within the error |",
    ]


def test_what_tracing_costs_can_be_measured() -> None:
    rows = run("observability.py", "--sets=1", "--rounds=1", "--count=20")
    # That there are spans, or none, the program sees to by itself.
    assert [row[:2] for row in rows] == [[where, f"{mode} of {other}"] for where, mode, other in observability.COMPARED]


def test_replay_ratios_say_how_many_times_as_fast() -> None:
    rounds = {
        "waits": [{replay_speed.PEER: 0.2, replay_speed.OURS: 0.1}, {replay_speed.PEER: 0.3, replay_speed.OURS: 0.1}]
    }

    lines = list(replay_speed.table(rounds, {"waits": 10_002}))

    assert lines[-1] == "| waits | 10,002 | ours | 100.0 | 100.0 to 100.0 | 2.50 | 2.00 to 3.00 | not reached |"


def test_histories_have_the_events_that_were_asked_for() -> None:
    for make in HISTORIES.values():
        request = make(300)
        events = [*request.pastEvents, *request.newEvents]

        assert 300 <= len(events) <= 302
        assert [event.WhichOneof("eventType") for event in events[:2]] == ["orchestratorStarted", "executionStarted"]
        assert request.newEvents[0].HasField("orchestratorStarted")


def test_edited_sources_are_noticed() -> None:
    require_unchanged(digest())

    with pytest.raises(SourcesChangedError, match="0123"):
        require_unchanged("0123")


@pytest.mark.usefixtures("peer")
def test_a_quick_run_of_the_cpu_comparison(tmp_path: Path) -> None:
    rows = run("worker_cpu.py", "--rounds=1", "--turns=2", "--count=10", "--at-a-time=10", "--directory", tmp_path)

    assert [row[1] for row in rows] == list(worker_cpu.WORKERS) * len(worker_cpu.SHAPES)
    # Of little work, the clock may see nothing.
    assert all(float(row[2]) >= 0 for row in rows)


@pytest.mark.usefixtures("peer")
def test_a_quick_run_of_the_replay_comparison() -> None:
    rows = run("replay_speed.py", "--rounds=1", "--events=300")

    assert [row[2] for row in rows] == list(replay_speed.SDKS) * len(HISTORIES)
    assert all(float(row[3]) > 0 for row in rows)


def test_a_quick_run_beside_dbos(tmp_path: Path) -> None:
    try:
        peer_python(DBOS)
    except PeerUnavailableError as error:
        pytest.skip(f"no environment for PyPI dbos: {error}")

    load = ("--rounds", "1", "--count", "10", "--one-by-one", "5", "--width", "20", "--directory", tmp_path)
    rows = run("embedded.py", *load)

    assert [row[0] for row in rows] == ["embedded", "DBOS"]
    assert all(float(number) >= 0 for row in rows for number in row[1:])
