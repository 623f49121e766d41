"""PyPI `durabletask`, worker and client, against the sidecar at an address: one JSON line a scenario on standard output.

    .venv-peer/bin/python integration/peer/scenarios.py localhost:4001 [SCENARIO ...]

A line is {"scenario": name, "ok": true or false, "seconds": number, "detail": what went wrong}. A scenario is a function
named `scenario_…` of the modules beside this one. One that takes a client shares a worker, which has all there is, with
others; one that takes the address brings workers of its own, and runs when no other worker is connected.
"""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import control
import entities
import entity_records
import filters
import flows
import hubs
import others
import queries
import records
import reruns
import sections
import tracing
import versions
import volumes
from workers import connected, serving

PREFIX = "scenario_"
SHARING = (flows, control, records, queries, volumes, entities, sections, entity_records, reruns)
"""The modules whose scenarios take a client."""
APART = (versions, filters, hubs, others, tracing)
"""The modules whose scenarios take the address."""


def main(address: str, chosen: list[str]) -> None:
    # An entity's failure is logged as an error by the SDK, and here it is made to fail.
    logging.getLogger("peer").setLevel(logging.CRITICAL)
    parts = {part: [each for module in SHARING for each in getattr(module, part.upper(), ())] for part in _PARTS}

    with serving(address, **parts), connected(address) as client:
        _run(_scenarios(SHARING), client, chosen)

    _run(_scenarios(APART), address, chosen)


_PARTS = ("orchestrators", "activities", "entities")


def _scenarios(modules: Iterable[ModuleType]) -> dict[str, Callable[[Any], None]]:
    return {
        name.removeprefix(PREFIX): function
        for module in modules
        for name, function in vars(module).items()
        if name.startswith(PREFIX)
    }


def _run(scenarios: dict[str, Callable[[Any], None]], given: Any, chosen: list[str]) -> None:
    for name, scenario in scenarios.items():
        if chosen and name not in chosen:
            continue

        before = time.monotonic()
        detail = _outcome(scenario, given)
        line = {"scenario": name, "ok": not detail, "seconds": round(time.monotonic() - before, 2), "detail": detail}
        print(json.dumps(line), flush=True)


def _outcome(scenario: Callable[[Any], None], given: Any) -> str:
    try:
        scenario(given)
    except Exception:  # noqa: BLE001 - whatever it is, it is this scenario's outcome, and the others still run
        return traceback.format_exc()

    return ""


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
