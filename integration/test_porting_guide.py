"""The table of imports in `docs/porting.md` is true of both packages."""

import re
import subprocess
from pathlib import Path

GUIDE = Path(__file__).parents[1] / "docs" / "porting.md"
ROWS = re.findall(r"^\| `((?:from|import) [^`]+)` \| `((?:from|import) [^`]+)` \|$", GUIDE.read_text("utf-8"), re.M)


def test_every_import_of_the_guide_works_with_ours() -> None:
    for _, ours in ROWS:
        exec(ours, {})  # noqa: S102

    assert len(ROWS) >= 10


def test_every_import_of_the_guide_works_with_theirs(peer_python: Path) -> None:
    ran = subprocess.run([peer_python, "-c", "\n".join(theirs for theirs, _ in ROWS)], capture_output=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert all("durabletask_" not in theirs for theirs, _ in ROWS)


def test_a_port_changes_where_a_name_comes_from_and_no_name() -> None:
    imported = [
        [line.partition(" import ")[2] for line in row] for row in ROWS if row[0] != "from durabletask import task"
    ]

    assert [theirs for theirs, _ in imported] == [ours for _, ours in imported]
