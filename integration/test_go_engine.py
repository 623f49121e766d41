"""Our worker and our client on durabletask-go's engine, which `go/main.go` serves. By `nox -s go` only, for it needs Go."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.engines.hub import Hub
from integration.engines.runs import Engine, check
from integration.engines.table import scenarios
from integration.languages import BUILT_WITHIN, GO_ENGINE, LanguageUnavailableError, go_program
from integration.processes import Server, free_port


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("go")

    try:
        sidecar = go_program(GO_ENGINE, ".", folder / "sidecar")
    except LanguageUnavailableError as missing:
        pytest.skip(str(missing))

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
