"""The peers' environments: a virtual environment of its own for PyPI `durabletask`, one for `dbos`, made once and used again.

None shares an environment with us, so that the black-box tests and the benchmarks see each as its users have it.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PEER, DBOS = "peer", "dbos"
"""The dependency groups of the root `pyproject.toml` that are peers."""

_PROBE = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"


class PeerUnavailableError(Exception):
    """The environment cannot be made; says which command failed and why."""


def peer_python(group: str = PEER) -> Path:
    """The Python that has a peer, as its dependency group of the root `pyproject.toml` wants it.

    Args:
        group: `PEER` or `DBOS`.

    Raises:
        PeerUnavailableError: It is not there and cannot be made, for example without a network.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted: list[str] = project["dependency-groups"][group]
    pins: list[str] = project["tool"]["uv"]["constraint-dependencies"]
    environment = ROOT / f".venv-{group}"
    python = environment / "bin" / "python"

    # Two runs at a time may both find it missing.
    with (Path(tempfile.gettempdir()) / f"durabletask-{group}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        if not _fits(python, wanted):
            _make(environment, wanted, pins)

            if not _fits(python, wanted):
                raise PeerUnavailableError(f"{environment} was made, but {' '.join(wanted)} is not in it")

    return python


def _fits(python: Path, wanted: list[str]) -> bool:
    if not python.exists():
        return False

    requirements = [Requirement(each) for each in wanted]
    command = [str(python), "-c", _PROBE, *(each.name for each in requirements)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    versions = ran.stdout.split()

    return ran.returncode == 0 and all(
        version in each.specifier for version, each in zip(versions, requirements, strict=True)
    )


def _make(environment: Path, wanted: list[str], pins: list[str]) -> None:
    python = environment / "bin" / "python"

    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(pins))
        constraints.flush()
        packages = ["--quiet", "--constraint", constraints.name, *wanted]

        if uv := shutil.which("uv"):
            _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)])
            _run([uv, "pip", "install", "--python", str(python), *packages])
        else:
            _run([sys.executable, "-m", "venv", "--clear", str(environment)])
            _run([str(python), "-m", "pip", "install", "--disable-pip-version-check", *packages])


def _run(command: list[str]) -> None:
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    if ran.returncode != 0:
        said = ran.stderr.strip().splitlines() or ["nothing"]
        raise PeerUnavailableError(f"{' '.join(command)!r} failed and said: {said[-1]}")
