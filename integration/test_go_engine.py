"""Our worker and our client on durabletask-go's engine, which `go/main.go` serves. By `nox -s go` only, for it needs Go."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.engines.hub import Hub
from integration.engines.runs import Engine, check
from integration.engines.table import scenarios
from integration.processes import Server, free_port

GO = Path(__file__).parent / "go"
BUILT_WITHIN = 580
"""Seconds; the first build translates SQLite, which takes a minute."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")

    if go is None:
        pytest.skip("no go on the path, so durabletask-go cannot be built")

    folder = tmp_path_factory.mktemp("go")
    sidecar = folder / "sidecar"
    command: list[str | Path] = [go, "build", "-mod=readonly", "-buildvcs=false", "-o", sidecar, "."]
    built = subprocess.run(command, cwd=GO, capture_output=True, text=True, timeout=BUILT_WITHIN, check=False)

    if built.returncode != 0:
        said = built.stderr.strip().splitlines() or ["nothing"]
        pytest.skip(f"go build failed, so durabletask-go cannot run; it said: {said[-1]}")

    def serve(at: Path) -> Server:
        port = free_port()

        return Server([sidecar, "-port", str(port), "-db", at / "hub.sqlite3"], port, at / "server.log")

    return Engine(name="go", folder=folder, server=serve)


@pytest.fixture(scope="module")
def hub(engine: Engine) -> Iterator[Hub]:
    with engine.hub("shared") as hub:
        yield hub


@pytest.mark.timeout(BUILT_WITHIN + 20)
@pytest.mark.parametrize("scenario", scenarios())
def test_scenario(engine: Engine, hub: Hub, scenario: str) -> None:
    check(engine, hub, scenario)
