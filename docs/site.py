"""Puts the documentation site's sources together, and checks the links in them.

    python docs/site.py TARGET

The pages stay where they are in the repository: those in `docs/`, each package's README and changelog, and the files at the root. All are copied under
`TARGET` at the same paths, so that links between them hold there, too. A link to another file of the repository, which is no page, becomes plain text.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/**/*.md",
    "docs/**/*.svg",
    "packages/*/README.md",
    "packages/*/CHANGELOG.md",
    "examples/README.md",
    "benchmarks/README.md",
    "integration/README.md",
)
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\[]+)\]\((?P<target>[^)\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


class BrokenLinkError(Exception):
    """A page links to a file that is not there; says which."""


def pages() -> list[Path]:
    """All files of the site, by their path from the root."""
    return sorted({path.relative_to(ROOT) for pattern in PAGES for path in ROOT.glob(pattern)})


def assemble(target: Path) -> None:
    """Copy the pages.

    Args:
        target: The folder, which is made anew.

    Raises:
        BrokenLinkError: A link leads nowhere.
    """
    shutil.rmtree(target, ignore_errors=True)
    found = pages()

    for page in found:
        copy = target / page
        copy.parent.mkdir(parents=True, exist_ok=True)

        if page.suffix == ".md":
            copy.write_text(linked(page, (ROOT / page).read_text("utf-8"), {*found}), "utf-8")
        else:
            shutil.copy(ROOT / page, copy)


def linked(page: Path, text: str, found: set[Path]) -> str:
    """A page whose links to what is no page are plain text.

    Args:
        page: Where it is, from the root.
        text: It.
        found: What is a page.

    Raises:
        BrokenLinkError: A link leads nowhere.
    """

    def link(match: re.Match[str]) -> str:
        target = match["target"].partition("#")[0]

        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]

        path = (ROOT / page.parent / target).resolve()

        if not path.exists():
            raise BrokenLinkError(f"{page}: {match[0]} leads nowhere")

        return match[0] if path.is_relative_to(ROOT) and path.relative_to(ROOT) in found else match["text"]

    # Code is no place for links.
    parts = _FENCE.split(text)

    return "".join(part if number % 2 else _LINK.sub(link, part) for number, part in enumerate(parts))


if __name__ == "__main__":
    try:
        assemble(Path(sys.argv[1]))
    except BrokenLinkError as error:
        raise SystemExit(str(error)) from None
