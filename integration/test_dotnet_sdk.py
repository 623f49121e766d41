"""The .NET SDK, by the image in which its tests are published, against our server on SQLite. By `nox -s dotnet` only.

The image is a program of its own: it is told where the server is, runs its 33 tests, and ends with 0 if all have passed.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from integration.processes import our_server

IMAGE = "cgillum/durabletask-dotnet-tester:0.5.0-beta"
FETCHED_WITHIN, PATIENCE = 580, 600
"""Seconds for the image, and for its tests."""


@pytest.fixture(scope="module")
def docker() -> str:
    """The command of a container engine that answers, with the image."""
    found = shutil.which("docker")

    if found is None:
        pytest.skip("no docker on the path, so the image with the .NET SDK cannot run")

    answer = subprocess.run([found, "info"], capture_output=True, text=True, timeout=60, check=False)

    if answer.returncode != 0:
        pytest.skip("`docker info` reaches no container engine, so the image with the .NET SDK cannot run")

    fetched = subprocess.run(
        [found, "pull", "--quiet", IMAGE], capture_output=True, text=True, timeout=FETCHED_WITHIN, check=False
    )

    if fetched.returncode != 0:
        said = fetched.stderr.strip().splitlines() or ["nothing"]
        pytest.skip(f"{IMAGE} cannot be fetched; docker said: {said[-1]}")

    return found


@pytest.mark.timeout(FETCHED_WITHIN + PATIENCE)
def test_dotnet(docker: str, tmp_path: Path) -> None:
    with our_server(tmp_path / "hub.sqlite3", tmp_path / "server.log") as server:
        host, port = server.address.split(":")
        where = [f"--env=GRPC_HOST={host}", f"--env=GRPC_PORT={port}"]
        ran = subprocess.run(
            [docker, "run", "--rm", "--network=host", *where, IMAGE],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    assert ran.returncode == 0, ran.stdout
