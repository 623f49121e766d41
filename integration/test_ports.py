"""Programs for PyPI `durabletask`, ported to our worker and client: they change their imports, one line that is named here, and
nothing else. Both do the same on our server.
"""

import difflib
import subprocess
import sys
from pathlib import Path

import pytest

from integration.processes import our_server

PEERS, OURS = (Path(__file__).parent / "ports" / whose for whose in ("peer", "ours"))
PROGRAMS = sorted(path.stem for path in PEERS.glob("*.py"))
PATIENCE = 60
"""Seconds; a program takes three."""

CHANGED = {
    # Our times are aware, in UTC, and Python compares them with aware ones only. The naive `deadline` is taken as UTC when the
    # timer is created, and so is `start_at`.
    "late = ctx.current_utc_datetime >= deadline": "late = ctx.current_utc_datetime >= deadline.replace(tzinfo=UTC)",
}
"""Lines that a port has to change, and to what."""


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_port_changes_imports_and_the_lines_that_are_named(program: str) -> None:
    before, after = ((folder / f"{program}.py").read_text("utf-8").splitlines() for folder in (PEERS, OURS))
    changes = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    gone, come = (
        [
            text
            for line in changes
            if line[0] == sign and not (text := line[2:].strip()).startswith(("import ", "from ")) and text
        ]
        for sign in "-+"
    )
    assert come == [CHANGED.get(line) for line in gone]


def test_every_port_has_its_original_and_every_named_line_is_needed() -> None:
    assert sorted(path.stem for path in OURS.glob("*.py")) == PROGRAMS
    assert len(PROGRAMS) == 5
    originals = "".join((PEERS / f"{program}.py").read_text("utf-8") for program in PROGRAMS)
    assert all(line in originals for line in CHANGED)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_port_does_what_the_original_does(peer_python: Path, tmp_path: Path, program: str) -> None:
    theirs = _output(peer_python, PEERS / f"{program}.py", tmp_path / "theirs")
    ours = _output(sys.executable, OURS / f"{program}.py", tmp_path / "ours")
    assert ours == theirs
    assert theirs


def _output(python: Path | str, program: Path, folder: Path) -> str:
    folder.mkdir()

    with our_server(folder / "hub.sqlite3", folder / "server.log") as server:
        command = [python, program, server.address]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert ran.returncode == 0, ran.stderr

    return ran.stdout
