"""The interop matrix: its document has what it should, and its patterns find tests."""

import re
import subprocess
import sys
from functools import cache

import pytest

from integration.matrix import BEGIN, BOOKKEEPING, DOCUMENT, END, Result, tables
from integration.peer_environment import ROOT
from integration.suites import FEATURES, SUITES

SDKS = {name: suite for name, suite in SUITES.items() if suite.shows}


@cache
def collected(name: str) -> list[str]:
    """The names of a suite's tests, which are not run."""
    files = [f"integration/{file}" for file in SUITES[name].files]
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *files]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    tests = [line.split("::", 1)[1] for line in ran.stdout.splitlines() if "::" in line]

    return [test for test in tests if not BOOKKEEPING.match(test)]


@pytest.mark.parametrize("name", SDKS)
def test_each_feature_is_shown_or_lacking(name: str) -> None:
    suite, tests = SDKS[name], collected(name)
    assert not suite.shows.keys() & suite.lacks.keys()
    assert {*suite.shows, *suite.lacks} == {*FEATURES}

    for feature, pattern in suite.shows.items():
        assert any(re.search(pattern, test) for test in tests), f"no test of {name} shows {feature}"


@pytest.mark.parametrize("name", SUITES)
def test_the_document_has_the_suite_and_as_many_tests_as_there_are(name: str) -> None:
    suite = SUITES[name]
    written = re.search(
        rf"^\| {re.escape(suite.title)} \| `nox -s {suite.session}` \| (\d+) \| (\d+) \| (\d+) \|",
        DOCUMENT.read_text("utf-8"),
        re.MULTILINE,
    )
    assert written is not None, f"docs/interop.md is old: it has no line for {suite.title}; nox -s matrix writes it"
    assert sum(map(int, written.groups())) == len(collected(name)), "docs/interop.md is old; nox -s matrix writes it"


def test_the_tables_tell_what_passed_failed_and_was_skipped() -> None:
    results = [
        Result(test="test_go[TestSequence]", outcome="passed"),
        Result(test="test_go[TestSequenceOfNoSteps]", outcome="failed"),
        Result(test="test_go[TestTimer]", outcome="skipped", reason="no go on the path"),
    ]
    written = tables({"go": results})
    assert (
        f"| {SUITES['go'].title} | `nox -s go` | 1 | 1 | 1 | failed: `test_go[TestSequenceOfNoSteps]`; no go" in written
    )
    assert "| sequence | 1 passed, 1 failed |" in written
    assert "| timers | 1 skipped |" in written
    assert "| entities | no (2) |" in written
    assert "\n2. no entities\n" in written


def test_the_document_has_a_row_for_each_feature() -> None:
    written = DOCUMENT.read_text("utf-8").split(BEGIN)[1].split(END)[0]
    assert re.findall(r"^\| ([^|]+?) \| (?:\d|no )", written, re.MULTILINE) == [*FEATURES]
