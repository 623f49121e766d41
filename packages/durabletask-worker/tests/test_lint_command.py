"""The linter on the command line, and the page that documents it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from durabletask_worker.nondeterminism.command import add_parser, main
from durabletask_worker.nondeterminism.rules import RULES

DOCUMENT = Path(__file__).parents[3] / "docs" / "determinism.md"

CODE = """\
import time
from durabletask_worker import OrchestrationContext

async def order(ctx: OrchestrationContext):
    print("50%")
    return now()

def now():
    return time.time()
"""


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "flow.py").write_text(CODE, "utf-8")
    monkeypatch.chdir(tmp_path)

    return "flow.py"


def test_findings_are_lines_and_the_exit_code_is_1(flow: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flow]) == 1

    said = capsys.readouterr()

    assert said.out == (
        "flow.py:5:5: DT204 print() writes to or reads from the console, again with each replay; "
        "use ctx.create_replay_safe_logger(logger), or ctx.set_custom_status(…)\n"
        "flow.py:9:12: DT101 time.time() reads the clock, which a replay reads again at another time; "
        "use ctx.current_utc_datetime (`now` is called by orchestrator `order`)\n"
    )
    assert said.err == "2 found in 1 orchestrator, 1 file\n"


def test_nothing_found_is_0(flow: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flow, "--ignore", "dt1, DT204"]) == 0
    assert main([flow, "--select", "DT2", "--ignore", "DT204"]) == 0

    said = capsys.readouterr()

    assert said.out == ""
    assert said.err == "nothing found in 1 orchestrator, 1 file\n" * 2


def test_the_current_directory_is_the_default(flow: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--select", "DT101"]) == 1
    assert capsys.readouterr().out.startswith("flow.py:9:12: DT101 ")


def test_json_has_everything(flow: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flow, "--format", "json"]) == 1

    console, clock = json.loads(capsys.readouterr().out)

    assert console["level"] == "warning"
    assert clock == {
        "path": "flow.py",
        "line": 9,
        "column": 12,
        "code": "DT101",
        "name": "wall-clock",
        "level": "error",
        "message": "time.time() reads the clock, which a replay reads again at another time; use ctx.current_utc_datetime",
        "chain": ["order", "now"],
    }

    assert main([flow, "--format", "json", "--select", "DT501"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_github_gets_annotations(flow: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flow, "--format", "github"]) == 1

    console, clock = capsys.readouterr().out.splitlines()

    assert console.startswith("::warning file=flow.py,line=5,col=5,title=DT204 console::print() writes")
    assert clock.startswith("::error file=flow.py,line=9,col=12,title=DT101 wall-clock::time.time() reads")


def test_a_file_that_is_not_there_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.py"

    assert main([str(missing)]) == 2
    assert capsys.readouterr().err == f"durabletask-worker lint: {missing}: No such file or directory\n"


@pytest.mark.parametrize(
    "options", [["--select", "DT9"], ["--ignore", "E501"], ["--explain", "DT"], ["--format", "xml"]]
)
def test_wrong_options_are_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)

    assert stopped.value.code == 2
    assert options[1] in capsys.readouterr().err


@pytest.mark.parametrize("code", RULES)
def test_every_rule_is_explained(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--explain", code.lower()]) == 0

    said = capsys.readouterr().out

    assert said.startswith(f"{code} {RULES[code].name}\n")
    assert f"Instead: {RULES[code].replacement}." in said


def test_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-rules"]) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        [rule.code, rule.name] for rule in RULES.values()
    ]


def test_it_is_a_sub_command(flow: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser(prog="durabletask-worker")
    add_parser(parser.add_subparsers(dest="command"))
    options = parser.parse_args(["lint", flow, "--select", "DT101"])

    assert options.command == "lint"
    assert options.run(options) == 1
    assert capsys.readouterr().out.startswith("flow.py:9:12: DT101 ")


def test_code_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text("raise SystemExit(7)\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "durabletask_worker.nondeterminism", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nothing found in 0 orchestrators, 1 file\n")


@pytest.mark.skipif(not DOCUMENT.exists(), reason=f"{DOCUMENT} is not here: this is not the whole repository")
def test_the_page_has_the_rules_as_they_are() -> None:
    rows = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("| `DT")]

    assert rows == [
        f"| `{rule.code}` | {rule.name} | {'yes' if rule.is_guarded else ''} | {rule.why} | {rule.replacement} |"
        for rule in RULES.values()
    ]
