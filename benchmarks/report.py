"""What was measured, as Markdown: a row a cell with the medians of its rounds, and the ratios that there are goals for."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypedDict


class Seen(TypedDict):
    """What the load prints of one server with one worker; see `load.py`."""

    per_second: float
    server_microseconds: float
    p50: float
    p99: float
    fanout_seconds: float
    fanout_turns: int


Cell = tuple[str, str]
"""A worker and a server."""
Rounds = Mapping[Cell, Sequence[Seen | None]]
"""What was seen of each cell, round by round; None where a round failed."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The throughput of one server over that of another, with the same workers, and the least that is wanted of it."""

    server: str
    other: str
    goal: float
    workers: Sequence[str]


def circumstances(directory: Path, rounds: int, load: str) -> str:
    """What was measured where."""
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, "
        f"an fsync here takes {_fsync(directory) * 1e3:.2f} ms; medians of {rounds}; {load}.\n"
    )


def _fsync(directory: Path) -> float:
    """Seconds to write 4 KiB to the end of a file, and be sure of it."""
    took: list[float] = []

    with Path(directory, "fsync").open("wb", buffering=0) as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)

    return median(took)


def report(rounds: Rounds, ratios: Iterable[Ratio]) -> str:
    """Both tables."""
    return "\n".join([*_cells(rounds), "", *_ratios(rounds, ratios)])


def _cells(rounds: Rounds) -> Iterable[str]:
    yield "| worker | server | 3 steps, orch/s | 1 step p50, ms | p99, ms | fan-out, s | its turns | server CPU, µs/item |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"

    for (worker, server), tries in rounds.items():
        if seen := [one for one in tries if one is not None]:
            numbers = [
                f"{median(one['per_second'] for one in seen):.0f}",
                f"{median(one['p50'] for one in seen):.1f}",
                f"{median(one['p99'] for one in seen):.1f}",
                f"{median(one['fanout_seconds'] for one in seen):.2f}",
                f"{median(one['fanout_turns'] for one in seen):.0f}",
                f"{median(one['server_microseconds'] for one in seen):.0f}",
            ]
        else:
            numbers = ["failed", *"-----"]

        yield f"| {worker} | {server} | {' | '.join(numbers)} |"


def _ratios(rounds: Rounds, ratios: Iterable[Ratio]) -> Iterable[str]:
    yield "| orch/s of | over | worker | median (least to most) | goal | |"
    yield "|---|---|---|--:|--:|---|"

    for ratio in ratios:
        for worker in ratio.workers:
            if (worker, ratio.server) in rounds and (worker, ratio.other) in rounds:
                pairs = zip(rounds[worker, ratio.server], rounds[worker, ratio.other], strict=True)
                # Of one round each: what else the machine did has come to both.
                found = [one["per_second"] / other["per_second"] for one, other in pairs if one and other]
                middle = median(found) if found else 0.0
                spread = f"{middle:.2f} ({min(found):.2f} to {max(found):.2f})" if found else "not measured"
                verdict = "reached" if middle >= ratio.goal else "not reached"
                yield f"| {ratio.server} | {ratio.other} | {worker} | {spread} | ≥ {ratio.goal:g} | {verdict} |"
