"""The command line, as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.history_json import load
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub

SERVER = [sys.executable, "-m", "durabletask_server"]


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A server that listens: its process, its address, and what it has logged so far."""
    process = subprocess.Popen(
        [*SERVER, "--log-format", "human", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stderr is not None
    log: list[str] = []

    with process, process.stderr:
        try:
            for line in process.stderr:
                log.append(line)

                if found := re.search(r"listening on (\S+)", line):
                    yield process, found[1], log
                    break
            else:
                pytest.fail(f"the server did not come up: {log}")
        finally:
            process.kill()


def refused(*arguments: str) -> str:
    """What a server says that does not come up, without its log."""
    done = subprocess.run([*SERVER, "--port", "0", *arguments], capture_output=True, text=True, timeout=30, check=False)
    said = [line for line in done.stderr.splitlines() if line.startswith("durabletask-server: ")]

    assert done.returncode == 1, done.stderr
    assert len(said) == 1, done.stderr
    assert "Traceback" not in done.stderr

    return said[0]


def test_it_says_at_start_what_it_serves(tmp_path: Path) -> None:
    with running("--port", "0", "--db", str(tmp_path / "hub.sqlite3")) as (_, address, log):
        pass

    text = "".join(log)

    assert re.fullmatch(r"localhost:\d+", address)
    assert f"SQLite file {tmp_path / 'hub.sqlite3'}" in text
    assert "activity processor waits for work" in text
    assert "orchestration processor waits for work" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_it_and_it_exits_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with running("--port", "0", "--db", str(tmp_path / "hub.sqlite3")) as (process, _, _log):
        process.send_signal(number)
        _, rest = process.communicate(timeout=10)

    assert process.returncode == 0
    assert rest.endswith("stopped\n")


def test_the_environment_sets_options_too() -> None:
    with running(DURABLETASK_PORT="0", DURABLETASK_DB="memory:", DURABLETASK_HOST="127.0.0.1") as (_, address, log):
        pass

    assert address.startswith("127.0.0.1:")
    assert any("opening memory" in line for line in log)


def test_an_empty_db_is_sqlite_in_memory() -> None:
    with running("--port", "0", "--db", "") as (_, _, log):
        pass

    assert any("opening SQLite in memory" in line for line in log)


def test_a_second_server_on_the_file_fails_and_names_the_holder(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.sqlite3")

    with running("--port", "0", "--db", path) as (process, _, _log):
        assert f"process {process.pid}" in refused("--db", path)


def test_a_dead_holder_is_no_obstacle(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.sqlite3")

    with running("--port", "0", "--db", path) as (process, _, _log):
        process.kill()

    with running("--port", "0", "--db", path) as (_, address, _log):
        assert address


def test_an_acknowledged_start_survives_a_kill(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.sqlite3")

    with running("--port", "0", "--db", path) as (process, address, _log), grpc.insecure_channel(address) as channel:
        TaskHubSidecarServiceStub(channel).StartInstance(pb.CreateInstanceRequest(instanceId="kept", name="any"))
        process.kill()

    with running("--port", "0", "--db", path) as (_, address, _log), grpc.insecure_channel(address) as channel:
        found = TaskHubSidecarServiceStub(channel).GetInstance(pb.GetInstanceRequest(instanceId="kept"))

    assert found.exists
    assert found.orchestrationState.orchestrationStatus == pb.ORCHESTRATION_STATUS_PENDING


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but somebody's notes\n" * 10)
    before = path.read_bytes()

    assert "not a SQLite database" in refused("--db", str(path))
    assert path.read_bytes() == before


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.sqlite3"

    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (a)")

    connection.close()
    before = path.read_bytes()

    assert "not one of task hubs" in refused("--db", str(path))
    assert path.read_bytes() == before


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"

    with running("--port", "0", "--db", str(path)) as (process, _, _log):
        process.terminate()
        process.communicate(timeout=10)

    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 1000")

    connection.close()
    before = path.read_bytes()

    assert "newer" in refused("--db", str(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("location", "says"),
    [("/no/such/folder/hub.sqlite3", "does not exist"), ("mysql://host/hub", "mysql"), ("memory:x", "memory:")],
)
def test_a_location_that_cannot_be_says_why(location: str, says: str) -> None:
    assert says in refused("--db", location)


def test_a_port_that_is_taken_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        assert port in refused("--db", "memory:", "--host", "127.0.0.1", "--port", port)


@pytest.mark.parametrize(
    "arguments", [("--port", "70000"), ("--grace", "soon"), ("--log-level", "loud"), ("--commit-batch-limit", "0")]
)
def test_a_wrong_option_is_named(arguments: tuple[str, str]) -> None:
    done = subprocess.run([*SERVER, *arguments], capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 2
    assert f"argument {arguments[0]}" in done.stderr


def test_help_names_every_option() -> None:
    done = subprocess.run([*SERVER, "--help"], capture_output=True, text=True, timeout=30, check=True)

    for flag in ("--host", "--port", "--db", "--grace", "--commit-batch-limit", "--log-level", "--version"):
        assert flag in done.stdout


def history(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SERVER, "history", *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_a_history_is_exported(tmp_path: Path) -> None:
    db, file = str(tmp_path / "hub.sqlite3"), tmp_path / "i.json"

    with running("--port", "0", "--db", db) as (_, address, _log), grpc.insecure_channel(address) as channel:
        stub = TaskHubSidecarServiceStub(channel)
        stub.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="waits"))
        stub.TerminateInstance(pb.TerminateRequest(instanceId="i"))
        stub.WaitForInstanceCompletion(pb.GetInstanceRequest(instanceId="i"), timeout=30)
        events = tuple(
            event
            for chunk in stub.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId="i"))
            for event in chunk.events
        )
        done = history("i", "--server", address)
        assert done.returncode == 0, done.stderr
        assert load(done.stdout).events == events
        assert events[-1].executionCompleted.orchestrationStatus == pb.ORCHESTRATION_STATUS_TERMINATED

        assert history("x", "--server", address).stderr == (
            "durabletask-server history: no orchestration instance has the id 'x' (NOT_FOUND)\n"
        )
        assert "in use" in history("i", "--db", db).stderr

    assert history("i", "--db", db, "-o", str(file)).returncode == 0
    assert file.read_text("utf-8") == done.stdout
    nowhere = history("i", "--db", db, "-o", str(tmp_path / "no" / "i.json"))
    assert (nowhere.returncode, nowhere.stderr.count("\n")) == (1, 1)
    assert "no/i.json: No such file or directory" in nowhere.stderr
    missing = history("i", "--db", db, "--taskhub", "other")
    assert (missing.returncode, missing.stderr) == (
        1,
        "durabletask-server history: no orchestration instance has the id 'i' in task hub 'other'\n",
    )
