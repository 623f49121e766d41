"""What the examples share: a task hub, on a server that they start or are given, and the wait for a result."""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from durabletask_client import TaskHubGrpcClient

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds that an orchestration may take here."""

_LISTENING = "listening on "


@contextmanager
def task_hub(description: str, db: Path | None = None) -> Iterator[str]:
    """The address of a task hub, for as long as the context lasts.

    The program's command line decides: `--server localhost:4001` takes a server that runs, `--db FILE` starts one on that
    SQLite file, and without either one starts on `db`.

    Args:
        description: What `--help` says of the program.
        db: The SQLite file to use by default; without it, the server keeps everything in memory.

    Yields:
        The address, as `host:port`.

    Raises:
        SystemExit: The server did not start; with what it said.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--server", metavar="HOST:PORT", help="use this server instead of starting one")
    where.add_argument(
        "--db", metavar="FILE", type=Path, default=db, help=f"the SQLite file [default: {db or 'in memory'}]"
    )
    options = parser.parse_args()

    if options.server:
        yield options.server
    else:
        with _started(options.db) as address:
            yield address


def result(client: TaskHubGrpcClient, instance_id: str, kind: type[T]) -> T:
    """Wait until an orchestration has ended.

    Args:
        client: A client of its hub.
        instance_id: The orchestration.
        kind: The type of its result.

    Returns:
        Its result.

    Raises:
        OrchestrationFailedError: It failed.
        TimeoutError: It takes longer than `PATIENCE`.
    """
    state = client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
    assert state is not None, "nobody purges it here"
    state.raise_if_failed()
    output = state.get_output(kind)
    assert output is not None, "they all return something"

    return output


@contextmanager
def _started(db: Path | None) -> Iterator[str]:
    if db is not None:
        db.parent.mkdir(parents=True, exist_ok=True)

    command = [sys.executable, "-m", "durabletask_server", "--port", "0", "--db", str(db or "")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = _address(process.stderr)
        # Somebody has to read the rest of its log, or it would stop when the pipe is full.
        reader = threading.Thread(target=process.stderr.read)
        reader.start()
        try:
            yield address
        finally:
            process.terminate()
            reader.join()


def _address(log: IO[str]) -> str:
    said = []
    for line in log:
        said.append(line)

        if _LISTENING in line:
            return line.split(_LISTENING)[1].strip()

    raise SystemExit("".join(["the server did not start:\n", *said]))
