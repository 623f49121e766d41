"""The scenarios, and what each engine makes of them, as the table of `docs/engines.md`.

python -m integration.engines.table
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from durabletask_worker import Registry

from integration.engines import awaited, control, entities, events, flows, records, scopes
from integration.engines.lacks import LACKS

PREFIX = "scenario_"
MODULES: tuple[ModuleType, ...] = (flows, scopes, events, control, records, entities, awaited)
TITLES = {"ours": "ours", "peer": "PyPI in-memory", "go": "durabletask-go"}

Scenario = Callable[..., Any]


def scenarios() -> dict[str, Scenario]:
    """All of them by name, in the order of their modules."""
    return {
        name.removeprefix(PREFIX): function
        for module in MODULES
        for name, function in vars(module).items()
        if name.startswith(PREFIX)
    }


def registry() -> Registry:
    """What a worker needs to have for the scenarios."""
    combined = Registry()

    for module in MODULES:
        if isinstance(own := getattr(module, "registry", None), Registry):
            combined.include(own)

    return combined


def table() -> str:
    """The table, in Markdown: a line for each scenario, with a number for each thing that an engine lacks, and the reasons."""
    reasons: list[str] = []
    lines = [f"| scenario | {' | '.join(TITLES.values())} |", "|---|" + "---|" * len(TITLES)]

    for name in scenarios():
        cells = []

        for engine in TITLES:
            lack = LACKS[engine].get(name)

            if lack is None:
                cells.append("yes")
                continue

            if lack.reason not in reasons:
                reasons.append(lack.reason)

            cells.append(f"no ({reasons.index(lack.reason) + 1})")

        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")

    numbered = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]

    return "\n".join([*lines, "", *numbered]) + "\n"


if __name__ == "__main__":
    print(table(), end="")
