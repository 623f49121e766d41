"""The committed code is what the .proto generates."""

import subprocess
import sys
from pathlib import Path

import pytest

GENERATE = Path(__file__).parents[1] / "generate.py"
WRONG_GENERATORS = 3


def test_generated_code_is_fresh() -> None:
    ran = subprocess.run([sys.executable, str(GENERATE), "--check"], capture_output=True, text=True, check=False)
    if ran.returncode == WRONG_GENERATORS:
        pytest.skip(f"`nox -s protos` checks it: {ran.stderr.strip()}")

    assert ran.returncode == 0, ran.stderr
