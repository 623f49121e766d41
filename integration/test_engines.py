"""Our worker and our client on engines that are not ours: the in-memory backend that PyPI `durabletask` ships for tests; and on
our own server, where all of it must hold. For durabletask-go see `test_go_engine.py`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.engines.hub import Hub
from integration.engines.lacks import LACKS
from integration.engines.runs import Engine, check
from integration.engines.table import TITLES, scenarios, table
from integration.peer_environment import ROOT
from integration.processes import Server, free_port, our_server


@pytest.fixture(scope="module", params=["ours", "peer"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp(request.param)

    if request.param == "ours":
        return Engine(name="ours", folder=folder, server=lambda at: our_server(at / "hub.sqlite3", at / "server.log"))

    python: Path = request.getfixturevalue("peer_python")

    def in_memory(at: Path) -> Server:
        port = free_port()

        return Server([python, ROOT / "benchmarks" / "peer_server.py", str(port)], port, at / "server.log")

    return Engine(name="peer", folder=folder, server=in_memory)


@pytest.fixture(scope="module")
def hub(engine: Engine) -> Iterator[Hub]:
    with engine.hub("shared") as hub:
        yield hub


@pytest.mark.parametrize("scenario", scenarios())
def test_scenario(engine: Engine, hub: Hub, scenario: str) -> None:
    check(engine, hub, scenario)


def test_the_table_is_about_scenarios_that_are_there() -> None:
    named = {name for lacks in LACKS.values() for name in lacks}
    assert named <= scenarios().keys()
    assert LACKS.keys() == TITLES.keys()


def test_the_document_has_the_table() -> None:
    document = (ROOT / "docs" / "engines.md").read_text("utf-8")
    assert table() in document, "the table of docs/engines.md is old; python -m integration.engines.table prints it"
