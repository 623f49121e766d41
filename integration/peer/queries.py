"""Filters in combination, pages while instances come and go, and purges of some of many."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
from durabletask.client import OrchestrationQuery, OrchestrationState, OrchestrationStatus, TaskHubGrpcClient
from durabletask.internal.client_helpers import build_query_instances_req
from durabletask.task import OrchestrationContext
from records import open_ended, quick
from runs import Flow, completed, equal, fresh, refused, started, status, stub

Status = OrchestrationStatus


def parental(ctx: OrchestrationContext, child_id: str) -> Flow:
    return (yield ctx.call_sub_orchestrator(quick, input=1, instance_id=child_id))


def _done(client: TaskHubGrpcClient, prefix: str, *numbers: int) -> list[str]:
    """The ids of instances that have ended, those of negative numbers badly, in the order in which they did."""
    made = [f"{prefix}{number}" for number in numbers]

    for number, instance_id in zip(numbers, made, strict=True):
        completed(client, client.schedule_new_orchestration(quick, input=number, instance_id=instance_id))

    return made


def _with_child(client: TaskHubGrpcClient) -> tuple[OrchestrationState, str]:
    child_id = fresh("child")
    parent_id = client.schedule_new_orchestration(parental, input=child_id)
    parent = completed(client, parent_id)
    equal(parent.runtime_status, Status.COMPLETED)

    return parent, child_id


def scenario_query_by_all_filters(client: TaskHubGrpcClient) -> None:
    prefix = fresh("all")
    old = _done(client, f"{prefix}-a", 0, 1, 2)
    between = datetime.now(UTC)
    new = _done(client, f"{prefix}-b", 0, 1, 2)
    [failed] = _done(client, f"{prefix}-b", -1)

    def found(at_end: str = "", **query: object) -> list[str]:
        states = client.get_all_orchestration_states(OrchestrationQuery(instance_id_prefix=prefix + at_end, **query))
        return sorted(state.instance_id for state in states)

    done = [Status.COMPLETED]
    equal(found(runtime_status=done, created_time_from=between), new)
    equal(found(runtime_status=done, created_time_to=between), old)
    equal(found(created_time_from=between, max_instance_count=1), sorted([*new, failed]))
    equal(found("-b", runtime_status=[Status.FAILED, Status.TERMINATED]), [failed])
    equal(found("-a", runtime_status=[Status.FAILED]), [])
    equal(found("-b", runtime_status=done, created_time_from=between, max_instance_count=2), new)
    equal(found(created_time_from=between, created_time_to=between), [])
    equal(found("-c"), [])
    equal(found(created_time_from=between, max_instance_count=0), sorted([*new, failed]), "no size is any size")


def scenario_query_while_instances_come_and_go(client: TaskHubGrpcClient) -> None:
    prefix = fresh("moving")
    made = _done(client, prefix, *range(10, 30))
    query = OrchestrationQuery(max_instance_count=4, instance_id_prefix=prefix)
    found: list[str] = []
    token = None

    # The SDK's own loop leaves no time between two pages.
    for page_number in range(20):
        page = stub(client).QueryInstances(build_query_instances_req(query, token))
        found += [state.instanceId for state in page.orchestrationState]

        if not page.HasField("continuationToken"):
            break

        token = page.continuationToken
        equal(client.purge_orchestration(found[page_number]).deleted_instance_count, 1)
        # Before all that is still to come, in any order.
        _done(client, f"{prefix}0", page_number)

    equal([one for one in found if one in made], made, "what was there all the time is found, once")


def scenario_query_with_a_bad_token(client: TaskHubGrpcClient) -> None:
    request = build_query_instances_req(OrchestrationQuery(), None)
    request.query.continuationToken.value = "not one of ours"

    with refused(grpc.StatusCode.INVALID_ARGUMENT, naming="continuationToken"):
        stub(client).QueryInstances(request)

    with refused(grpc.StatusCode.INVALID_ARGUMENT, naming="lastInstanceKey"):
        client.list_instance_ids(continuation_token="not one of ours")


def scenario_list_ids_by_all_filters(client: TaskHubGrpcClient) -> None:
    since = datetime.now(UTC)
    prefix = fresh("listed")
    old = _done(client, prefix, 0, 1)
    between = datetime.now(UTC)
    new = _done(client, prefix, 2, -1, 3)
    terminated = started(client, open_ended)
    client.terminate_orchestration(terminated)
    completed(client, terminated)

    def listed(*statuses: OrchestrationStatus, since: datetime = since, until: datetime | None = None) -> list[str]:
        items: list[str] = []
        token = None

        for _ in range(10):
            page = client.list_instance_ids(list(statuses), since, until, 2, token)
            items += page.items
            token = page.continuation_token

            if token is None:
                break

        return items

    equal(listed(), [*old, *new, terminated], "in the order in which they ended")
    equal(listed(until=between), old)
    equal(listed(since=between), [*new, terminated])
    equal(listed(Status.FAILED, Status.TERMINATED), [new[1], terminated])
    equal(listed(Status.COMPLETED, since=between), [new[0], new[2]])
    equal(listed(Status.COMPLETED, until=between), old)


def scenario_purge_by_all_filters(client: TaskHubGrpcClient) -> None:
    prefix = fresh("purged")
    since = datetime.now(UTC)
    old = _done(client, prefix, 0, -1)
    between = datetime.now(UTC)
    new = _done(client, prefix, 1, -2)

    def purged(**query: object) -> tuple[int, bool | None]:
        result = client.purge_orchestrations_by(timeout=timedelta(seconds=30), **query)
        return result.deleted_instance_count, result.is_complete

    def left() -> list[str]:
        query = OrchestrationQuery(instance_id_prefix=prefix)
        return sorted(state.instance_id for state in client.get_all_orchestration_states(query))

    equal(purged(created_time_from=since, created_time_to=between, runtime_status=[Status.FAILED]), (1, True))
    equal(left(), sorted([old[0], *new]))
    equal(purged(created_time_from=between, runtime_status=[Status.COMPLETED, Status.TERMINATED]), (1, True))
    equal(left(), sorted([old[0], new[1]]))
    equal(purged(created_time_from=since, created_time_to=since), (0, True))
    equal(purged(created_time_from=since), (2, True))
    equal(left(), [])


def scenario_purge_of_many(client: TaskHubGrpcClient) -> None:
    since = datetime.now(UTC)
    made = [client.schedule_new_orchestration(quick, input=number) for number in range(250)]

    for instance_id in made:
        completed(client, instance_id)

    equal(client.purge_orchestrations_by(created_time_from=since).deleted_instance_count, 250)
    equal(client.get_all_orchestration_states(OrchestrationQuery(created_time_from=since)), [])


def scenario_purge_without_children(client: TaskHubGrpcClient) -> None:
    parent, child_id = _with_child(client)
    equal(client.purge_orchestration(parent.instance_id, recursive=False).deleted_instance_count, 1)
    equal(client.get_orchestration_state(parent.instance_id), None)
    equal(status(client, child_id), Status.COMPLETED)


def scenario_purge_by_filter_with_children(client: TaskHubGrpcClient) -> None:
    for recursive, count in ((False, 1), (True, 2)):
        parent, child_id = _with_child(client)
        # The child was made later, and is not in the range.
        end = parent.created_at + timedelta(microseconds=1)
        purged = client.purge_orchestrations_by(parent.created_at, end, recursive=recursive)
        equal(purged.deleted_instance_count, count)
        equal(client.get_orchestration_state(parent.instance_id), None)
        equal(client.get_orchestration_state(child_id) is None, recursive)


def scenario_purged_id_is_free(client: TaskHubGrpcClient) -> None:
    [instance_id] = _done(client, fresh("again"), 1)
    client.purge_orchestration(instance_id)
    equal(client.purge_orchestration(instance_id).deleted_instance_count, 0)
    client.schedule_new_orchestration(quick, input=2, instance_id=instance_id)
    equal(completed(client, instance_id).get_output(), 2)
    kinds = [type(event).__name__ for event in client.get_orchestration_history(instance_id)]
    equal(kinds, ["OrchestratorStartedEvent", "ExecutionStartedEvent", "ExecutionCompletedEvent"])


ORCHESTRATORS = (parental,)
