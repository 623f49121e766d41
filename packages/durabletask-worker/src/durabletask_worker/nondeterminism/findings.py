"""What the linter found, and how it is written down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType

from durabletask_worker.nondeterminism.rule import Rule
from durabletask_worker.nondeterminism.rules import RULES

__all__ = ["FORMATS", "Finding"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One place where code breaks a rule."""

    path: str
    """The file."""
    line: int
    """The line, counted from 1."""
    column: int
    """The column, counted from 1."""
    code: str
    """The rule's code."""
    message: str
    """What is wrong there, and what to do instead."""
    chain: tuple[str, ...] = ()
    """The functions from the orchestrator to the one that the place is in; empty for the orchestrator itself."""

    @property
    def rule(self) -> Rule:
        """The rule."""
        return RULES[self.code]

    @property
    def text(self) -> str:
        """The message, with the way that leads there."""
        if not self.chain:
            return self.message

        through = f" through {', '.join(f'`{name}`' for name in self.chain[1:-1])}" if len(self.chain) > 2 else ""

        return f"{self.message} (`{self.chain[-1]}` is called by orchestrator `{self.chain[0]}`{through})"


def _as_text(findings: Iterable[Finding]) -> str:
    return "\n".join(f"{each.path}:{each.line}:{each.column}: {each.code} {each.text}" for each in findings)


def _as_json(findings: Iterable[Finding]) -> str:
    return json.dumps(
        [
            {
                "path": each.path,
                "line": each.line,
                "column": each.column,
                "code": each.code,
                "name": each.rule.name,
                "level": _level(each),
                "message": each.message,
                "chain": list(each.chain),
            }
            for each in findings
        ],
        indent=2,
    )


def _as_github(findings: Iterable[Finding]) -> str:
    return "\n".join(
        f"::{_level(each)} file={_escaped(each.path, in_property=True)},line={each.line},col={each.column},"
        f"title={each.code} {each.rule.name}::{_escaped(each.text)}"
        for each in findings
    )


def _level(finding: Finding) -> str:
    return "warning" if finding.rule.is_mild else "error"


def _escaped(text: str, *, in_property: bool = False) -> str:
    """A text as GitHub's workflow commands want it."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


FORMATS: MappingProxyType[str, Callable[[Iterable[Finding]], str]] = MappingProxyType(
    {"text": _as_text, "json": _as_json, "github": _as_github}
)
"""How findings can be written, by name."""
