"""PyPI `durabletask`, worker and client, in a process and an environment of their own, against our server on SQLite.

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
PATIENCE = 400
"""Seconds for all of them; they take sixty, and one that fails twenty more."""


class Outcome(TypedDict):
    scenario: str
    ok: bool
    seconds: float
    detail: str


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("peer")

    with our_server(folder / "hub.sqlite3", folder / "server.log") as started:
        yield started


@pytest.fixture(scope="module")
def outcomes(
    shared_server: Server, peer_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Outcome]:
    written = tmp_path_factory.mktemp("outcomes") / "lines"

    # Into a file, so that one scenario that hangs does not take the outcomes of the others with it.
    with written.open("w") as lines:
        command: list[str | Path] = [peer_python, PEER / "scenarios.py", shared_server.address]

        try:
            ran = subprocess.run(
                command, stdout=lines, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            pass
        else:
            assert ran.returncode == 0, ran.stderr

    outcomes: list[Outcome] = [json.loads(line) for line in written.read_text().splitlines()]

    return {outcome["scenario"]: outcome for outcome in outcomes}


@pytest.mark.timeout(PATIENCE + 20)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(outcomes: Mapping[str, Outcome], scenario: str) -> None:
    outcome = outcomes.get(scenario)
    assert outcome is not None, f"the program had not come to it after {PATIENCE} s"
    assert outcome["ok"], outcome["detail"]
