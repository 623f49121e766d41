"""The examples, each as a user runs it: a program, a server, what it prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from integration.processes import our_server

EXAMPLES = Path(__file__).parents[1]

PRINTS = {
    "activity_sequence": r"\['Hello, Tokyo!', 'Hello, London!', 'Hello, Seattle!'\]\n",
    "fan_out_fan_in": r"(device-\d\d: (updated|failed)\n){20}success rate: \d+%\n",
    "external_events": r"approved by Ada\nnobody approved in time\n",
    "retries": (
        r"(  call \d\n){3}a quote, at call 3\n"
        r"(  call \d\n){3}given up: .*the service does not answer.*\n"
    ),
    "sub_orchestrations": r"tea \(packed\) \+ cup \(packed\)\nbook \(packed\)\n",
}


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / f"{program}.py", *arguments]

    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("program", PRINTS)
def test_it_runs_on_a_server_of_its_own(program: str) -> None:
    ran = run(program)

    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert re.fullmatch(PRINTS[program], ran.stdout), ran.stdout


def test_it_runs_on_a_server_it_is_given(tmp_path: Path) -> None:
    with our_server(tmp_path / "hub.sqlite3", tmp_path / "server.log") as server:
        ran = run("activity_sequence", "--server", server.address)

    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(PRINTS["activity_sequence"], ran.stdout), ran.stdout


def test_the_quickstart_remembers_its_last_run(tmp_path: Path) -> None:
    first, second = (run("quickstart", "--db", tmp_path / "hub.sqlite3") for _ in range(2))

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "0 orchestrations" in first.stdout
    assert "2 orchestrations" in second.stdout
    assert "ExecutionStarted" in first.stdout
    assert first.stdout.count("TaskCompleted") == 3
    assert "Hello, Seattle!" in first.stdout


def test_a_server_that_cannot_start_is_explained(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("this is not a database, and too long to be taken for an empty one" * 20)
    ran = run("activity_sequence", "--db", tmp_path / "notes.txt")

    assert ran.returncode != 0
    assert "the server did not start" in ran.stderr
    assert "notes.txt" in ran.stderr
    assert "Traceback" not in ran.stderr
