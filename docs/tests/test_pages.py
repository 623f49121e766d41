"""The pages hold what they say: their code is run, and prints what they show.

The Python blocks of a page are one program, run from top to bottom, in a folder of its own. A block of text right after one is what it
prints. A comment `<!-- not run: why -->` before a block is for other people's code.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

DOCS = Path(__file__).parents[1]
PAGES = sorted(
    page.relative_to(DOCS).as_posix()
    for page in (DOCS / "tutorial.md", DOCS / "concepts.md", *DOCS.glob("howto/*.md"), *DOCS.glob("migrate/*.md"))
)
_BLOCK = re.compile(
    r"(?P<skipped><!-- not run: [^>]+ -->\n)?^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<prints>.*?)^```)?",
    re.MULTILINE | re.DOTALL,
)
_MARK = "---- end of a block ----"


def blocks_of(page: str) -> list[re.Match[str]]:
    return [match for match in _BLOCK.finditer((DOCS / page).read_text("utf-8")) if not match["skipped"]]


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page: str, tmp_path: Path) -> None:
    blocks = blocks_of(page)

    if not blocks:
        pytest.skip("a page of words")

    program = f"\nprint({_MARK!r})\n".join(dedent(block["code"]) for block in blocks)
    (tmp_path / "page.py").write_text(program, "utf-8")
    command = [sys.executable, "-W", "error", "page.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    printed = ran.stdout.split(f"{_MARK}\n")

    assert ran.returncode == 0, ran.stderr

    for block, output in zip(blocks, printed, strict=True):
        if block["prints"] is not None:
            assert output == block["prints"]
