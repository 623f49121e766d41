"""PyPI `durabletask`'s worker among those of other languages, for `test_mixed_languages.py`: it asks for what it has, and no more.

DURABLETASK_ADDRESS=localhost:4001 .venv-peer/bin/python integration/workers/mixed_peer.py
"""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Any

from durabletask.entities import EntityContext, EntityInstanceId
from durabletask.task import ActivityContext, OrchestrationContext, Task, TaskFailedError
from durabletask.worker import TaskHubGrpcWorker

Flow = Generator[Task[Any], Any, Any]


def pypi_greet(_: ActivityContext, name: str) -> str:
    return f"pypi greets {name}"


def pypi_breaks(_: ActivityContext, what: str) -> None:
    raise ValueError(f"pypi breaks {what}")


def pypi_child(ctx: OrchestrationContext, name: str) -> Flow:
    greeting = yield ctx.call_activity(pypi_greet, input=name)

    return f"{greeting}, from {ctx.instance_id}"


def pypi_visits(ctx: OrchestrationContext, language: str) -> Flow:
    greeting = yield ctx.call_activity(f"{language}_greet", input="wörld")
    child = f"{ctx.instance_id}-child"
    told = yield ctx.call_sub_orchestrator(f"{language}_child", input="mum", instance_id=child)

    try:
        yield ctx.call_activity(f"{language}_breaks", input="it")
    except TaskFailedError as failed:
        return [greeting, told, failed.details.message]

    return []


def pypi_counter(ctx: EntityContext, number: int) -> int:
    """Add, whatever the operation is called."""
    total = ctx.get_state(int, 0) + number
    ctx.set_state(total)

    return total


def pypi_counts(ctx: OrchestrationContext, where: list[str]) -> Flow:
    language, key = where
    entity = EntityInstanceId(f"{language}_counter", key)
    ctx.signal_entity(entity, "add", 1)

    return (yield ctx.call_entity(entity, "add", 10))


if __name__ == "__main__":
    with TaskHubGrpcWorker(host_address=os.environ["DURABLETASK_ADDRESS"]) as worker:
        for orchestrator in (pypi_child, pypi_visits, pypi_counts):
            worker.add_orchestrator(orchestrator)

        for activity in (pypi_greet, pypi_breaks):
            worker.add_activity(activity)

        worker.add_entity(pypi_counter)
        worker.use_work_item_filters()
        worker.start()
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
