"""PyPI `durabletask` on a server that is killed: locks, entities, delayed signals and suspended instances outlive it."""

import subprocess
from pathlib import Path

import pytest

from integration.processes import Server

PROGRAM = Path(__file__).parent / "peer" / "survival.py"
PATIENCE = 60
"""Seconds for a run of the program; it takes two."""


@pytest.mark.timeout(3 * PATIENCE)
def test_what_was_under_way_goes_on_after_a_kill(server: Server, peer_python: Path) -> None:
    run(peer_python, server, "before")
    server.restart()
    run(peer_python, server, "after")


def run(python: Path, server: Server, phase: str) -> None:
    ran = subprocess.run(
        [python, PROGRAM, server.address, phase], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 0, ran.stderr
