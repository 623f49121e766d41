"""The npm SDK `@microsoft/durabletask-js`, in a program of its language, against our server on SQLite.

What is tried stands in `js/`, for Node's own test runner. Each file runs once, on a server of its own, and each of its tests
is a test here.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TypedDict

import pytest

from integration.processes import our_server

JS = Path(__file__).parent / "js"
TESTS = [
    (file.name, name)
    for file in sorted(JS.glob("*.test.js"))
    for name in re.findall(r'^test\("(.+?)",', file.read_text("utf-8"), re.MULTILINE)
]
OLDEST_NODE = 20
PATIENCE = 100
"""Seconds for a file; the longest takes fifteen."""


class Outcome(TypedDict):
    file: str
    test: str
    ok: bool
    detail: str
    seconds: float


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the SDK installed from npm in `js/node_modules`, as `js/package.json` pins it."""
    found, npm = shutil.which("node"), shutil.which("npm")

    if found is None or npm is None:
        pytest.skip("no node and npm on the path, so npm's @microsoft/durabletask-js cannot run")

    version = output_of([found, "--version"]).removeprefix("v")

    if int(version.split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version} is too old for npm's @microsoft/durabletask-js; {OLDEST_NODE} would do")

    # Two runs at a time may both find it missing.
    with (Path(tempfile.gettempdir()) / "durabletask-js.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        if not installed():
            options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            ran = subprocess.run([npm, "install", *options], cwd=JS, capture_output=True, text=True, check=False)

            if ran.returncode != 0 or not installed():
                said = ran.stderr.strip().splitlines() or ["nothing"]
                pytest.skip(f"npm install failed, so npm's @microsoft/durabletask-js cannot run; it said: {said[0]}")

    return found


@pytest.fixture(scope="module")
def outcomes(node: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Mapping[str, Outcome]]:
    """How the tests of a file went, by their names."""

    @cache
    def run(file: str) -> Mapping[str, Outcome]:
        folder = tmp_path_factory.mktemp("js")

        with our_server(folder / "hub.sqlite3", folder / "server.log") as server:
            command = [
                node,
                "--test",
                f"--test-timeout={PATIENCE * 1000 - 10_000}",
                "--test-reporter=./reporter.js",
                file,
            ]
            environment = {"DURABLETASK_ADDRESS": server.address}
            lines = [json.loads(line) for line in output_of(command, environment).splitlines()]
            log = "\n".join(line for line in server.log.splitlines() if " INFO " not in line)

        found: dict[str, Outcome] = {line["test"]: line for line in lines}

        for one in found.values():
            one["detail"] += f"\nthe server said:\n{log}"

        return found

    return run


@pytest.mark.timeout(PATIENCE + 20)
@pytest.mark.parametrize(("file", "name"), TESTS, ids=[f"{file.split('.')[0]}: {name}" for file, name in TESTS])
def test_js(outcomes: Callable[[str], Mapping[str, Outcome]], file: str, name: str) -> None:
    found = outcomes(file)
    assert name in found, (
        f"{file} ended before it, and said:\n{found[str(JS / file)]['detail'] if str(JS / file) in found else ''}"
    )
    assert found[name]["ok"], found[name]["detail"]


def test_all_tests_of_the_program_are_run() -> None:
    written = sum(len(re.findall(r"\btest\(", file.read_text("utf-8"))) for file in JS.glob("*.test.js"))
    assert written == len(TESTS) == len(set(TESTS)) > 0


def installed() -> bool:
    """Whether `node_modules` has what `package.json` pins."""
    pins: dict[str, str] = json.loads((JS / "package.json").read_text("utf-8"))["dependencies"]

    for name, version in pins.items():
        manifest = JS / "node_modules" / name / "package.json"

        if not manifest.exists() or json.loads(manifest.read_text("utf-8"))["version"] != version:
            return False

    return True


def output_of(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    """What a program of `js/` prints, whether it succeeds or not."""
    ran = subprocess.run(
        command,
        cwd=JS,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    return ran.stdout
