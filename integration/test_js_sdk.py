"""The npm SDK `@microsoft/durabletask-js`, in a program of its language, against our server on SQLite.

What is tried stands in `js/`, for Node's own test runner. Each file runs once, on a server of its own, and each of its tests
is a test here.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypedDict

import pytest

from integration import languages
from integration.languages import JS
from integration.processes import our_server

TESTS = [
    (file.name, name)
    for file in sorted(JS.glob("*.test.js"))
    for name in re.findall(r'^test\("(.+?)",', file.read_text("utf-8"), re.MULTILINE)
]
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
    """Node, with the SDK."""
    try:
        return languages.node()
    except languages.LanguageUnavailableError as missing:
        pytest.skip(str(missing))


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
