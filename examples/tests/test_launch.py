"""What an editor starts with F5 is there."""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from integration.peer_environment import ROOT
from integration.processes import Server, free_port

LAUNCH = json.loads((ROOT / ".vscode" / "launch.json").read_text("utf-8"))


def test_the_modules_are_there() -> None:
    modules = [each["module"] for each in LAUNCH["configurations"] if "module" in each]
    assert modules
    assert all(find_spec(module) is not None for module in modules)


def test_the_first_starts_the_server(tmp_path: Path) -> None:
    first = LAUNCH["configurations"][0]
    arguments = [re.sub(r"\$\{workspaceFolder\}", str(tmp_path), argument) for argument in first["args"]]
    (tmp_path / ".demo").mkdir()
    port = free_port()

    # Started means that it answers.
    with Server([sys.executable, "-m", first["module"], *arguments, "--port", str(port)], port, tmp_path / "log"):
        assert (tmp_path / ".demo" / "debug.sqlite3").exists()
