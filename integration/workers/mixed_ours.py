"""Our worker among those of other languages, for `test_mixed_languages.py`: it asks for what it has, and no more.

DURABLETASK_ADDRESS=localhost:4001 python integration/workers/mixed_ours.py
"""

from __future__ import annotations

import os
import signal

from durabletask_client import EntityInstanceId
from durabletask_worker import (
    ActivityContext,
    EntityContext,
    OrchestrationContext,
    Registry,
    TaskFailedError,
    TaskHubGrpcWorker,
)

registry = Registry()


@registry.activity
def ours_greet(_: ActivityContext, name: str) -> str:
    return f"ours greets {name}"


@registry.activity
def ours_breaks(_: ActivityContext, what: str) -> None:
    raise ValueError(f"ours breaks {what}")


@registry.orchestrator
async def ours_child(ctx: OrchestrationContext, name: str) -> str:
    return f"{await ctx.call_activity(ours_greet, input=name)}, from {ctx.instance_id}"


@registry.orchestrator
async def ours_visits(ctx: OrchestrationContext, language: str) -> list[str]:
    greeting = await ctx.call_activity(f"{language}_greet", input="wörld", return_type=str)
    child = f"{ctx.instance_id}-child"
    told = await ctx.call_sub_orchestrator(f"{language}_child", input="mum", instance_id=child, return_type=str)

    try:
        await ctx.call_activity(f"{language}_breaks", input="it")
    except TaskFailedError as failed:
        return [greeting, told, failed.details.message]

    return []


@registry.entity(name="ours_counter")
def counter(ctx: EntityContext, number: int) -> int:
    """Add, whatever the operation is called."""
    total = ctx.get_state(int, 0) + number
    ctx.set_state(total)

    return total


@registry.orchestrator
async def ours_counts(ctx: OrchestrationContext, where: list[str]) -> int:
    language, key = where
    entity = EntityInstanceId(f"{language}_counter", key)
    ctx.signal_entity(entity, "add", 1)

    return await ctx.call_entity(entity, "add", 10, return_type=int)


@registry.orchestrator
async def ours_locks(ctx: OrchestrationContext, languages: list[str]) -> list[int]:
    """In one critical section over an entity of each language."""
    entities = [EntityInstanceId(f"{language}_counter", ctx.instance_id) for language in languages]

    async with ctx.lock_entities(entities):
        return [await ctx.call_entity(entity, "add", 5, return_type=int) for entity in entities]


if __name__ == "__main__":
    with TaskHubGrpcWorker(host_address=os.environ["DURABLETASK_ADDRESS"], registry=registry) as worker:
        worker.use_work_item_filters()
        worker.start()
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
