"""Comments that silence findings: `# durabletask: ignore[DT101]` and `# durabletask: ignore-file[DT101]`."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO

__all__ = ["Suppression", "Suppressions"]

_COMMENT = re.compile(
    r"#\s*durabletask:\s*ignore(?P<file>-file)?\s*(?:\[(?P<codes>[^\]]*)\])?(?=\s|$|#)", re.IGNORECASE
)
_MARK = "durabletask:"


@dataclass(slots=True, kw_only=True, eq=False)
class Suppression:
    """One comment."""

    line: int
    """Where it stands, counted from 1."""
    column: int
    """Where it begins in its line, counted from 1."""
    codes: frozenset[str]
    """What it silences; empty for everything."""
    first: int
    """The first line that it is about."""
    last: int
    """The last line that it is about."""
    used: set[str] = field(default_factory=set)
    """The codes that it has silenced."""


class Suppressions:
    """The suppressions of one file.

    On the line of a finding a comment is about that line; on a statement of several lines, about all of them; on the line of a
    `def` or `class`, about all of it; with `ignore-file`, anywhere, about the file.

    Args:
        source: The file's text.
        tree: The same, parsed; None to parse it here.

    Raises:
        SyntaxError: The text is no Python.
    """

    def __init__(self, source: str, tree: ast.AST | None = None) -> None:
        self._all = tuple(self._read(source, tree))

    def __iter__(self) -> Iterator[Suppression]:
        """All of them, in the order of lines."""
        return iter(self._all)

    def silences(self, code: str, line: int) -> bool:
        """Whether a finding is silenced, which makes the comment a used one.

        Args:
            code: The finding's code.
            line: Its line, counted from 1.

        Returns:
            Whether it is.
        """
        about = [
            each for each in self._all if each.first <= line <= each.last and (not each.codes or code in each.codes)
        ]

        for each in about:
            each.used.add(code)

        return bool(about)

    def _read(self, source: str, tree: ast.AST | None) -> Iterator[Suppression]:
        # Looked for only where there is one: most files have none, and tokens cost more than the tree.
        if _MARK not in source.lower():
            return

        spans = _spans(tree or ast.parse(source))

        for token in tokenize.generate_tokens(StringIO(source).readline):
            found = _COMMENT.match(token.string) if token.type == tokenize.COMMENT else None

            if found is None:
                continue

            line, column = token.start
            first, last = (1, source.count("\n") + 1) if found["file"] else spans.get(line, (line, line))
            codes = frozenset(code.strip().upper() for code in (found["codes"] or "").split(",") if code.strip())

            yield Suppression(line=line, column=column + 1, codes=codes, first=first, last=last)


def _spans(tree: ast.AST) -> dict[int, tuple[int, int]]:
    """The lines that a comment on a line is about, where they are more than that line."""
    found: dict[int, tuple[int, int]] = {}

    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            # The header may go over several lines, and the comment may be behind any of them.
            for line in range(node.lineno, max(node.lineno + 1, node.body[0].lineno)):
                found[line] = (node.lineno, node.end_lineno or node.lineno)
        elif isinstance(node, ast.stmt) and not isinstance(node, ast.Match) and not hasattr(node, "body"):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found.setdefault(line, (node.lineno, node.end_lineno or node.lineno))

    return found
