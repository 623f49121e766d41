"""A `durabletask-server` in a process of its own, for the quickstart."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_LISTENING = "listening on "


@contextmanager
def started_server(db: Path) -> Iterator[str]:
    """A server on a SQLite file, for as long as the context lasts.

    Args:
        db: The file; its folder is made if it is not there.

    Yields:
        Its address, as `host:port`.

    Raises:
        SystemExit: It did not start; with what it said.
    """
    db.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "durabletask_server", "--port", "0", "--db", str(db), "--log-format", "human"]

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
