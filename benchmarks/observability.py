"""What tracing and metrics cost an embedded hub, on and off. Prints Markdown.

    python benchmarks/observability.py [--help]

One process is client, engine and worker, so that all of the cost is in it: with spans and metrics on, which are counted and thrown away; off, as
without a provider; and without: the questions whether there is one taken out. Each runs in a process and on a file of its own, anew in each
round; the order turns with each round. Of each the best round counts, for what disturbs a run makes it slower, and what is to be told apart is small.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import circumstances

LOAD = Path(__file__).with_name("observability_load.py")
MODES = ("without", "off", "on")
GOALS = {"off": ("without", 0.99), "on": ("off", 0.90)}
"""For a mode, another, and at least which share of its throughput it has."""
LIMIT = 600.0
"""Seconds that one run may take."""

Seen = Mapping[str, Any]


def main(options: argparse.Namespace) -> int:
    """Measure, and print.

    Returns:
        0, whatever came of it.
    """
    seen: dict[str, list[Seen]] = {mode: [] for mode in MODES}

    with tempfile.TemporaryDirectory(dir=options.directory, prefix="bench-") as directory:
        print(
            circumstances(Path(directory), options.rounds, f"{options.count} of three steps, 64 at a time"), flush=True
        )

        for number in range(options.rounds):
            for mode in sorted(MODES, reverse=bool(number % 2)):
                command: list[str | Path] = [
                    sys.executable,
                    LOAD,
                    Path(directory, f"{mode}-{number}.sqlite3"),
                    str(options.count),
                    "64",
                    mode,
                ]
                ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)

                if ran.returncode != 0:
                    raise SystemExit(f"{mode} failed:\n{ran.stderr}")

                seen[mode].append(json.loads(ran.stdout.splitlines()[-1]))

    print("\n".join(table(seen)))

    return 0


def table(seen: Mapping[str, Sequence[Seen]]) -> list[str]:
    """The table of what was seen of each mode, round by round."""
    lines = [
        "| tracing and metrics | a second | CPU each, ms | spans | throughput, of | CPU, of | goal | |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]

    for mode, rounds in seen.items():
        per_second, cpu = _best(rounds)
        cells = [f"{per_second:.0f}", f"{cpu * 1e3:.2f}", f"{rounds[0]['spans']:.0f}"]

        if mode in GOALS:
            other, goal = GOALS[mode]
            others = _best(seen[other])
            ratio = per_second / others[0]
            verdict = "reached" if ratio >= goal else "not reached"
            cells += [f"{ratio:.3f} {other}", f"{cpu / others[1]:.3f} {other}", f"≥ {goal:g}", verdict]
        else:
            cells += [""] * 4

        lines.append(f"| {mode} | {' | '.join(cells)} |")

    return lines


def _best(rounds: Sequence[Seen]) -> tuple[float, float]:
    return max(one["per_second"] for one in rounds), min(one["cpu"] for one in rounds)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Measures what tracing and metrics cost, and prints Markdown.")
    made.add_argument("--rounds", type=int, default=7, help="how often; the table has the medians [%(default)s]")
    made.add_argument("--count", type=int, default=1000, help="orchestrations of three steps [%(default)s]")
    made.add_argument("--directory", type=Path, help="where the files go [the system's for temporary files]")

    return made


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
