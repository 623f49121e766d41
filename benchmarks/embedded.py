"""The embedded hub beside DBOS, both on a SQLite file in the process of their caller. Prints Markdown.

    python benchmarks/embedded.py [--help]

Each runs in a process and on a file of its own, anew in each round; the order turns with each round. DBOS runs in an environment of its own. Its
workflows are plain functions called from threads, of which it makes more a second here than of `async def`; its fan-out is an `async def`
that gathers steps. Ratios are of two runs of one round.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import circumstances
from integration.peer_environment import DBOS, PeerUnavailableError, peer_python

HERE = Path(__file__).resolve().parent
LIMIT = 600.0
"""Seconds that one run may take."""
GOAL = 5.0
"""Times the 3-step throughput of DBOS, at least."""
PEERS = {"embedded": ("embedded_ours.py", 64), "DBOS": ("embedded_dbos.py", 8)}
"""The program of each, and how many orchestrations at a time suit it best; DBOS is no faster with 1 or with 32."""

Seen = Mapping[str, Any]


def main(options: argparse.Namespace) -> int:
    """Measure, and print.

    Returns:
        0 if everything could be measured, whatever came of it.
    """
    try:
        pythons = {"embedded": Path(sys.executable), "DBOS": peer_python(DBOS)}
    except PeerUnavailableError as error:
        print(error, file=sys.stderr)
        return 1

    load = (options.count, options.one_by_one, options.width)
    seen: dict[str, list[Seen]] = {name: [] for name in PEERS}

    with tempfile.TemporaryDirectory(dir=options.directory, prefix="bench-") as directory:
        said = (
            f"{options.count} of three steps, {options.one_by_one} of one step one by one, a fan-out of {options.width}"
        )
        print(circumstances(Path(directory), options.rounds, said), flush=True)

        for number in range(options.rounds):
            for name in sorted(PEERS, reverse=bool(number % 2)):
                file = Path(directory, f"{name}-{number}.sqlite3")
                seen[name].append(_run(pythons[name], name, file, load))
                print(f"{name}: {seen[name][-1]['per_second']:.0f}/s", file=sys.stderr)

    print("\n".join(_report(seen)))

    return 0


def _run(python: Path, name: str, file: Path, load: Sequence[int]) -> Seen:
    program, at_a_time = PEERS[name]
    count, one_by_one, width = load
    arguments = map(str, (file, count, at_a_time, one_by_one, width))
    ran = subprocess.run(
        [python, HERE / program, *arguments], capture_output=True, text=True, timeout=LIMIT, check=False
    )

    if ran.returncode != 0:
        raise SystemExit(f"{name} failed:\n{ran.stderr}")

    found: Seen = json.loads(ran.stdout.splitlines()[-1])

    return found


def _report(seen: Mapping[str, Sequence[Seen]]) -> list[str]:
    lines = [
        "| | 3 steps, a second | 1 step p50, ms | p99, ms | fan-out, s | start-up, s |",
        "|---|--:|--:|--:|--:|--:|",
    ]

    for name, rounds in seen.items():
        percentiles = [quantiles(one["latencies"], n=100) for one in rounds]
        numbers = [
            f"{median(one['per_second'] for one in rounds):.0f}",
            f"{median(each[49] for each in percentiles) * 1e3:.1f}",
            f"{median(each[98] for each in percentiles) * 1e3:.1f}",
            f"{median(one['fan_out'] for one in rounds):.2f}",
            f"{median(one['start_up'] for one in rounds):.2f}",
        ]
        lines.append(f"| {name} | {' | '.join(numbers)} |")

    ratios = [
        ours["per_second"] / theirs["per_second"] for ours, theirs in zip(seen["embedded"], seen["DBOS"], strict=True)
    ]
    verdict = "reached" if median(ratios) >= GOAL else "not reached"
    lines += [
        "",
        f"3 steps, embedded over DBOS: {median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}); goal >= {GOAL:g}: {verdict}",
    ]

    return lines


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Measures the embedded hub beside DBOS and prints Markdown.")
    made.add_argument("--rounds", type=int, default=5, help="how often; the table has the medians [%(default)s]")
    made.add_argument("--count", type=int, default=400, help="orchestrations of three steps [%(default)s]")
    made.add_argument("--one-by-one", type=int, default=100, help="orchestrations of one step [%(default)s]")
    made.add_argument("--width", type=int, default=1000, help="steps of the fan-out [%(default)s]")
    made.add_argument("--directory", type=Path, help="where the files go [the system's for temporary files]")

    return made


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
