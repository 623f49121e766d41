"""kill -9 of the process that embeds a hub, at fifty points of time that chance gives: all orchestrations finish, results right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 50
PROGRAM = Path(__file__).parent / "embedded" / "kills.py"


@pytest.mark.timeout(180)
def test_every_orchestration_survives_fifty_kills(tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, PROGRAM, tmp_path, "6", str(KILLS)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)

    assert found["lost"] == []
    assert found["wrong"] == []
    assert found["total"] == found["there"] >= found["acknowledged"] > KILLS, found
