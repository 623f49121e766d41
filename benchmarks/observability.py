"""What tracing and metrics cost, on and off. Prints Markdown.

    python benchmarks/observability.py [--help]

In two ways of deployment: a server with a worker and a client, three processes; and an embedded hub, where one process on one core is all of
these. With spans and metrics on, which are counted and thrown away; off, as without a provider; and, embedded, without: in the process that is
off, the questions whether there is one taken out for a turn. They take turns at working, each on a file of its own, so that what else the machine does falls on all; and are started
anew for each set, for processes of one program differ. A ratio is of two turns of one round.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import IO, NamedTuple, TypeAlias

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import circumstances
from integration.processes import our_server

LOAD = Path(__file__).with_name("observability_load.py")
SERVER, EMBEDDED = "server, worker, client", "embedded"
WITHOUT, OFF, ON = "without", "off", "on"
CELLS = ((SERVER, OFF), (SERVER, ON), (EMBEDDED, WITHOUT), (EMBEDDED, OFF), (EMBEDDED, ON))
GOALS = {OFF: (WITHOUT, 0.99), ON: (OFF, 0.90)}
"""For a mode, another, and at least which share of its throughput it has."""
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


Rounds: TypeAlias = Mapping[tuple[str, str], Sequence[Turn]]


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
    seen: dict[tuple[str, str], list[Turn]] = {cell: [] for cell in CELLS}

    with tempfile.TemporaryDirectory(dir=options.directory, prefix="bench-") as directory:
        turns = options.sets * options.rounds
        load = f"{options.count} of three steps, 64 at a time, by {options.sets} sets of processes"
        print(circumstances(Path(directory), turns, load), flush=True)

        for number in range(options.sets):
            folder = Path(directory, str(number))
            folder.mkdir()
            _measure(seen, folder, order, options.rounds, options.count)

    print("\n".join(table(seen)))

    return 0


def _measure(seen: Mapping[tuple[str, str], list[Turn]], folder: Path, order: Random, rounds: int, count: int) -> None:
    """Have processes of all cells take turns. What they have been dealt by chance, as the places of their memory, they keep."""
    with ExitStack() as running:
        cells = {
            cell: running.enter_context(_working(*cell, folder / str(number)))
            for number, cell in enumerate(CELLS)
            if WITHOUT not in cell
        }

        for worked in cells.values():
            worked.turn(WARM_UP)

        for _ in range(rounds):
            for deployment, mode in order.sample(CELLS, len(CELLS)):
                words = (WITHOUT,) if mode == WITHOUT else ()
                worked = cells[deployment, OFF if words else mode]
                seen[deployment, mode].append(worked.turn(count, *words))


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


def table(seen: Rounds) -> list[str]:
    """The table of what was seen of each, round by round."""
    lines = [
        "| deployment | tracing and metrics | a second | CPU each, ms | throughput, of | CPU, of | goal | |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]

    for (deployment, mode), turns in seen.items():
        cells = [f"{median(each.per_second for each in turns):.0f}", f"{median(each.cpu for each in turns) * 1e3:.2f}"]
        other, goal = GOALS.get(mode, ("", 0.0))
        others = seen.get((deployment, other))

        if others is not None:
            ratio = median(one.per_second / two.per_second for one, two in zip(turns, others, strict=True))
            cpu = median(one.cpu / two.cpu for one, two in zip(turns, others, strict=True))
            verdict = "reached" if ratio >= goal else "not reached"
            cells += [f"{ratio:.3f} {other}", f"{cpu:.3f} {other}", f"≥ {goal:g}", verdict]
        else:
            cells += [""] * 4

        lines.append(f"| {deployment} | {mode} | {' | '.join(cells)} |")

    return lines


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None

    return pipe


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Measures what tracing and metrics cost, and prints Markdown.")
    made.add_argument("--sets", type=int, default=8, help="sets of processes [%(default)s]")
    made.add_argument("--rounds", type=int, default=8, help="turns of each; the table has the medians [%(default)s]")
    made.add_argument("--count", type=int, default=100, help="orchestrations of three steps a turn [%(default)s]")
    made.add_argument("--directory", type=Path, help="where the files go [the system's for temporary files]")

    return made


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
