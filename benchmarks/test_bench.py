"""The benchmark runs; how fast is not asked here."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import Cell, Ratio, Seen, report

BENCH = Path(__file__).with_name("bench.py")


def seen(per_second: float) -> Seen:
    return Seen(
        per_second=per_second, server_microseconds=400.4, p50=3.25, p99=7.5, fanout_seconds=0.125, fanout_turns=9
    )


def test_report_has_medians_and_the_ratios_of_each_round() -> None:
    rounds: dict[Cell, list[Seen | None]] = {
        ("lean", "a"): [seen(100), None, seen(300)],
        ("lean", "b"): [seen(50), seen(1), seen(100)],
        ("lean", "c"): [None, None, None],
    }

    lines = report(rounds, [Ratio("a", "b", 2.6, ("lean",)), Ratio("a", "c", 1, ("lean",))]).splitlines()

    assert "| lean | a | 200 | 3.2 | 7.5 | 0.12 | 9 | 400 |" in lines
    assert "| lean | c | failed | - | - | - | - | - |" in lines
    assert lines[-2:] == [
        "| a | b | lean | 2.50 (2.00 to 3.00) | ≥ 2.6 | not reached |",
        "| a | c | lean | not measured | ≥ 1 | not reached |",
    ]


@pytest.mark.parametrize("worker", ["ours", "lean"])
def test_a_quick_run(worker: str, tmp_path: Path) -> None:
    command: list[str | Path] = [
        sys.executable,
        BENCH,
        "--quick",
        "--workers",
        worker,
        "--servers",
        "memory",
        "SQLite FULL",
    ]
    ran = subprocess.run([*command, "--directory", tmp_path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    rows = [line.split(" | ") for line in ran.stdout.splitlines() if line.startswith(f"| {worker} | ")]
    assert [row[1] for row in rows] == ["memory", "SQLite FULL"]
    assert all(float(number.strip(" |")) > 0 for row in rows for number in row[2:])
