"""The process that keeps another one running while its code changes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from durabletask_worker._reload import Stamps, Supervisor

PROGRAM = """
import os, signal, sys

with open(sys.argv[1], "a") as starts:
    starts.write("started ")

sys.stdin.read()
os.kill(os.getppid(), signal.SIGTERM)
"""


def test_nothing_starts_anew_when_told_to_stop_while_a_process_ends(tmp_path: Path) -> None:
    starts, versions = tmp_path / "starts", count()

    def look(roots: Sequence[Path]) -> Stamps:
        return {tmp_path: (next(versions), 0)}

    supervisor = Supervisor(
        [sys.executable, "-c", PROGRAM, str(starts)], roots=(), grace=20, logger=logging.getLogger(), look=look
    )

    assert supervisor.run() == 0
    assert starts.read_text() == "started "
