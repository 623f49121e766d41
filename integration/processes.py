"""Programs in processes of their own, with what they say on record: servers, workers, loads."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from google.protobuf.empty_pb2 import Empty

READY_WITHIN = 10.0
"""Seconds; a server takes less than one, but the machine may be busy."""
STOPPED_WITHIN = 20.0
"""Seconds for a drain."""

_EAGER = (("grpc.initial_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 50))


class ProgramError(Exception):
    """A program did not do what it is there for; the message ends with its log."""


class Program:
    """A program that runs until it is stopped. Leaving its context kills it.

    Args:
        command: What to run.
        log: Where standard output and standard error go; appended to.
        environment: Variables that it has besides ours.
    """

    def __init__(self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._environment = None if environment is None else {**os.environ, **environment}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process, which runs."""
        return self._running().pid

    @property
    def log(self) -> str:
        """What it has said so far, over all its runs."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> Self:
        """Run it."""
        if self._process is not None:
            raise ProgramError(f"{self._command[0]} runs already")

        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

        return self

    def stop(self) -> int:
        """Ask it to end, and wait until it has.

        Returns:
            Its exit code.
        """
        process = self._running()
        process.send_signal(signal.SIGTERM)

        try:
            code = process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProgramError(f"did not stop in {STOPPED_WITHIN:g} s:\n{self.log}") from None

        self._process = None

        return code

    def kill(self) -> None:
        """End it with SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Run it again, with the same command; if it still runs, it is killed first."""
        self.kill()
        self.start()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ProgramError(f"{self._command[0]} does not run:\n{self.log}")

        return self._process

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class Server(Program):
    """A sidecar: started means that it answers.

    Args:
        command: What to run.
        port: Where it listens.
        log: Where its log goes; appended to.
        environment: Variables that it has besides ours.
    """

    def __init__(
        self, command: Sequence[str | Path], port: int, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(command, log, environment)
        self.address = f"localhost:{port}"

    def start(self) -> Self:
        """Run it, and wait until it answers Hello."""
        super().start()
        process = self._running()

        with grpc.insecure_channel(self.address, options=_EAGER) as channel:
            stub = TaskHubSidecarServiceStub(channel)

            for _ in range(int(READY_WITHIN / 0.2)):
                try:
                    stub.Hello(Empty(), timeout=0.2, wait_for_ready=True)
                except grpc.RpcError:
                    if process.poll() is not None:
                        self._process = None
                        raise ProgramError(f"ended with {process.returncode} at start:\n{self.log}") from None
                else:
                    return self

        self.kill()
        raise ProgramError(f"does not answer at {self.address} after {READY_WITHIN:g} s:\n{self.log}")


def our_server(db: Path | str, log: Path, *options: str, environment: Mapping[str, str] | None = None) -> Server:
    """A `durabletask-server`, not started yet, on a port that is free now and stays its own over restarts.

    Args:
        db: The value of `--db`.
        log: Where its log goes.
        options: More of its options.
        environment: Variables that it has besides ours.
    """
    port = free_port()
    command = [sys.executable, "-m", "durabletask_server", "--port", str(port), "--db", str(db), *options]

    return Server(command, port, log, environment)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]

        return port
