"""Runs the project from a clean clone, with nothing but Python 3.11 or newer and a package index.

    python3 dev.py demo            the quickstart: a server, a worker and a client
    python3 dev.py test [...]      the tests; what follows is passed on to pytest
    python3 dev.py nox [...]       the tasks of noxfile.py: `nox --list` names them, `nox -s lint` runs one
    python3 dev.py setup           only make the environment

The first run makes `.venv` in the clone and installs the pinned versions of `pyproject.toml` into it, with uv, which is
installed there too; the system's Python stays as it is. Later runs start at once, until a `pyproject.toml` changes.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "made-from"
OLDEST = (3, 11)

COMMANDS = {
    "demo": ["examples/quickstart.py"],
    "test": ["-m", "pytest"],
    "nox": ["-m", "nox"],
}

NO_VENV = """\
this Python cannot make a virtual environment: it comes without ensurepip. Debian and Ubuntu have it in a package of its own:
    apt install python3-venv
or install uv; dev.py uses the uv on PATH."""
NO_INDEX = """\
a package could not be installed; the lines above say which. The first run needs a network and a package index: a proxy or a
mirror is set as for any pip and uv, with HTTPS_PROXY, PIP_INDEX_URL and UV_DEFAULT_INDEX."""


class SetupError(Exception):
    """The environment cannot be made; says what is missing."""


def main(arguments: list[str]) -> int:
    """Set up if need be, then run the command; returns its exit code."""
    if sys.version_info < OLDEST:  # any Python can start this file
        return fail(
            f"needs Python {OLDEST[0]}.{OLDEST[1]} or newer; this is {sys.version.split()[0]} at {sys.executable}"
        )

    command = arguments[0] if arguments else ""
    if command not in COMMANDS and command != "setup":
        asked = command in ("-h", "--help")
        (sys.stdout if asked else sys.stderr).write(__doc__)
        return 0 if asked else 2

    try:
        set_up()
    except SetupError as error:
        return fail(str(error))

    if command == "setup":
        return 0

    program = [str(PYTHON), *COMMANDS[command], *arguments[1:]]

    if os.name == "posix":
        os.chdir(ROOT)
        os.execve(program[0], program, environment())  # so that signals reach the program itself

    return call(program)


def set_up() -> None:
    """Make `.venv` what the `pyproject.toml` files say, unless it is."""
    stamp = fingerprint()
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == stamp:
        return

    uv = pinned("uv")

    if not runs([PYTHON, "-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"]):
        say(f"making {VENV}")
        make_venv()

    if not runs([PYTHON, "-c", f"from importlib.metadata import version; assert version('uv') == '{uv}'"]):
        say(f"installing uv {uv}")
        install_uv(uv)

    say("installing the workspace and its tools")
    if call([BIN / "uv", "sync", "--quiet", "--inexact", "--group", "dev", "--python", PYTHON]):  # inexact: pip stays
        raise SetupError(NO_INDEX)

    STAMP.write_text(stamp, encoding="utf-8")


def make_venv() -> None:
    """An empty environment with this Python."""
    if runs([sys.executable, "-c", "import ensurepip, venv"]):
        failed = call([sys.executable, "-m", "venv", "--clear", VENV])
    elif runs(["uv", "--version"]):
        failed = call(["uv", "venv", "--quiet", "--clear", "--python", sys.executable, VENV])
    else:
        raise SetupError(NO_VENV)

    if failed:
        raise SetupError(f"cannot make {VENV}; the lines above say why")


def install_uv(version: str) -> None:
    """The pinned uv, into the environment, with what is there: its pip, or a uv on PATH."""
    wanted = f"uv=={version}"
    pip = [str(PYTHON), "-m", "pip"]

    if runs([*pip, "--version"]) or runs([PYTHON, "-m", "ensurepip"]):
        failed = call([*pip, "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries=1", wanted])
    elif runs(["uv", "--version"]):
        failed = call(["uv", "pip", "install", "--quiet", "--python", PYTHON, wanted])
    else:
        raise SetupError(NO_VENV)

    if failed:
        raise SetupError(NO_INDEX)


def environment() -> dict[str, str]:
    """The variables for all that runs in `.venv`: its programs are found, and uv keeps to it and to this Python."""
    variables = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    variables.update(UV_PROJECT_ENVIRONMENT=str(VENV), UV_PYTHON_DOWNLOADS="never")
    variables.pop("VIRTUAL_ENV", None)

    # Behind a proxy that opens TLS, only the system knows whom to trust; a bare container may have no such list at all.
    trusted = ssl.get_default_verify_paths()
    if trusted.cafile or any(Path(trusted.capath or os.devnull).glob("*")) or sys.platform != "linux":
        variables.setdefault("UV_SYSTEM_CERTS", "true")

    return variables


def pinned(name: str) -> str:
    """The version that the root `pyproject.toml` pins `name` to."""
    found = re.search(rf'^    "{name}==([^" ;]+)', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise SetupError(f"pyproject.toml pins no version of {name}; `nox -s pins` writes the pins")

    return found[1]


def fingerprint() -> str:
    """What the environment depends on, in one word."""
    digest = hashlib.sha256(str(VENV).encode())
    for path in [Path(__file__), ROOT / "pyproject.toml", *sorted(ROOT.glob("packages/*/pyproject.toml"))]:
        digest.update(path.read_bytes())

    return digest.hexdigest()


def call(command: Sequence[str | Path]) -> int:
    """Run a command and return its exit code."""
    return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode


def runs(command: Sequence[str | Path]) -> bool:
    """Whether a command exists and succeeds; what it says is dropped."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def say(text: str) -> None:
    """Tell the user what is going on."""
    sys.stderr.write(f"dev.py: {text}\n")


def fail(text: str) -> int:
    """Tell the user what is wrong; returns the exit code."""
    say(text)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
