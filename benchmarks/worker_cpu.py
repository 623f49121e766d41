"""Worker CPU an orchestration: our worker and PyPI `durabletask`'s, by turns, on our server. Prints Markdown.

    python benchmarks/worker_cpu.py [--help]

Each round starts each worker anew, with a server of its own on a SQLite file, and warms it up. Then they take turns: the same client drives
the same load through one while the others are idle. CPU is what the worker's process has taken in user code and in the system over all
turns of the round, over the orchestrations that the client started; ratios are of two workers in one round. So what else the machine does
falls on all alike. If our code is edited meanwhile, it fails.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
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
OURS, ON_UVLOOP, REPLAYING, GENERATORS, GENERATORS_REPLAYING = (
    "ours",
    "ours, on uvloop",
    "ours, no live executions",
    "ours, the peer's program",
    "ours, the peer's program, no live executions",
)
WORKERS = (PEER, OURS, ON_UVLOOP, REPLAYING, GENERATORS, GENERATORS_REPLAYING)


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

    rounds: list[Mapping[str, Seen]] = []
    before, sources = os.getloadavg()[0], digest()

    for number in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.directory, prefix="bench-") as directory:
            try:
                rounds.append(_round(Path(directory), number, options))
                require_unchanged(sources)
            except (ProgramError, RuntimeError, SourcesChangedError, grpc.RpcError) as error:
                print(f"round {number + 1} failed: {error}", file=sys.stderr)
                return 1

    print(
        f"Sources {sources}, Python {platform.python_version()}, {os.cpu_count()} cores, load average {before:.1f} before "
        f"and {os.getloadavg()[0]:.1f} after; {len(rounds)} rounds of {options.turns} turns of "
        f"{options.count} orchestrations, {options.at_a_time} at a time.\n"
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


def _round(folder: Path, number: int, options: argparse.Namespace) -> Mapping[str, Seen]:
    """All workers, each anew."""
    first = number % len(options.workers)

    with ExitStack() as running:
        processes: dict[str, tuple[str, int]] = {}

        for place, worker in enumerate((*options.workers[first:], *options.workers[:first])):
            own = folder / str(place)
            own.mkdir()
            server = running.enter_context(our_server(own / "hub.sqlite3", own / "server.log"))
            program = running.enter_context(Program([*_command(worker), server.address], own / "worker.log"))
            processes[worker] = server.address, program.pid

        seen = asyncio.run(_drive(processes, options))

    for worker, shapes in seen.items():
        told = ", ".join(f"{what} {took:.2f}" for what, took in shapes.items())
        print(f"{worker}: {told} ms", file=sys.stderr, flush=True)

    return seen


async def _drive(processes: Mapping[str, tuple[str, int]], options: argparse.Namespace) -> Mapping[str, Seen]:
    """Have the workers of a round take turns."""
    async with AsyncExitStack() as channels:
        loads: dict[str, Load] = {}

        for worker, (address, pid) in processes.items():
            channel = await channels.enter_async_context(grpc.aio.insecure_channel(address))
            loads[worker] = Load(TaskHubSidecarServiceStub(channel), psutil.Process(pid))

        for shape in SHAPES:
            for load in loads.values():
                await load.run_all(shape.orchestrator, WARM_UP, WARM_UP, shape.given)

        taken = {worker: dict.fromkeys((shape.what for shape in SHAPES), 0.0) for worker in loads}
        order = list(loads)

        for _ in range(options.turns):
            for shape in SHAPES:
                for worker in order:
                    load = loads[worker]
                    before = load.cpu()
                    await load.run_all(shape.orchestrator, options.count, options.at_a_time, shape.given)
                    taken[worker][shape.what] += load.cpu() - before

            # Back and forth: who is first meets what the one before has left.
            order.reverse()

        each = 1e3 / (options.turns * options.count)

        return {worker: {what: cpu * each for what, cpu in shapes.items()} for worker, shapes in taken.items()}


def _command(worker: str) -> list[str | Path]:
    if worker == PEER:
        return [peer_python(), HERE / "peer_worker.py"]

    program = HERE / ("our_generator_worker.py" if worker in (GENERATORS, GENERATORS_REPLAYING) else "our_worker.py")

    flags = [
        *(["--live=0"] if worker in (REPLAYING, GENERATORS_REPLAYING) else []),
        *(["--uvloop"] if worker == ON_UVLOOP else []),
    ]

    return [sys.executable, program, *flags]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description="Measures the CPU of each worker and prints Markdown; progress goes to standard error."
    )
    made.add_argument(
        "--rounds", type=int, default=5, help="how often each is started; the table has the medians [%(default)s]"
    )
    made.add_argument("--count", type=int, default=60, help="orchestrations of a turn [%(default)s]")
    made.add_argument("--turns", type=int, default=8, help="of each worker at each load in a round [%(default)s]")
    made.add_argument("--at-a-time", type=int, default=50, help="how many of them at a time [%(default)s]")
    made.add_argument("--workers", nargs="+", choices=WORKERS, default=WORKERS, help="[all]", metavar="WORKER")
    made.add_argument("--directory", type=Path, help="where the database goes [the system's for temporary files]")

    return made


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
