"""What a client can read about entities, and how it gets rid of them."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from datetime import UTC, datetime, timedelta

from durabletask.client import CleanEntityStorageResult, EntityQuery, OrchestrationQuery, TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.internal.orchestrator_service_pb2 import PurgeInstancesRequest
from entities import called, operating, state_of
from runs import equal, fresh, output_of, stub, until
from sections import held, locker


def _made(client: TaskHubGrpcClient, prefix: str, count: int) -> list[str]:
    """The ids of so many counters, in their order; the state is the number."""
    keys = [f"{prefix}-{number}" for number in range(count)]
    steps = [["Counter", key, "add", number] for number, key in enumerate(keys)]
    output_of(client, client.schedule_new_orchestration(operating, input=steps))

    return [f"@counter@{key}" for key in keys]


def _found(client: TaskHubGrpcClient, prefix: str, **query: object) -> list[str]:
    return [str(found.id) for found in client.get_all_entities(EntityQuery(instance_id_starts_with=prefix, **query))]


def scenario_entities_by_prefix(client: TaskHubGrpcClient) -> None:
    prefix = fresh("prefix")
    made = _made(client, prefix, 4)
    called(client, EntityInstanceId("journal", f"{prefix}-0"), "append", 1)

    equal(_found(client, f"@counter@{prefix}"), made)
    equal(_found(client, f"@counter@{prefix}-3"), made[3:])
    equal(_found(client, f"@counter@{prefix.upper()}"), [], "the case of a key counts")
    equal(_found(client, f"@journal@{prefix}"), [f"@journal@{prefix}-0"])
    equal(_found(client, f"Counter@{prefix}"), made, "a name is a name with or without its @, in any case")

    everything = [str(found.id) for found in client.get_all_entities()]
    equal([found for found in everything if prefix in found], [*made, f"@journal@{prefix}-0"])


def scenario_entities_with_state(client: TaskHubGrpcClient) -> None:
    prefix = f"@counter@{fresh('state')}"
    _made(client, prefix.removeprefix("@counter@"), 3)
    found = client.get_all_entities(EntityQuery(instance_id_starts_with=prefix))
    equal([one.get_typed_state() for one in found], [0, 1, 2])

    bare = client.get_all_entities(EntityQuery(instance_id_starts_with=prefix, include_state=False))
    equal([(one.includes_state, one.get_state()) for one in bare], [(False, None)] * 3)


def scenario_entities_in_pages(client: TaskHubGrpcClient) -> None:
    prefix = fresh("pages")
    made = _made(client, prefix, 7)

    for size in (1, 3, 7, 100, None):
        equal(_found(client, f"@counter@{prefix}", page_size=size), made, f"by {size}")


def scenario_entities_by_time(client: TaskHubGrpcClient) -> None:
    prefix = fresh("time")
    [old] = _made(client, prefix, 1)
    modified = client.get_entity(EntityInstanceId.parse(old)).last_modified
    between = datetime.now(UTC)
    called(client, EntityInstanceId("Counter", f"{prefix}-new"), "add", 1)
    name = f"@counter@{prefix}"
    new = f"{name}-new"

    equal(_found(client, name, last_modified_from=modified), [old, new])
    equal(_found(client, name, last_modified_from=between), [new])
    equal(_found(client, name, last_modified_to=between), [old])
    equal(_found(client, name, last_modified_from=between + timedelta(hours=1)), [])

    called(client, EntityInstanceId.parse(old), "add", 1)
    equal(_found(client, name, last_modified_from=between), [old, new], "what was changed is younger")


def scenario_entities_without_state(client: TaskHubGrpcClient) -> None:
    key = fresh("transient")
    owner = held(client, key)
    equal(_found(client, f"@account@{key}"), [])
    equal(_found(client, f"@account@{key}", include_transient=True), [f"@account@{key}"])
    client.raise_orchestration_event(owner, "go")
    output_of(client, owner)


def scenario_entities_are_cleaned(client: TaskHubGrpcClient) -> None:
    kept, emptied = (EntityInstanceId("Counter", fresh(name)) for name in ("kept", "emptied"))
    until(lambda: client.clean_entity_storage() == CleanEntityStorageResult(0, 0), "others have left nothing")
    owner = held(client, fresh("locked"))
    called(client, kept, "add", 1)
    called(client, emptied, "add", 1)
    called(client, emptied, "delete")
    scheduled = EntityInstanceId("Counter", fresh("scheduled"))
    client.signal_entity(scheduled, "add", 1, signal_time=datetime.now(UTC) + timedelta(milliseconds=800))

    cleaned = client.clean_entity_storage(remove_empty_entities=False)
    equal((cleaned.empty_entities_removed, cleaned.orphaned_locks_released), (0, 0))
    cleaned = client.clean_entity_storage()
    equal((cleaned.empty_entities_removed, cleaned.orphaned_locks_released), (1, 0))
    equal(client.get_entity(emptied), None)
    equal(_found(client, str(emptied), include_transient=True), [])
    equal(client.clean_entity_storage().empty_entities_removed, 0, "there is no more")

    equal(state_of(client, kept), 1)
    until(lambda: state_of(client, scheduled) == 1, "what is to come is not lost")
    client.raise_orchestration_event(owner, "go")
    equal(output_of(client, owner), [0], "nor is a lock whose owner lives")


def scenario_no_lock_is_orphaned(client: TaskHubGrpcClient) -> None:
    key = fresh("orphan")
    owner = held(client, key)
    client.terminate_orchestration(owner)
    client.wait_for_orchestration_completion(owner)
    client.purge_orchestration(owner)
    client.clean_entity_storage()
    until(lambda: locker(client, key) is None, "it is free")
    equal(called(client, EntityInstanceId("Account", key), "get"), 0)


def scenario_entities_are_no_instances(client: TaskHubGrpcClient) -> None:
    since = datetime.now(UTC)
    prefix = fresh("apart")
    made = _made(client, prefix, 2)

    equal(client.get_all_orchestration_states(OrchestrationQuery(instance_id_prefix=f"@counter@{prefix}")), [])
    queried = client.get_all_orchestration_states(OrchestrationQuery(created_time_from=since))
    equal([state.name for state in queried], ["operating"])
    listed = client.list_instance_ids(completed_time_from=since).items
    equal(listed, [state.instance_id for state in queried])
    equal(client.get_orchestration_state(made[0]), None)

    equal(client.purge_orchestrations_by(created_time_from=since).deleted_instance_count, 1)
    equal(_found(client, f"@counter@{prefix}"), made)


def scenario_entity_is_purged(client: TaskHubGrpcClient) -> None:
    [entity_id] = _made(client, fresh("purged"), 1)
    entity = EntityInstanceId.parse(entity_id)
    equal(client.purge_orchestration(entity_id).deleted_instance_count, 0, "it is no orchestration")
    equal(state_of(client, entity), 0)

    purged = stub(client).PurgeInstances(PurgeInstancesRequest(instanceId=entity_id))
    equal(purged.deletedInstanceCount, 1)
    equal(client.get_entity(entity), None)
    equal(called(client, entity, "add", 5), 5, "it begins anew")


def scenario_entity_history(client: TaskHubGrpcClient) -> None:
    key = fresh("history")
    instance_id = client.schedule_new_orchestration(operating, input=[["Counter", key, "add", 2]])
    output_of(client, instance_id)
    equal(_kinds(client, instance_id), [
        "OrchestratorStartedEvent",
        "ExecutionStartedEvent",
        "EntityOperationCalledEvent",
        "OrchestratorStartedEvent",
        "EntityOperationCompletedEvent",
        "ExecutionCompletedEvent",
    ])  # fmt: skip
    events = client.get_orchestration_history(instance_id)
    equal((events[2].operation, events[2].input, events[2].target_instance_id), ("add", "2", f"@counter@{key}"))
    equal((events[4].request_id, events[4].output), (events[2].request_id, "2"))


def scenario_section_history(client: TaskHubGrpcClient) -> None:
    owner = held(client, fresh("history"))
    client.raise_orchestration_event(owner, "go")
    output_of(client, owner)
    equal(_kinds(client, owner), [
        "OrchestratorStartedEvent",
        "ExecutionStartedEvent",
        "EntityLockRequestedEvent",
        "OrchestratorStartedEvent",
        "EntityLockGrantedEvent",
        "OrchestratorStartedEvent",
        "EventRaisedEvent",
        "EntityOperationCalledEvent",
        "OrchestratorStartedEvent",
        "EntityOperationCompletedEvent",
        "EntityUnlockSentEvent",
        "ExecutionCompletedEvent",
    ])  # fmt: skip


def _kinds(client: TaskHubGrpcClient, instance_id: str) -> list[str]:
    return [type(event).__name__ for event in client.get_orchestration_history(instance_id)]
