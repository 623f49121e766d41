"""PyPI `durabletask`, worker and client in a process and an environment of their own, against our server on SQLite.

What is tried stands in `peer/`: one program runs every scenario once, and each is a test here.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypedDict

import pytest

from integration.processes import Server, our_server

PEER = Path(__file__).parent / "peer"
SCENARIOS = [
    name
    for module in sorted(PEER.glob("*.py"))
    for name in re.findall(r"^def scenario_(\w+)", module.read_text(), re.MULTILINE)
]
PATIENCE = 300
"""Seconds for all of them; they take ten."""


class Outcome(TypedDict):
    scenario: str
    ok: bool
    detail: str


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("peer")

    with our_server(folder / "hub.sqlite3", folder / "server.log") as started:
        yield started


@pytest.fixture(scope="module")
def outcomes(shared_server: Server, peer_python: Path) -> Mapping[str, Outcome]:
    ran = subprocess.run(
        [peer_python, PEER / "scenarios.py", shared_server.address],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    lines: list[Outcome] = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 0, ran.stderr

    return {line["scenario"]: line for line in lines}


@pytest.mark.timeout(PATIENCE + 20)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(outcomes: Mapping[str, Outcome], scenario: str) -> None:
    outcome = outcomes[scenario]
    assert outcome["ok"], outcome["detail"]
