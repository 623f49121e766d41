"""Worker CPU an orchestration: our worker and PyPI `durabletask`'s, in turns, on one server. Prints Markdown.

    python benchmarks/worker_cpu.py [--help]

The server, on a SQLite file, runs throughout. Each round starts each worker anew, one at a time, warms it up, and drives the same loads
through it with the same client; the order turns with each round. CPU is what the worker's process has taken in user code and in the
system, over the orchestrations that the client started. Ratios are of two runs of one round. If our code is edited meanwhile, it fails.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import grpc
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub

from benchmarks.load import WARM_UP, Load
from benchmarks.sources import SourcesChangedError, digest, require_unchanged
from integration.peer_environment import PeerUnavailableError, peer_python
from integration.processes import Program, ProgramError, our_server

HERE = Path(__file__).resolve().parent
GOAL = 0.5
"""Of the peer's CPU, at most."""

PEER = "PyPI durabletask"
OURS, REPLAYING, GENERATORS, GENERATORS_REPLAYING = (
    "ours",
    "ours, no live executions",
    "ours, the peer's program",
    "ours, the peer's program, no live executions",
)
WORKERS = (PEER, OURS, REPLAYING, GENERATORS, GENERATORS_REPLAYING)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a load's orchestrations do."""

    what: str
    orchestrator: str
    given: int | None = None


SHAPES = (
    Shape("one activity", "step1"),
    Shape("5 activities in sequence", "steps5"),
    Shape("fan-out of 20", "fanout", 20),
    Shape("a sub-orchestration of one activity", "parent"),
)

Seen = Mapping[str, float]
"""CPU milliseconds an orchestration, by shape."""


def main(options: argparse.Namespace) -> int:
    """Measure, and print.

    Returns:
        0 if every round of every worker could be measured, whatever came of it.
    """
    if PEER in options.workers:
        try:
            peer_python()
        except PeerUnavailableError as error:
            print(f"{error}\nWithout the peer: leave it out of --workers.", file=sys.stderr)
            return 1

    rounds: list[dict[str, Seen]] = []

    with tempfile.TemporaryDirectory(dir=options.directory, prefix="bench-") as directory:
        folder = Path(directory)

        with our_server(folder / "hub.sqlite3", folder / "server.log") as server:
            before, sources = os.getloadavg()[0], digest()

            for number in range(options.rounds):
                first = number % len(options.workers)
                seen: dict[str, Seen] = {}

                for worker in (*options.workers[first:], *options.workers[:first]):
                    try:
                        seen[worker] = _measure(worker, server.address, folder / "worker.log", options)
                        require_unchanged(sources)
                    except (ProgramError, RuntimeError, SourcesChangedError, grpc.RpcError) as error:
                        print(f"{worker} failed: {error}\n{server.log[-2000:]}", file=sys.stderr)
                        return 1

                rounds.append(seen)

    print(
        f"Sources {sources}, Python {platform.python_version()}, {os.cpu_count()} cores, load average {before:.1f} before "
        f"and {os.getloadavg()[0]:.1f} after; {len(rounds)} rounds of {options.count} orchestrations, "
        f"{options.at_a_time} at a time.\n"
    )
    print("\n".join(table(rounds)))

    return 0


def table(rounds: Sequence[Mapping[str, Seen]]) -> Iterator[str]:
    """Put what was seen, round by round and worker by worker, as Markdown."""
    yield "| load | worker | CPU, ms/orchestration | least to most | of the peer's | least to most | |"
    yield "|---|---|--:|--:|--:|--:|---|"

    for shape in SHAPES:
        for worker in rounds[0]:
            took = [seen[worker][shape.what] for seen in rounds]
            row = f"| {shape.what} | {worker} | {median(took):.2f} | {min(took):.2f} to {max(took):.2f} |"

            if PEER not in rounds[0]:
                yield f"{row} - | - | |"
                continue

            # Of one round each: what else the machine did has come to both.
            ratios = [seen[worker][shape.what] / seen[PEER][shape.what] for seen in rounds]
            verdict = "" if worker == PEER else "reached" if median(ratios) <= GOAL else "not reached"
            yield f"{row} {median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} | {verdict} |"


def _measure(worker: str, address: str, log: Path, options: argparse.Namespace) -> Seen:
    """One worker, in one round."""
    with Program([*_command(worker), address], log) as program:
        seen = asyncio.run(_drive(address, program.pid, options))

    told = ", ".join(f"{what} {took:.2f}" for what, took in seen.items())
    print(f"{worker}: {told} ms", file=sys.stderr, flush=True)

    return seen


async def _drive(address: str, pid: int, options: argparse.Namespace) -> Seen:
    async with grpc.aio.insecure_channel(address) as channel:
        load = Load(TaskHubSidecarServiceStub(channel), psutil.Process(pid))
        seen: dict[str, float] = {}

        for shape in SHAPES:
            await load.run_all(shape.orchestrator, WARM_UP, WARM_UP, shape.given)

        for shape in SHAPES:
            before = load.cpu()
            await load.run_all(shape.orchestrator, options.count, options.at_a_time, shape.given)
            seen[shape.what] = (load.cpu() - before) * 1e3 / options.count

        return seen


def _command(worker: str) -> list[str | Path]:
    if worker == PEER:
        return [peer_python(), HERE / "peer_worker.py"]

    program = HERE / ("our_generator_worker.py" if worker in (GENERATORS, GENERATORS_REPLAYING) else "our_worker.py")

    return [sys.executable, program, *(["--live=0"] if worker in (REPLAYING, GENERATORS_REPLAYING) else [])]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description="Measures the CPU of each worker and prints Markdown; progress goes to standard error."
    )
    made.add_argument("--rounds", type=int, default=5, help="how often; the table has the medians [%(default)s]")
    made.add_argument("--count", type=int, default=300, help="orchestrations of each load [%(default)s]")
    made.add_argument("--at-a-time", type=int, default=50, help="how many of them at a time [%(default)s]")
    made.add_argument("--workers", nargs="+", choices=WORKERS, default=WORKERS, help="[all]", metavar="WORKER")
    made.add_argument("--directory", type=Path, help="where the database goes [the system's for temporary files]")

    return made


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
