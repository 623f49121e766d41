"""What a client can read about instances, and how it gets rid of them."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from datetime import UTC, datetime, timedelta

from durabletask import history
from durabletask.client import OrchestrationQuery, OrchestrationStatus, TaskHubGrpcClient
from durabletask.internal.orchestrator_service_pb2 import GetInstanceRequest
from durabletask.task import ActivityContext, OrchestrationContext
from runs import Flow, completed, equal, fresh, output_of, started, status, stub

Status = OrchestrationStatus


def increment(_: ActivityContext, number: int) -> int:
    return number + 1


def quick(_: OrchestrationContext, number: int) -> int:
    if number < 0:
        raise ValueError("below zero")

    return number


def open_ended(ctx: OrchestrationContext, _: None) -> Flow:
    yield ctx.wait_for_external_event("never")


def two_steps(ctx: OrchestrationContext, number: int) -> Flow:
    number = yield ctx.call_activity(increment, input=number, tags={"step": "one"})
    yield ctx.create_timer(timedelta(milliseconds=20))

    return (yield ctx.call_sub_orchestrator(quick, input=number))


def versioned(ctx: OrchestrationContext, _: None) -> str | None:
    return ctx.version


def _completed(client: TaskHubGrpcClient, prefix: str, count: int) -> list[str]:
    """The ids of so many instances, completed in the order of their ids."""
    made = [client.schedule_new_orchestration(quick, input=n, instance_id=f"{prefix}-{n}") for n in range(count)]

    for instance_id in made:
        completed(client, instance_id)

    return made


def _found(client: TaskHubGrpcClient, query: OrchestrationQuery) -> list[str]:
    return [state.instance_id for state in client.get_all_orchestration_states(query)]


def scenario_query_by_status(client: TaskHubGrpcClient) -> None:
    prefix = fresh("status")
    [done] = _completed(client, prefix, 1)
    failed = client.schedule_new_orchestration(quick, input=-1, instance_id=f"{prefix}-failed")
    equal(completed(client, failed).runtime_status, Status.FAILED)
    running = client.schedule_new_orchestration(open_ended, instance_id=f"{prefix}-running")
    client.wait_for_orchestration_start(running)

    def found(*statuses: OrchestrationStatus) -> set[str]:
        return set(_found(client, OrchestrationQuery(runtime_status=list(statuses), instance_id_prefix=prefix)))

    equal(found(), {done, failed, running})
    equal(found(Status.COMPLETED), {done})
    equal(found(Status.FAILED, Status.RUNNING), {failed, running})
    equal(found(Status.TERMINATED), set())


def scenario_query_by_time(client: TaskHubGrpcClient) -> None:
    prefix = fresh("time")
    [old] = _completed(client, prefix, 1)
    created = completed(client, old).created_at
    between = datetime.now(UTC)
    new = client.schedule_new_orchestration(quick, input=1, instance_id=f"{prefix}-new")
    completed(client, new)

    def found(since: datetime | None, before: datetime | None) -> list[str]:
        query = OrchestrationQuery(created_time_from=since, created_time_to=before, instance_id_prefix=prefix)
        return _found(client, query)

    equal(found(created, None), [old, new])
    equal(found(between, None), [new])
    equal(found(None, between), [old])
    equal(found(between + timedelta(hours=1), None), [])


def scenario_query_in_pages(client: TaskHubGrpcClient) -> None:
    prefix = fresh("pages")
    made = _completed(client, prefix, 7)

    for size in (1, 3, 7, 100):
        equal(
            _found(client, OrchestrationQuery(max_instance_count=size, instance_id_prefix=prefix)), made, f"by {size}"
        )


def scenario_query_with_payloads(client: TaskHubGrpcClient) -> None:
    prefix = fresh("payloads")
    _completed(client, prefix, 2)
    query = OrchestrationQuery(fetch_inputs_and_outputs=True, instance_id_prefix=prefix)
    states = client.get_all_orchestration_states(query)
    equal([(state.get_input(), state.get_output()) for state in states], [(0, 0), (1, 1)])

    bare = client.get_all_orchestration_states(OrchestrationQuery(instance_id_prefix=prefix))
    equal([(state.serialized_input, state.serialized_output) for state in bare], [(None, None)] * 2)


def scenario_list_instance_ids(client: TaskHubGrpcClient) -> None:
    since = datetime.now(UTC)
    made: list[str] = []

    for number in range(5):
        made.append(client.schedule_new_orchestration(quick, input=number))
        completed(client, made[-1])

    started(client, open_ended)
    listed: list[str] = []
    token: str | None = None

    for _ in range(3):
        page = client.list_instance_ids(completed_time_from=since, page_size=2, continuation_token=token)
        listed += page.items
        token = page.continuation_token

    equal((listed, token), (made, None))
    equal(client.list_instance_ids([Status.FAILED], completed_time_from=since).items, [])


def scenario_history(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(two_steps, input=1)
    equal(output_of(client, instance_id), 2)
    events = client.get_orchestration_history(instance_id)
    expected = [
        history.OrchestratorStartedEvent,
        history.ExecutionStartedEvent,
        history.TaskScheduledEvent,
        history.OrchestratorStartedEvent,
        history.TaskCompletedEvent,
        history.TimerCreatedEvent,
        history.OrchestratorStartedEvent,
        history.TimerFiredEvent,
        history.SubOrchestrationInstanceCreatedEvent,
        history.OrchestratorStartedEvent,
        history.SubOrchestrationInstanceCompletedEvent,
        history.ExecutionCompletedEvent,
    ]
    equal([type(event).__name__ for event in events], [kind.__name__ for kind in expected])
    assert all(event.timestamp.year > 2000 for event in events)
    turns = [event.timestamp for event in events if isinstance(event, history.OrchestratorStartedEvent)]
    equal(turns, sorted(turns))

    scheduled = events[2]
    assert isinstance(scheduled, history.TaskScheduledEvent)
    equal((scheduled.name, scheduled.input, scheduled.tags), ("increment", "1", {"step": "one"}))


def scenario_purge_by_id(client: TaskHubGrpcClient) -> None:
    live = started(client, open_ended)
    equal(client.purge_orchestration(live).deleted_instance_count, 0, "a live instance stays")
    equal(status(client, live), Status.RUNNING)

    client.terminate_orchestration(live)
    completed(client, live)
    equal(client.purge_orchestration(live).deleted_instance_count, 1)
    equal(client.get_orchestration_state(live), None)


def scenario_purge_with_children(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(two_steps, input=1)
    output_of(client, instance_id)
    events = client.get_orchestration_history(instance_id)
    [child] = [e.instance_id for e in events if isinstance(e, history.SubOrchestrationInstanceCreatedEvent)]

    equal(client.purge_orchestration(instance_id, recursive=True).deleted_instance_count, 2)
    equal(client.get_orchestration_state(child), None)


def scenario_purge_by_filter(client: TaskHubGrpcClient) -> None:
    since = datetime.now(UTC)
    made = _completed(client, fresh("purged"), 4)
    failed = client.schedule_new_orchestration(quick, input=-1)
    completed(client, failed)
    live = started(client, open_ended)

    purged = client.purge_orchestrations_by(created_time_from=since, runtime_status=[Status.COMPLETED])
    equal((purged.deleted_instance_count, purged.is_complete), (4, True))
    equal([client.get_orchestration_state(instance_id) for instance_id in made], [None] * 4)

    purged = client.purge_orchestrations_by(created_time_from=since)
    equal(purged.deleted_instance_count, 1, "without a status: all that is terminal")
    equal(status(client, live), Status.RUNNING)


def scenario_tags_and_version(client: TaskHubGrpcClient) -> None:
    tags = {"team": "blue", "empty": ""}
    instance_id = client.schedule_new_orchestration(versioned, tags=tags, version="2.1")
    equal(output_of(client, instance_id), "2.1")
    [start] = [e for e in client.get_orchestration_history(instance_id) if isinstance(e, history.ExecutionStartedEvent)]
    equal((start.tags, start.version), (tags, "2.1"))
    # The SDK's state has neither.
    state = stub(client).GetInstance(GetInstanceRequest(instanceId=instance_id)).orchestrationState
    equal((dict(state.tags), state.version.value), (tags, "2.1"))

    equal(output_of(client, client.schedule_new_orchestration(versioned)), None)


ACTIVITIES = (increment,)
ORCHESTRATORS = (quick, open_ended, two_steps, versioned)
