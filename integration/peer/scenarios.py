"""PyPI `durabletask`, worker and client, against the sidecar at an address: one JSON line a scenario on standard output.

    .venv-peer/bin/python integration/peer/scenarios.py localhost:4001 [SCENARIO ...]

A line is {"scenario": name, "ok": true or false, "detail": what went wrong}. A scenario is a function named `scenario_…`
of the modules beside this one.
"""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable

import control
import flows
import records
from durabletask.client import TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

PREFIX = "scenario_"


def main(address: str, chosen: list[str]) -> None:
    log = logging.getLogger("peer")
    log.setLevel(logging.WARNING)
    scenarios: dict[str, Callable[[TaskHubGrpcClient], None]] = {
        name.removeprefix(PREFIX): function
        for module in (flows, control, records)
        for name, function in vars(module).items()
        if name.startswith(PREFIX)
    }

    with TaskHubGrpcWorker(host_address=address, logger=log) as worker:
        for activity in (*flows.ACTIVITIES, *records.ACTIVITIES):
            worker.add_activity(activity)

        for orchestrator in (*flows.ORCHESTRATORS, *control.ORCHESTRATORS, *records.ORCHESTRATORS):
            worker.add_orchestrator(orchestrator)

        worker.start()
        client = TaskHubGrpcClient(host_address=address, logger=log)

        for name in chosen or scenarios:
            detail = _outcome(scenarios[name], client)
            print(json.dumps({"scenario": name, "ok": not detail, "detail": detail}), flush=True)

        client.close()


def _outcome(scenario: Callable[[TaskHubGrpcClient], None], client: TaskHubGrpcClient) -> str:
    try:
        scenario(client)
    except Exception:  # noqa: BLE001 - whatever it is, it is this scenario's outcome, and the others still run
        return traceback.format_exc()

    return ""


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
