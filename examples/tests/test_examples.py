"""The examples, each as a user runs it: a program, a server, what it prints."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.peer_environment import ROOT, PeerUnavailableError, peer_python
from integration.processes import Server, free_port, our_server

EXAMPLES = Path(__file__).parents[1]

PRINTS = {
    "activity_sequence": r"\['Hello, Tokyo!', 'Hello, London!', 'Hello, Seattle!'\]\n",
    "fan_out_fan_in": r"(device-\d\d: (updated|failed)\n){20}success rate: \d+%\n",
    "external_events": r"approved by Ada\nnobody approved in time\n",
    "retries": (
        r"(  call \d\n){3}a quote, at call 3\n"
        r"(  call \d\n){3}given up: .*the service does not answer.*\n"
    ),
    "bank_transfer": (
        r"25.00 from ada to bob: done\n999.00 from eve to bob: refused\n"
        r"ada has 75.00, bob has 125.00, eve has 100.00\n300.00 in all, after 18 transfers at the same time\n"
    ),
    "sub_orchestrations": r"tea \(packed\) \+ cup \(packed\)\nbook \(packed\)\n",
}


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, EXAMPLES / f"{program}.py", *arguments]

    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


TRANSFORMED = r"transform (\d+)\n"


@pytest.fixture(scope="module", params=["ours", "PyPI's"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An engine in a process of its own: our server, and the one in memory that PyPI `durabletask` ships."""
    folder = tmp_path_factory.mktemp("engine")

    if request.param == "ours":
        server = our_server(folder / "hub.sqlite3", folder / "server.log")
    else:
        try:
            python = peer_python()
        except PeerUnavailableError as error:
            pytest.skip(f"no environment for PyPI durabletask: {error}")

        port = free_port()
        server = Server([python, ROOT / "benchmarks" / "peer_server.py", str(port)], port, folder / "server.log")

    with server:
        yield server


@pytest.mark.parametrize("program", PRINTS)
def test_it_runs_by_itself(program: str) -> None:
    ran = run(program)

    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert re.fullmatch(PRINTS[program], ran.stdout), ran.stdout


@pytest.mark.parametrize("program", PRINTS)
def test_it_runs_unchanged_on_an_engine_elsewhere(engine: Server, program: str) -> None:
    ran = run(program, "--server", engine.address)

    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(PRINTS[program], ran.stdout), ran.stdout


def test_some_work_is_done_by_a_remote_worker() -> None:
    ran = run("heterogeneous")

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "2 pictures, listed by this one",
        "sea.png, made small by the other one",
        "hills.png, made small by the other one",
    ]


def test_a_trace_is_printed_where_there_is_no_zipkin() -> None:
    ran = run("distributed_tracing")

    assert ran.returncode == 0, ran.stderr
    assert re.search(r"^sunny in tokyo$", ran.stdout, re.MULTILINE)
    trace_id = re.search(r"^trace ([0-9a-f]{32})$", ran.stdout, re.MULTILINE)
    assert trace_id is not None
    assert ran.stdout.count(f'"trace_id": "0x{trace_id[1]}"') == 10
    assert '"name": "orchestration:weather:timer"' in ran.stdout


def test_a_pipeline_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, "-u", EXAMPLES / "data_pipeline.py", "--db", tmp_path / "hub.sqlite3"]
    first = []

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None

        for line in program.stdout:
            first += re.findall(TRANSFORMED, line)

            if len(first) == 12:
                program.kill()
                break

    ran = run("data_pipeline", "--db", tmp_path / "hub.sqlite3")
    second = re.findall(TRANSFORMED, ran.stdout)
    assert ran.returncode == 0, ran.stderr
    assert "it was begun before" in ran.stdout
    assert "extract" not in ran.stdout
    assert "the sum is 1999000" in ran.stdout
    # What was done and not yet on record is done again; it is not all.
    assert {*first, *second} == {str(number) for number in range(20)}
    assert len(second) < 20


def test_the_quickstart_remembers_its_last_run(tmp_path: Path) -> None:
    first, second = (run("quickstart", "--db", tmp_path / "hub.sqlite3") for _ in range(2))

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "0 orchestrations" in first.stdout
    assert "2 orchestrations" in second.stdout
    assert "ExecutionStarted" in first.stdout
    assert first.stdout.count("TaskCompleted") == 3
    assert "Hello, Seattle!" in first.stdout


def test_a_hub_that_cannot_start_is_explained(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("this is not a database, and too long to be taken for an empty one" * 20)
    ran = run("activity_sequence", "--db", tmp_path / "notes.txt")

    assert ran.returncode != 0
    assert "the hub did not start" in ran.stderr
    assert "notes.txt" in ran.stderr
    assert "Traceback" not in ran.stderr
