"""Replay of long histories: ours and PyPI `durabletask`'s, in turns, without a server. Prints Markdown.

    python benchmarks/replay_speed.py [--help]

Each SDK is a process of its own, with the same version of Python, and stays throughout. All get the same bytes, parse them with their own
messages, and replay them from the first event to the answer; that last part is timed, as CPU of the process. The first round warms up
and does not count; the order turns with each round. All must answer the same, and our code must not be edited
meanwhile. Ratios are of two replays of one round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.replay_histories import HISTORIES
from benchmarks.sources import SourcesChangedError, digest, require_unchanged
from integration.peer_environment import PeerUnavailableError, peer_python

HERE = Path(__file__).resolve().parent
GOAL = 3.0
"""Times as fast as the peer, at least."""

PEER, OURS, GENERATORS = "PyPI durabletask", "ours", "ours, the peer's program"
SDKS = (PEER, OURS, GENERATORS)

Seen = Mapping[str, float]
"""CPU seconds of a replay, by SDK."""


class ReplayError(Exception):
    """A replay could not be had, or did not answer what the others did."""


class Replayer:
    """A program that replays one history after the other.

    Args:
        command: What to run.
    """

    def __init__(self, command: Sequence[str | Path]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def replay(self, history: Path) -> tuple[float, Any]:
        """Replay a history.

        Args:
            history: An `OrchestratorRequest` in a file.

        Returns:
            CPU seconds, and the actions as plain values.

        Raises:
            ReplayError: The program has ended.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise ReplayError("the program has no pipes")

        print(history, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()

        if not line:
            raise ReplayError(f"{self._process.args!r} ended with {self._process.wait()}")

        answer = json.loads(line)

        return answer["seconds"], answer["actions"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def main(options: argparse.Namespace) -> int:
    """Measure, and print.

    Returns:
        0 if everything could be measured and all answered the same, whatever came of it.
    """
    before, sources = os.getloadavg()[0], digest()

    try:
        rounds = {what: list(_measure(what, options)) for what in HISTORIES}
        require_unchanged(sources)
    except (PeerUnavailableError, ReplayError, SourcesChangedError) as error:
        print(error, file=sys.stderr)
        return 1

    print(
        f"Sources {sources}, Python {platform.python_version()}, {os.cpu_count()} cores, load average {before:.1f} before "
        f"and {os.getloadavg()[0]:.1f} after; {options.rounds} rounds.\n"
    )
    print("\n".join(table(rounds, {what: _count(what, options.events) for what in HISTORIES})))

    return 0


def table(rounds: Mapping[str, Sequence[Seen]], events: Mapping[str, int]) -> Iterator[str]:
    """Put what was seen, by history and round, as Markdown."""
    yield "| history | events | SDK | CPU, ms | least to most | times as fast as the peer | least to most | |"
    yield "|---|--:|---|--:|--:|--:|--:|---|"

    for what, seen in rounds.items():
        for sdk in seen[0]:
            took = [one[sdk] * 1e3 for one in seen]
            row = f"| {what} | {events[what]:,} | {sdk} | {median(took):.1f} | {min(took):.1f} to {max(took):.1f} |"

            if PEER not in seen[0]:
                yield f"{row} - | - | |"
                continue

            ratios = [one[PEER] / one[sdk] for one in seen]
            verdict = "" if sdk == PEER else "reached" if median(ratios) >= GOAL else "not reached"
            yield f"{row} {median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} | {verdict} |"


def _measure(what: str, options: argparse.Namespace) -> Iterator[Seen]:
    """All rounds with one history."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        history = Path(folder, "request")
        history.write_bytes(HISTORIES[what](options.events).SerializeToString())
        replayers = {sdk: stack.enter_context(Replayer(_command(sdk))) for sdk in options.sdks}

        for number in range(options.rounds + 1):
            first = number % len(options.sdks)
            seen = {sdk: replayers[sdk].replay(history) for sdk in (*options.sdks[first:], *options.sdks[:first])}
            answers = {sdk: actions for sdk, (_, actions) in seen.items()}

            if len({json.dumps(actions) for actions in answers.values()}) != 1:
                raise ReplayError(f"{what}: the answers differ: {answers}")

            if number:
                yield {sdk: seen[sdk][0] for sdk in options.sdks}


def _count(what: str, events: int) -> int:
    request = HISTORIES[what](events)

    return len(request.pastEvents) + len(request.newEvents)


def _command(sdk: str) -> list[str | Path]:
    if sdk == PEER:
        return [peer_python(), HERE / "replay_peer.py"]

    return [sys.executable, HERE / "replay_ours.py", *(["generators"] if sdk == GENERATORS else [])]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Measures the replay of long histories and prints Markdown.")
    made.add_argument("--rounds", type=int, default=15, help="how often; the table has the medians [%(default)s]")
    made.add_argument("--events", type=int, default=10_000, help="of each history, about [%(default)s]")
    made.add_argument("--sdks", nargs="+", choices=SDKS, default=SDKS, help="[all]", metavar="SDK")

    return made


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
