"""`durabletask-worker lint PATH`: the linter on the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from durabletask_worker.nondeterminism.findings import FORMATS
from durabletask_worker.nondeterminism.linter import Report, lint
from durabletask_worker.nondeterminism.rules import RULES

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - it has no other name

__all__ = ["add_parser", "main"]

_DESCRIPTION = "Finds nondeterminism in orchestrators, and in what they call, without running the code."
_EPILOG = """\
A comment silences a finding: `# durabletask: ignore[DT101]` on its line, or on the line of a def for all of the function;
`# durabletask: ignore-file[DT101]` for the file. One that silences nothing is a finding, too.
Exit codes: 0 if nothing was found, 1 if something was, 2 if the arguments are wrong or a file cannot be opened.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the sub-command `lint`. Its parser sets `run` to a function that takes the options and returns the exit code.

    Args:
        subparsers: Where to add it.
    """
    parser = subparsers.add_parser(
        "lint",
        help="find nondeterminism in orchestrators",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_arguments(parser)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the linter by itself, as `python -m durabletask_worker.nondeterminism` does.

    Args:
        arguments: The command line; None for that of the process.

    Returns:
        0 if nothing was found, 1 if something was, 2 if a file cannot be opened.
    """
    parser = argparse.ArgumentParser(
        prog="durabletask-worker lint",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_arguments(parser)
    options = parser.parse_args(arguments)

    return int(options.run(options))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="*", default=["."], help="a file or directory [default: .]")
    parser.add_argument(
        "--format", choices=sorted(FORMATS), default="text", help="how to write findings [default: text]"
    )
    parser.add_argument(
        "--select", metavar="CODES", type=_codes, help="check these alone: codes or their beginnings, as in DT1,DT402"
    )
    parser.add_argument("--ignore", metavar="CODES", type=_codes, default=frozenset(), help="do not check these")
    parser.add_argument("--explain", metavar="CODE", type=_code, help="say what a rule is about, and stop")
    parser.add_argument("--list-rules", action="store_true", help="list the rules, and stop")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.explain is not None:
        _say([_explanation(options.explain)])

        return 0

    if options.list_rules:
        _say(f"{rule.code}  {rule.name:<22}{rule.replacement}" for rule in RULES.values())

        return 0

    selected = frozenset(RULES) if options.select is None else options.select

    try:
        report = lint(options.paths, codes=selected - options.ignore)
    except OSError as error:
        print(f"durabletask-worker lint: {error.filename}: {error.strerror}", file=sys.stderr)  # noqa: T201 - its output

        return 2

    if report.findings or options.format == "json":
        _say([FORMATS[options.format](report.findings)])

    print(_summary(report), file=sys.stderr)  # noqa: T201 - its output

    return 1 if report.findings else 0


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)  # noqa: T201 - its output


def _summary(report: Report) -> str:
    found = f"{len(report.findings)} found" if report.findings else "nothing found"

    return f"{found} in {_counted(report.orchestrators, 'orchestrator')}, {_counted(report.files, 'file')}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _explanation(code: str) -> str:
    rule = RULES[code]
    names = [name.removeprefix("builtins.") for name in (*rule.calls, *rule.reads)]
    lines = [f"{rule.code} {rule.name}", "", f"It {rule.problem}.", rule.why, "", f"Instead: {rule.replacement}."]

    if names:
        lines += ["", "It is about:", *(f"  {name}" for name in names)]

    if rule.is_guarded:
        lines += ["", "A worker refuses these calls, too, where an orchestrator makes them itself."]

    return "\n".join(lines)


def _codes(text: str) -> frozenset[str]:
    """Codes and beginnings of codes, separated by commas, as codes."""
    found: set[str] = set()

    for part in filter(None, (each.strip().upper() for each in text.split(","))):
        matching = {code for code in RULES if code.startswith(part)}

        if not matching:
            raise argparse.ArgumentTypeError(f"{part} is no rule; --list-rules lists them")

        found |= matching

    return frozenset(found)


def _code(text: str) -> str:
    if text.upper() not in RULES:
        raise argparse.ArgumentTypeError(f"{text} is no rule; --list-rules lists them")

    return text.upper()
