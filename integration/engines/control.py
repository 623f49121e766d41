"""How orchestrations are steered from outside: their ends, their pauses, their new lives, and what they tell meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from durabletask_client import (
    InvalidRequestError,
    OrchestrationAlreadyExistsError,
    OrchestrationIdReusePolicy,
    OrchestrationNotFoundError,
    OrchestrationStatus,
)
from durabletask_worker import ActivityContext, OrchestrationContext, Registry

from integration.engines.flows import in_sequence
from integration.engines.hub import Hub, fresh

registry = Registry()

_broken: set[str] = set()
"""What an activity fails for, until it is repaired."""


@registry.orchestrator
async def waiting(ctx: OrchestrationContext) -> Any:
    return await ctx.wait_for_external_event("go")


def scenario_terminate(hub: Hub) -> None:
    instance_id = hub.started(waiting)
    hub.client.terminate_orchestration(instance_id, output={"by": "hand"})
    state = hub.completed(instance_id)
    assert (state.runtime_status, state.get_output()) == (OrchestrationStatus.TERMINATED, {"by": "hand"})


@registry.orchestrator
async def having_a_child(ctx: OrchestrationContext, child_id: str) -> Any:
    return await ctx.call_sub_orchestrator(waiting, instance_id=child_id)


def _with_child(hub: Hub) -> tuple[str, str]:
    child_id = fresh("child")
    parent_id = hub.started(having_a_child, input=child_id)
    assert hub.client.wait_for_orchestration_start(child_id, timeout=hub.patience) is not None

    return parent_id, child_id


def scenario_terminate_with_children(hub: Hub) -> None:
    parent_id, child_id = _with_child(hub)
    hub.client.terminate_orchestration(parent_id)
    assert hub.completed(parent_id).runtime_status is OrchestrationStatus.TERMINATED
    assert hub.completed(child_id).runtime_status is OrchestrationStatus.TERMINATED


def scenario_terminate_without_children(hub: Hub) -> None:
    parent_id, child_id = _with_child(hub)
    hub.client.terminate_orchestration(parent_id, recursive=False)
    assert hub.completed(parent_id).runtime_status is OrchestrationStatus.TERMINATED
    hub.client.raise_orchestration_event(child_id, "go", data=1)
    assert hub.output_of(child_id) == 1


def scenario_suspend_and_resume(hub: Hub) -> None:
    instance_id = hub.started(waiting)
    hub.client.suspend_orchestration(instance_id, reason="for a while")
    hub.until(lambda: hub.status(instance_id) is OrchestrationStatus.SUSPENDED, "it is suspended")
    hub.client.raise_orchestration_event(instance_id, "go", data="at last")

    with pytest.raises(TimeoutError):
        hub.client.wait_for_orchestration_completion(instance_id, timeout=0.5)

    hub.client.resume_orchestration(instance_id)
    assert hub.output_of(instance_id) == "at last"


@registry.orchestrator
async def telling_where_it_is(ctx: OrchestrationContext) -> str:
    ctx.set_custom_status({"step": 1})
    await ctx.wait_for_external_event("go")
    ctx.set_custom_status({"step": 2})

    return "done"


def scenario_custom_status(hub: Hub) -> None:
    instance_id = hub.started(telling_where_it_is)
    state = hub.client.get_orchestration_state(instance_id)
    assert state is not None
    assert state.get_custom_status() == {"step": 1}
    hub.client.raise_orchestration_event(instance_id, "go")
    assert hub.completed(instance_id).get_custom_status() == {"step": 2}


def scenario_start_at_a_time(hub: Hub) -> None:
    due = datetime.now(UTC) + timedelta(milliseconds=600)
    instance_id = hub.client.schedule_new_orchestration(in_sequence, input=1, start_at=due)
    assert hub.output_of(instance_id) == 8
    assert datetime.now(UTC) >= due


def scenario_id_that_is_taken(hub: Hub) -> None:
    instance_id = hub.started(waiting)

    with pytest.raises(OrchestrationAlreadyExistsError):
        hub.client.schedule_new_orchestration(waiting, instance_id=instance_id)


def scenario_id_of_one_that_is_done(hub: Hub) -> None:
    instance_id = hub.started(in_sequence, input=1)
    hub.output_of(instance_id)
    done = OrchestrationIdReusePolicy(replaceable_statuses=[OrchestrationStatus.COMPLETED])
    hub.client.schedule_new_orchestration(in_sequence, input=2, instance_id=instance_id, reuse_id_policy=done)
    assert hub.output_of(instance_id) == 16


def scenario_unknown_orchestration(hub: Hub) -> None:
    assert hub.client.get_orchestration_state(fresh("nobody")) is None

    with pytest.raises(OrchestrationNotFoundError):
        hub.client.raise_orchestration_event(fresh("nobody"), "go")


def scenario_restart(hub: Hub) -> None:
    instance_id = hub.started(in_sequence, input=4)
    assert hub.output_of(instance_id) == 32

    copy_id = hub.client.restart_orchestration(instance_id, restart_with_new_instance_id=True)
    assert copy_id != instance_id
    assert hub.output_of(copy_id) == 32

    assert hub.client.restart_orchestration(instance_id) == instance_id
    assert hub.output_of(instance_id) == 32


@registry.activity
def fail_while_broken(_: ActivityContext, key: str) -> str:
    if key in _broken:
        raise RuntimeError(f"{key} is broken")

    return "repaired"


@registry.orchestrator
async def breaking(ctx: OrchestrationContext, key: str) -> str:
    before = await ctx.call_activity("double", 21)

    return f"{before}, then {await ctx.call_activity(fail_while_broken, key)}"


def scenario_rewind(hub: Hub) -> None:
    key = fresh("part")
    _broken.add(key)
    instance_id = hub.client.schedule_new_orchestration(breaking, input=key)
    assert hub.completed(instance_id).runtime_status is OrchestrationStatus.FAILED

    _broken.discard(key)
    hub.client.rewind_orchestration(instance_id, reason="it is repaired")
    assert hub.output_of(instance_id) == "42, then repaired"


def scenario_invalid_requests_are_refused_here(hub: Hub) -> None:
    with pytest.raises(InvalidRequestError, match="instance_id"):
        hub.client.schedule_new_orchestration(waiting, instance_id="@no@entity")
