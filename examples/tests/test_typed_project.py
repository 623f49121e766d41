"""The typed example project: it runs, mypy finds its types as `checks.py` says, and its errors where `wrong_calls.py` says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1]
PROJECT = EXAMPLES / "typed_project"
WRONG_CALLS = PROJECT / "wrong_calls.py"

PRINTS = [
    "shipped: 2 x tea, 1 x cup, for 2000 cents at UTC",
    "shipped: 2 x pot, for 13600 cents at UTC",
    "refused: the card is refused",
    "in the books: 15600",
]


def mypy(*files: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "--no-error-summary"]
    options = ["--hide-error-context", "--no-pretty", "--show-error-codes"]

    return subprocess.run(
        [*command, *options, *files],
        cwd=EXAMPLES.parent,
        env={**os.environ, "MYPYPATH": str(EXAMPLES)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_it_runs() -> None:
    command = [sys.executable, "-m", "typed_project.main"]
    ran = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == PRINTS


def test_its_types_are_the_ones_that_it_says() -> None:
    checked = mypy(*(file for file in sorted(PROJECT.glob("*.py")) if file != WRONG_CALLS))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_wrong_call_is_an_error_and_nothing_else_is() -> None:
    checked = mypy(WRONG_CALLS)
    errors = re.findall(r"^.*wrong_calls\.py:(\d+): error: (.*)  \[([a-z-]+)\]$", checked.stdout, re.M)
    found = {(int(line), code): message for line, message, code in errors}
    marked = {
        (number, mark[1])
        for number, line in enumerate(WRONG_CALLS.read_text("utf-8").splitlines(), 1)
        if (mark := re.search(r"# error: ([a-z-]+)$", line))
    }

    assert checked.stderr == ""
    assert checked.stdout.count(": error: ") == len(errors), checked.stdout
    assert {key: found[key] for key in found.keys() - marked} == {}, "mypy refuses more than is marked"
    assert marked - found.keys() == set(), "mypy accepts what is marked"
    assert len(marked) > 80
