"""Workers against servers: how fast, how soon, at what price. Prints Markdown.

    python benchmarks/bench.py [--help]

Server, worker and load are processes of their own, fresh in every cell and round; the order of the servers turns with each
round, so that what else the machine does falls on all of them. Nothing runs on the wall clock but the limit of a cell.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import Cell, Ratio, Seen, circumstances, report
from integration.peer_environment import PeerUnavailableError, peer_python
from integration.processes import Program, ProgramError, Server, free_port, our_server

HERE = Path(__file__).resolve().parent
CELL_LIMIT = 180.0
"""Seconds that the load of one cell may take; more than that is a failure."""

OURS, LEAN, PEERS = "ours", "lean", "PyPI durabletask"
WORKERS = (OURS, LEAN, PEERS)
SQLITE, MEMORY, UNGROUPED, PEERS_MEMORY = "SQLite FULL", "memory", "SQLite, a commit per item", "PyPI in-memory"
SERVERS = (SQLITE, MEMORY, UNGROUPED, PEERS_MEMORY)
RATIOS = (
    Ratio(SQLITE, MEMORY, 0.7, (LEAN, OURS)),
    Ratio(SQLITE, PEERS_MEMORY, 0.9, (LEAN, PEERS)),
    Ratio(SQLITE, UNGROUPED, 2.0, (LEAN,)),
)
QUICK = ("--count", "40", "--at-a-time", "20", "--sequential", "10", "--width", "50")


def main(options: argparse.Namespace) -> int:
    """Measure, and print.

    Returns:
        0 if every round of every cell could be measured, whatever came of it.
    """
    if PEERS in options.workers or PEERS_MEMORY in options.servers:
        try:
            peer_python()
        except PeerUnavailableError as error:
            _tell(f"{error}\nWithout the peer: leave it out of --workers and --servers.")
            return 1

    load = QUICK if options.quick else ("--count", str(options.count), "--width", str(options.width))
    rounds = 1 if options.quick else options.rounds
    seen: dict[Cell, list[Seen | None]] = {
        (worker, server): [] for worker in options.workers for server in options.servers
    }

    with tempfile.TemporaryDirectory(dir=options.directory, prefix="bench-") as directory:
        print(circumstances(Path(directory), rounds, f"`{' '.join(load)}`"), flush=True)

        for number in range(rounds):
            for worker in options.workers:
                for server in _turned(options.servers, number):
                    folder = Path(directory, f"{number}-{WORKERS.index(worker)}-{SERVERS.index(server)}")
                    folder.mkdir()
                    seen[worker, server].append(_measure(worker, server, load, folder))

    print(report(seen, RATIOS))

    return 0 if all(None not in tries for tries in seen.values()) else 1


def _measure(worker: str, server: str, load: Sequence[str], folder: Path) -> Seen | None:
    """One cell, once. What goes wrong is told, and the others go on."""
    began = time.monotonic()
    running_server = _server(server, folder)
    running_worker = Program([*_worker(worker), running_server.address], folder / "worker.log")

    try:
        with running_server, running_worker:
            ran = subprocess.run(
                [
                    sys.executable,
                    HERE / "load.py",
                    running_server.address,
                    "--server-pid",
                    str(running_server.pid),
                    *load,
                ],
                capture_output=True,
                text=True,
                timeout=CELL_LIMIT,
                check=True,
            )
    except (ProgramError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        _tell(f"{worker} on {server} failed: {said}\n{running_server.log[-2000:]}\n{running_worker.log[-2000:]}")
        return None

    found: Seen = json.loads(ran.stdout)
    _tell(f"{worker} on {server}: {found['per_second']:.0f} orch/s ({time.monotonic() - began:.1f} s)")

    return found


def _server(name: str, folder: Path) -> Server:
    log, db = folder / "server.log", folder / "hub.sqlite3"
    make: dict[str, Callable[[], Server]] = {
        SQLITE: lambda: our_server(db, log),
        MEMORY: lambda: our_server("memory:", log),
        UNGROUPED: lambda: our_server(db, log, "--commit-batch-limit", "1"),
        PEERS_MEMORY: lambda: _peers_server(log),
    }

    return make[name]()


def _peers_server(log: Path) -> Server:
    port = free_port()

    return Server([peer_python(), HERE / "peer_server.py", str(port)], port, log)


def _worker(name: str) -> list[str | Path]:
    if name == PEERS:
        return [peer_python(), HERE / "peer_worker.py"]

    return [sys.executable, HERE / ("lean_worker.py" if name == LEAN else "our_worker.py")]


def _turned(servers: Sequence[str], number: int) -> Sequence[str]:
    first = number % len(servers)

    return [*servers[first:], *servers[:first]]


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description="Measures each worker on each server and prints Markdown; progress goes to standard error."
    )
    made.add_argument("--rounds", type=int, default=5, help="how often; the table has the medians [%(default)s]")
    made.add_argument(
        "--count", type=int, default=500, help="orchestrations of three activities, 100 at a time [%(default)s]"
    )
    made.add_argument("--width", type=int, default=1000, help="activities of the fan-out [%(default)s]")
    made.add_argument("--workers", nargs="+", choices=WORKERS, default=WORKERS, help="[all]", metavar="WORKER")
    made.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS, help="[all]", metavar="SERVER")
    made.add_argument("--directory", type=Path, help="where the database files go [the system's for temporary files]")
    made.add_argument("--quick", action="store_true", help="a small load, one round: shows that it runs, not how fast")

    return made


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
