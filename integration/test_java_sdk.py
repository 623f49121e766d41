"""Maven's `com.microsoft:durabletask-client`, in a program of its language, against our server on SQLite. By `nox -s java` only.

What is tried stands in `java/`, for JUnit. It runs once, and each of its tests is a test here.
"""

import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Mapping

import pytest

from integration.languages import BUILT_WITHIN, JAVA, LanguageUnavailableError, alone_in_java, maven
from integration.processes import our_server

CASES = JAVA / "src" / "test" / "java" / "interop"
TESTS = [
    (file.stem, name)
    for file in sorted(CASES.glob("*Test.java"))
    for name in re.findall(r"^  @Test\n  void (\w+)\(\)", file.read_text("utf-8"), re.MULTILINE)
]
REPORTS = JAVA / "target" / "surefire-reports"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], str]:
    """For each test that was run, what it said when it failed, or nothing."""
    folder = tmp_path_factory.mktemp("java")

    with alone_in_java(), our_server(folder / "hub.sqlite3", folder / "server.log") as server:
        shutil.rmtree(REPORTS, ignore_errors=True)

        try:
            ran = maven("test", environment={"DURABLETASK_ADDRESS": server.address})
        except LanguageUnavailableError as missing:
            pytest.skip(str(missing))

        cases = [case for file in REPORTS.glob("TEST-*.xml") for case in ET.parse(file).getroot().iter("testcase")]
        log = "\n".join(line for line in server.log.splitlines() if " INFO " not in line)

    if not cases:
        pytest.fail(f"no test was run:\n{ran.stdout}")

    def said(case: ET.Element) -> str:
        wrong = [part for part in case if part.tag in ("failure", "error", "skipped")]

        return "".join(f"{part.text or part.get('message')}\nthe server said:\n{log}" for part in wrong)

    return {(case.get("classname", "").split(".")[-1], case.get("name", "")): said(case) for case in cases}


@pytest.mark.timeout(BUILT_WITHIN + 20)
@pytest.mark.parametrize(("file", "name"), TESTS, ids=[f"{file}: {name}" for file, name in TESTS])
def test_java(outcomes: Mapping[tuple[str, str], str], file: str, name: str) -> None:
    assert (file, name) in outcomes, "the program ended before it"
    assert not outcomes[file, name], outcomes[file, name]


def test_all_tests_of_the_program_are_run() -> None:
    written = sum(len(re.findall(r"@\w*Test\b", file.read_text("utf-8"))) for file in CASES.glob("*.java"))
    assert written == len(TESTS) == len(set(TESTS)) > 0
