"""durabletask-go's client and worker for gRPC, in a program of its language, against our server on SQLite. By `nox -s go` only.

What is tried stands in `gosdk/`, for Go's own test runner. It runs once, and each of its tests is a test here.
"""

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Mapping

import pytest

from integration.languages import BUILT_WITHIN, GO_SDK, LanguageUnavailableError, go_tests
from integration.processes import our_server

TESTS = [
    name
    for file in sorted(GO_SDK.glob("*_test.go"))
    for name in re.findall(r"^func (Test\w+)\(", file.read_text("utf-8"), re.MULTILINE)
]
PATIENCE = 300
"""Seconds for all; they take five."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[bool, str]]:
    """For each test that was run, whether it passed, and what it said."""
    folder = tmp_path_factory.mktemp("go")

    try:
        program = go_tests(GO_SDK, folder / "tests")
    except LanguageUnavailableError as missing:
        pytest.skip(str(missing))

    with our_server(folder / "hub.sqlite3", folder / "server.log") as server:
        ran = subprocess.run(
            [program, "-test.v", f"-test.timeout={PATIENCE}s"],
            env={**os.environ, "DURABLETASK_ADDRESS": server.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE + 10,
            check=False,
        )
        log = "\n".join(line for line in server.log.splitlines() if " INFO " not in line)

    said: defaultdict[str, str] = defaultdict(str)
    passed: dict[str, bool] = {}
    name = ""

    for line in ran.stdout.splitlines():
        if begun := re.match(r"=== (?:RUN|CONT|NAME) +(\w+)", line):
            name = begun[1]
        elif ended := re.match(r"--- (PASS|FAIL|SKIP): (\w+)", line):
            passed[ended[2]] = ended[1] == "PASS"
        else:
            said[name] += f"{line}\n"

    return {name: (passed.get(name, False), f"{said[name]}the server said:\n{log}") for name in passed.keys() | said}


@pytest.mark.timeout(BUILT_WITHIN + PATIENCE)
@pytest.mark.parametrize("name", TESTS)
def test_go(outcomes: Mapping[str, tuple[bool, str]], name: str) -> None:
    assert name in outcomes, "the program ended before it"
    passed, said = outcomes[name]
    assert passed, said


def test_all_tests_of_the_program_are_run() -> None:
    assert 0 < len(TESTS) == len(set(TESTS))
