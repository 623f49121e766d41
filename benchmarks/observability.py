"""What tracing and metrics cost, on and off. Prints Markdown.

    python benchmarks/observability.py [--help]

In two ways of deployment: a server with a worker and a client, three processes; and an embedded hub, where one process on one core is all of
these. With spans and metrics on, which are counted and thrown away; off, as without a provider; and, embedded, without: in the process that is
off, the questions whether there is one taken out for a turn. They take turns at working, each on a file of its own, so that what else the machine does falls on all; and are started
anew for each set, for processes of one program differ. A ratio is of two turns, one right after the other.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import sqrt
from pathlib import Path
from random import Random
from statistics import median, stdev
from typing import IO, NamedTuple, TypeAlias

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import circumstances
from integration.processes import our_server

LOAD = Path(__file__).with_name("observability_load.py")
SERVER, EMBEDDED = "server, worker, client", "embedded"
WITHOUT, OFF, ON = "without", "off", "on"
PROCESSES = ((SERVER, OFF), (SERVER, ON), (EMBEDDED, OFF), (EMBEDDED, ON))
COMPARED = ((SERVER, ON, OFF), (EMBEDDED, ON, OFF), (EMBEDDED, OFF, WITHOUT))
"""In a deployment: a mode, and another."""
GOALS = {ON: 0.90, OFF: 0.99}
"""For a mode, at least which share of the other's throughput it has."""
SERVERS_ENVIRONMENT = {
    # In `auto` it makes no spans for a worker that does, so nothing is sent there.
    ON: {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:9",
        "OTEL_METRICS_EXPORTER": "none",
    },
    OFF: {"OTEL_SDK_DISABLED": "true"},
}
WARM_UP = 100


class Turn(NamedTuple):
    """What was seen of a turn."""

    per_second: float
    """Orchestrations of three steps."""
    cpu: float
    """Seconds of CPU each took, of all processes."""


Pairs: TypeAlias = Mapping[tuple[str, str, str], Sequence[tuple[Turn, Turn]]]
"""By what is compared: pairs of turns, one right after the other."""


class Worked:
    """Processes that do the work of one cell.

    Args:
        load: The one that is told how much to do.
        others: The others.
    """

    def __init__(self, load: subprocess.Popen[str], others: Sequence[int]) -> None:
        self._load = load
        self._all = [psutil.Process(pid) for pid in (load.pid, *others)]

    def turn(self, count: int, *words: str) -> Turn:
        """Do some; what may come after the number, see `observability_load.py`."""
        before = self._cpu()
        print(count, *words, file=_pipe(self._load.stdin), flush=True)
        took = float(_pipe(self._load.stdout).readline())

        return Turn(count / took, (self._cpu() - before) / count)

    def _cpu(self) -> float:
        return sum(times.user + times.system for times in (each.cpu_times() for each in self._all))


def main(options: argparse.Namespace) -> int:
    """Measure, and print.

    Returns:
        0, whatever came of it.
    """
    order = Random(options.sets)
    seen: dict[tuple[str, str, str], list[tuple[Turn, Turn]]] = {compared: [] for compared in COMPARED}

    with tempfile.TemporaryDirectory(dir=options.directory, prefix="bench-") as directory:
        pairs = options.sets * options.rounds
        load = f"{options.count} of three steps, 64 at a time, by {options.sets} sets of processes"
        print(circumstances(Path(directory), pairs, load), flush=True)

        for number in range(options.sets):
            folder = Path(directory, str(number))
            folder.mkdir()
            _measure(seen, folder, order, options.rounds, options.count)

    print("\n".join(table(seen)))

    return 0


def _measure(
    seen: Mapping[tuple[str, str, str], list[tuple[Turn, Turn]]], folder: Path, order: Random, rounds: int, count: int
) -> None:
    """Have processes take turns. What they have been dealt by chance, as the places of their memory, they keep."""
    with ExitStack() as running:
        working = {
            cell: running.enter_context(_working(*cell, folder / str(number))) for number, cell in enumerate(PROCESSES)
        }

        for worked in working.values():
            worked.turn(WARM_UP)

        def turn(deployment: str, mode: str) -> Turn:
            if mode == WITHOUT:
                return working[deployment, OFF].turn(count, WITHOUT)

            return working[deployment, mode].turn(count)

        for _ in range(rounds):
            for deployment, *modes in order.sample(COMPARED, len(COMPARED)):
                turns = {mode: turn(deployment, mode) for mode in order.sample(modes, 2)}
                mode, other = modes
                seen[deployment, mode, other].append((turns[mode], turns[other]))


@contextmanager
def _working(deployment: str, mode: str, folder: Path) -> Iterator[Worked]:
    folder.mkdir()

    if deployment == EMBEDDED:
        with _process("hub", folder / "hub.sqlite3", mode) as hub:
            yield Worked(hub, ())

        return

    options = ("--http-port", "0") if mode == ON else ()

    with (
        our_server(
            folder / "hub.sqlite3", folder / "server.log", *options, environment=SERVERS_ENVIRONMENT[mode]
        ) as server,
        _process("worker", server.address, mode) as worker,
        _process("client", server.address, mode) as client,
    ):
        yield Worked(client, (server.pid, worker.pid))


@contextmanager
def _process(role: str, where: str | Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    command: list[str | Path] = [sys.executable, LOAD, role, where, mode]

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
            spans, _ = process.communicate(timeout=60)

            if (int(spans) > 0) is not (mode == ON):
                raise SystemExit(f"{role}, {mode}: {spans} spans")
        finally:
            process.kill()


def table(seen: Pairs) -> list[str]:
    """The table of what was seen. A ratio is the median of those of the pairs, with its standard error."""
    lines = [
        "| deployment | tracing and metrics | a second | CPU each, ms | throughput | CPU | goal | |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]

    for (deployment, mode, other), pairs in seen.items():
        per_second = " of ".join(
            f"{median(each.per_second for each in turns):.0f}" for turns in zip(*pairs, strict=True)
        )
        cpu = " of ".join(f"{median(each.cpu for each in turns) * 1e3:.2f}" for turns in zip(*pairs, strict=True))
        ratio, error = _ratio([one.per_second / two.per_second for one, two in pairs])
        cpu_ratio, cpu_error = _ratio([one.cpu / two.cpu for one, two in pairs])
        goal = GOALS[mode]
        verdict = "reached" if ratio >= goal else "within the error" if ratio + 2 * error >= goal else "not reached"
        lines.append(
            f"| {deployment} | {mode} of {other} | {per_second} | {cpu} | {ratio:.3f} ± {error:.3f} "
            f"| {cpu_ratio:.3f} ± {cpu_error:.3f} | ≥ {goal:g} | {verdict} |"
        )

    return lines


def _ratio(ratios: Sequence[float]) -> tuple[float, float]:
    """The median, and about its standard error."""
    error = 1.25 * stdev(ratios) / sqrt(len(ratios)) if len(ratios) > 1 else 0.0

    return median(ratios), error


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None

    return pipe


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Measures what tracing and metrics cost, and prints Markdown.")
    made.add_argument("--sets", type=int, default=8, help="sets of processes [%(default)s]")
    made.add_argument(
        "--rounds", type=int, default=10, help="pairs of turns of each; the table has the medians [%(default)s]"
    )
    made.add_argument("--count", type=int, default=64, help="orchestrations of three steps a turn [%(default)s]")
    made.add_argument("--directory", type=Path, help="where the files go [the system's for temporary files]")

    return made


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
