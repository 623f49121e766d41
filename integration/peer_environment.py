"""The peer's environment: a virtual environment of its own for PyPI `durabletask`, made once and used again.

Microsoft's SDK and ours never share an environment here, so that the black-box tests and the benchmarks see the SDK as its
users have it.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-peer"

_PROBE = """
import sys
from importlib.metadata import version
from packaging.requirements import Requirement
import durabletask.testing

for wanted in map(Requirement, sys.argv[1:]):
    assert version(wanted.name) in wanted.specifier
"""


class PeerUnavailableError(Exception):
    """The environment cannot be made; says which command failed and why."""


def peer_python() -> Path:
    """The Python that has the peer, as the dependency group `peer` of the root `pyproject.toml` wants it.

    Raises:
        PeerUnavailableError: It is not there and cannot be made, for example without a network.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted: list[str] = project["dependency-groups"]["peer"]
    pins: list[str] = project["tool"]["uv"]["constraint-dependencies"]
    python = ENVIRONMENT / "bin" / "python"

    # Two runs at a time may both find it missing.
    with (Path(tempfile.gettempdir()) / "durabletask-peer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        if not _fits(python, wanted):
            _make(python, wanted, pins)

            if not _fits(python, wanted):
                raise PeerUnavailableError(f"{ENVIRONMENT} was made, but {' '.join(wanted)} cannot be imported from it")

    return python


def _fits(python: Path, wanted: list[str]) -> bool:
    return (
        python.exists()
        and subprocess.run([python, "-c", _PROBE, *wanted], capture_output=True, check=False).returncode == 0
    )


def _make(python: Path, wanted: list[str], pins: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(pins))
        constraints.flush()
        packages = ["--quiet", "--constraint", constraints.name, *wanted]

        if uv := shutil.which("uv"):
            _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(ENVIRONMENT)])
            _run([uv, "pip", "install", "--python", str(python), *packages])
        else:
            _run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)])
            _run([str(python), "-m", "pip", "install", "--disable-pip-version-check", *packages])


def _run(command: list[str]) -> None:
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    if ran.returncode != 0:
        said = ran.stderr.strip().splitlines() or ["nothing"]
        raise PeerUnavailableError(f"{' '.join(command)!r} failed and said: {said[-1]}")
