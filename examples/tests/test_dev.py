"""`dev.py` before anything is installed."""

import ast
import subprocess
import sys
from pathlib import Path

DEV = Path(__file__).parents[2] / "dev.py"


def test_an_old_python_can_read_it_and_so_be_told_that_it_is_too_old() -> None:
    ast.parse(DEV.read_text("utf-8"), feature_version=(3, 8))


def test_an_unknown_command_is_answered_with_the_known_ones() -> None:
    ran = subprocess.run([sys.executable, DEV, "tests"], capture_output=True, text=True, check=False)

    assert ran.returncode == 2
    assert "python3 dev.py test " in ran.stderr
