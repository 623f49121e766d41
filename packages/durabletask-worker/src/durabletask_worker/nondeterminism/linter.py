"""Finds nondeterminism in orchestrators, and in what they call, by reading their code."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import open as open_source

from durabletask_worker.nondeterminism.checks import Checker
from durabletask_worker.nondeterminism.findings import Finding
from durabletask_worker.nondeterminism.project import Function, Module, Project, Role, source_files
from durabletask_worker.nondeterminism.rules import RULES
from durabletask_worker.nondeterminism.suppressions import Suppressions

__all__ = ["Report", "lint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run of the linter found."""

    findings: tuple[Finding, ...]
    """The findings, by file and line."""
    files: int
    """How many files were read."""
    orchestrators: int
    """How many orchestrators are in them; functions that take a context count as such."""


def lint(paths: Iterable[str | Path], *, codes: Iterable[str] | None = None) -> Report:
    """Check all orchestrators in files, and what of these files they call. Nothing is imported or run.

    Args:
        paths: Files and directories; of directories, all Python files below them.
        codes: The codes of the rules to check; None for all of them.

    Returns:
        What was found.

    Raises:
        OSError: A file cannot be read.
        ValueError: A code is none of a rule.
    """
    chosen = frozenset(RULES if codes is None else codes)

    if unknown := sorted(chosen - RULES.keys()):
        raise ValueError(f"codes has {', '.join(unknown)}, which is no rule; the rules are {', '.join(RULES)}")

    modules: list[Module] = []
    findings: set[Finding] = set()
    files = dict.fromkeys(file for path in paths for file in source_files(Path(path)))

    for file in files:
        try:
            modules.append(Module(file, _text_of(file)))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            findings.add(_unreadable(file, error))

    project = Project(modules)
    roots = [
        function
        for module in modules
        for function in module.functions.values()
        if function.role in (Role.ORCHESTRATOR, Role.CONTEXTUAL)
    ]
    findings.update(_check(project, roots))
    suppressions = {str(module.path): module.suppressions for module in modules}
    shown = [each for each in sorted(findings) if each.code in chosen and not _is_silenced(each, suppressions)]
    unused = [each for module in modules for each in _unused(module, chosen)] if "DT001" in chosen else []

    return Report(
        findings=tuple(sorted([*shown, *unused])),
        files=len(files),
        orchestrators=len(roots),
    )


def _check(project: Project, roots: Sequence[Function]) -> Iterator[Finding]:
    """Check orchestrators, and then what they call, by the shortest way that leads there."""
    waiting: deque[tuple[Function, tuple[str, ...]]] = deque((root, ()) for root in _outermost_first(roots))
    seen = {id(root) for root in roots}
    done: set[int] = set()

    while waiting:
        function, chain = waiting.popleft()

        if id(function) in done:
            continue

        done.add(id(function))
        checker = Checker(project, function)
        done.update(id(each) for each in checker.inner)

        for breach in checker.breaches:
            yield Finding(
                path=str(function.module.path),
                line=getattr(breach.node, "lineno", 1),
                column=getattr(breach.node, "col_offset", 0) + 1,
                code=breach.rule.code,
                message=breach.message,
                chain=chain,
            )

        for callee in checker.callees:
            if id(callee) not in seen:
                seen.add(id(callee))
                waiting.append((callee, (*(chain or (function.name,)), callee.name)))


def _outermost_first(roots: Sequence[Function]) -> list[Function]:
    """Registered orchestrators first: what only takes a context is rather a part of one."""
    return sorted(roots, key=lambda root: root.role is not Role.ORCHESTRATOR)


def _text_of(file: Path) -> str:
    with open_source(str(file)) as opened:
        return opened.read()


def _unreadable(file: Path, error: Exception) -> Finding:
    line, column = (error.lineno or 1, error.offset or 1) if isinstance(error, SyntaxError) else (1, 1)
    rule = RULES["DT002"]
    reason = error.msg if isinstance(error, SyntaxError) else str(error)

    return Finding(
        path=str(file),
        line=line,
        column=max(column, 1),
        code=rule.code,
        message=f"the file {rule.problem} ({reason}); {rule.replacement}",
    )


def _is_silenced(finding: Finding, suppressions: Mapping[str, Suppressions]) -> bool:
    # Files that cannot be read have none.
    return finding.path in suppressions and suppressions[finding.path].silences(finding.code, finding.line)


def _unused(module: Module, chosen: frozenset[str]) -> Iterator[Finding]:
    rule = RULES["DT001"]

    for each in module.suppressions:
        # Of a rule that is not checked nobody knows whether it would find something.
        unknown = each.codes - RULES.keys()
        unused = sorted(unknown | (each.codes & chosen - each.used))

        if unused or (not each.codes and not each.used and chosen == frozenset(RULES)):
            codes = f" of {', '.join(unused)}" if unused else ""
            yield Finding(
                path=str(module.path),
                line=each.line,
                column=each.column,
                code=rule.code,
                message=f"this comment{codes} {rule.problem}; {rule.replacement}",
            )
