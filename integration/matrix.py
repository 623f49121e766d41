"""Runs the suites of the interop matrix, and writes what came of it into `docs/interop.md`.

python -m integration.matrix             # all
python -m integration.matrix java go     # only these, and only printed
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from integration.peer_environment import ROOT
from integration.suites import FEATURES, SUITES, Suite

DOCUMENT = ROOT / "docs" / "interop.md"
OUTCOMES = ("passed", "failed", "skipped")
BOOKKEEPING = re.compile(r"test_(all_tests_of_the_program_are_run|the_table_is_about|the_document_has)")
"""Tests of the tests, which show nothing of an SDK."""
BEGIN, END = "<!-- what `python -m integration.matrix` wrote -->\n", "<!-- until here -->\n"
"""In the document, around the tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a test."""

    test: str
    """Its name."""
    outcome: str
    """One of `OUTCOMES`."""
    reason: str = ""
    """Why it was skipped."""


def run(suite: Suite) -> list[Result]:
    """Run a suite's tests.

    Args:
        suite: Which.

    Returns:
        What became of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        files = [f"integration/{file}" for file in suite.files]
        command = [sys.executable, "-m", "pytest", "--quiet", "--tb=short", f"--junitxml={report}", *files]
        subprocess.run(command, cwd=ROOT, check=False)

        results = [_result(case) for case in ET.parse(report).getroot().iter("testcase")]

    return [result for result in results if not BOOKKEEPING.match(result.test)]


def _result(case: ET.Element) -> Result:
    name = case.get("name", "")

    if case.find("failure") is not None or case.find("error") is not None:
        return Result(test=name, outcome="failed")

    if (skipped := case.find("skipped")) is not None:
        # Where a registry is, is this machine's affair.
        reason = re.sub(r" ?\(?\w+://[^\s)]*\)?", "", skipped.get("message", ""))

        return Result(test=name, outcome="skipped", reason=reason)

    return Result(test=name, outcome="passed")


def counts(results: Iterable[Result]) -> str:
    """The outcomes of tests with their numbers, in words."""
    numbers = Counter(result.outcome for result in results)

    return ", ".join(f"{numbers[outcome]} {outcome}" for outcome in OUTCOMES if numbers[outcome]) or "none"


def tables(results: Mapping[str, Sequence[Result]]) -> str:
    """The tables of suites and of features, in Markdown.

    Args:
        results: Of suites, by their names.
    """
    lines = [
        "| client and worker | run by | passed | failed | skipped | |",
        "|---|---|---|---|---|---|",
        *(_suite_line(SUITES[name], found) for name, found in results.items()),
    ]

    if sdks := {name: found for name, found in results.items() if SUITES[name].shows}:
        lines += ["", *_feature_lines(sdks)]

    return "\n".join(lines) + "\n"


def _suite_line(suite: Suite, results: Sequence[Result]) -> str:
    numbers = Counter(result.outcome for result in results)
    failed = [f"failed: `{result.test}`" for result in results if result.outcome == "failed"]
    reasons = {result.reason for result in results if result.outcome == "skipped"}
    remarks = "; ".join([*failed, *sorted(reasons)]).replace("|", "/")
    cells = [suite.title, f"`nox -s {suite.session}`", *(str(numbers[outcome]) for outcome in OUTCOMES), remarks]

    return f"| {' | '.join(cells)} |"


def _feature_lines(sdks: Mapping[str, Sequence[Result]]) -> list[str]:
    reasons: list[str] = []
    lines = [f"| on our server | {' | '.join(SUITES[name].short for name in sdks)} |", "|---|" + "---|" * len(sdks)]

    for feature in FEATURES:
        cells = []

        for name, results in sdks.items():
            if (lack := SUITES[name].lacks.get(feature)) is None:
                cells.append(
                    counts(result for result in results if re.search(SUITES[name].shows[feature], result.test))
                )
                continue

            if lack not in reasons:
                reasons.append(lack)

            cells.append(f"no ({reasons.index(lack) + 1})")

        lines.append(f"| {feature} | {' | '.join(cells)} |")

    return [*lines, "", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))]


def main(names: Sequence[str]) -> int:
    """Run suites; all of them are written down, some are only printed.

    Returns:
        How many of their tests have failed.
    """
    results = {name: run(SUITES[name]) for name in names or SUITES}
    written = tables(results)
    print(written, end="")

    if not names:
        document = DOCUMENT.read_text("utf-8")
        head, rest = document.split(BEGIN, 1)
        DOCUMENT.write_text(f"{head}{BEGIN}\n{written}\n{END}{rest.split(END, 1)[1]}", "utf-8")

    return sum(result.outcome == "failed" for found in results.values() for result in found)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
