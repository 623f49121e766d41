"""What an engine tells of its orchestrations: states, queries, histories, tags, versions; and how they are deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from durabletask_client import OrchestrationQuery, OrchestrationStatus
from durabletask_worker import OrchestrationContext, Registry

from integration.engines.control import waiting
from integration.engines.flows import in_sequence, parent
from integration.engines.hub import Hub, fresh

registry = Registry()


def scenario_state(hub: Hub) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    instance_id = hub.started(in_sequence, input=5)
    state = hub.completed(instance_id)
    assert (state.instance_id, state.name, state.get_input(), state.get_output()) == (instance_id, "in_sequence", 5, 40)
    assert before <= state.created_at <= state.last_updated_at <= datetime.now(UTC) + timedelta(seconds=1)


def scenario_state_without_payloads(hub: Hub) -> None:
    instance_id = hub.started(in_sequence, input=5)
    hub.output_of(instance_id)
    state = hub.client.get_orchestration_state(instance_id, fetch_payloads=False)
    assert state is not None
    assert (state.runtime_status, state.serialized_input, state.serialized_output) == (
        OrchestrationStatus.COMPLETED,
        None,
        None,
    )


def scenario_tags(hub: Hub) -> None:
    tags = {"team": "blue", "žluť": "🐎"}
    instance_id = hub.client.schedule_new_orchestration(in_sequence, input=1, tags=tags)
    assert hub.completed(instance_id).tags == tags


@registry.orchestrator
async def telling_its_version(ctx: OrchestrationContext) -> str | None:
    return ctx.version


def scenario_version(hub: Hub) -> None:
    instance_id = hub.client.schedule_new_orchestration(telling_its_version, version="2.1")
    assert hub.output_of(instance_id) == "2.1"


@registry.orchestrator
async def starting_a_version(ctx: OrchestrationContext) -> str | None:
    return await ctx.call_sub_orchestrator(telling_its_version, version="3.0")


def scenario_version_of_a_child(hub: Hub) -> None:
    assert hub.output(starting_a_version) == "3.0"


def scenario_query(hub: Hub) -> None:
    prefix = fresh("queried")
    done = [hub.started(in_sequence, input=1, instance_id=f"{prefix}-{number}") for number in range(5)]
    live = hub.started(waiting, instance_id=f"{prefix}-live")

    for instance_id in done:
        hub.output_of(instance_id)

    found = hub.client.get_orchestration_state_by(OrchestrationQuery(instance_id_prefix=prefix, max_instance_count=2))
    assert sorted(state.instance_id for state in found) == sorted([*done, live])
    running = OrchestrationQuery(instance_id_prefix=prefix, runtime_status=[OrchestrationStatus.RUNNING])
    assert [state.instance_id for state in hub.client.get_orchestration_state_by(running)] == [live]
    hub.client.terminate_orchestration(live)


def scenario_ids_of_what_is_done(hub: Hub) -> None:
    instance_id = hub.started(in_sequence, input=1)
    hub.output_of(instance_id)
    token: str | None = None
    ids: list[str] = []

    while True:
        page = hub.client.list_instance_ids(
            runtime_status=[OrchestrationStatus.COMPLETED], page_size=10, continuation_token=token
        )
        ids += page.items
        token = page.continuation_token

        if not token:
            break

    assert instance_id in ids


def scenario_history(hub: Hub) -> None:
    instance_id = hub.started(in_sequence, input=5)
    hub.output_of(instance_id)
    kinds = [event.kind for event in hub.client.get_orchestration_history(instance_id)]
    assert kinds.count("ExecutionStarted") == 1
    assert kinds.count("TaskScheduled") == kinds.count("TaskCompleted") == 3


def scenario_purge(hub: Hub) -> None:
    instance_id = hub.started(in_sequence, input=1)
    hub.output_of(instance_id)
    assert hub.client.purge_orchestration(instance_id).deleted_instance_count == 1
    assert hub.client.get_orchestration_state(instance_id) is None


def scenario_purge_with_children(hub: Hub) -> None:
    child_id = fresh("child")
    instance_id = hub.started(parent, input=child_id)
    hub.output_of(instance_id)
    assert hub.client.purge_orchestration(instance_id, recursive=True).deleted_instance_count == 4
    assert hub.client.get_orchestration_state(child_id) is None


def scenario_purge_of_one_that_is_alive(hub: Hub) -> None:
    instance_id = hub.started(waiting)
    assert hub.client.purge_orchestration(instance_id).deleted_instance_count == 0
    hub.client.raise_orchestration_event(instance_id, "go", data=1)
    assert hub.output_of(instance_id) == 1


def scenario_purge_by_query(hub: Hub) -> None:
    instance_id = hub.started(in_sequence, input=1)
    state = hub.completed(instance_id)
    hub.client.purge_orchestrations_by(
        created_time_from=state.created_at,
        created_time_to=state.created_at + timedelta(milliseconds=1),
        runtime_status=[OrchestrationStatus.COMPLETED],
    )
    assert hub.client.get_orchestration_state(instance_id) is None
