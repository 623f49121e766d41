"""Entities: operations by signal and by call, of clients, orchestrations and other entities."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import DurableEntity, EntityContext, EntityInstanceId
from durabletask.task import OrchestrationContext, TaskFailedError
from runs import Flow, completed, equal, fresh, output, output_of, until

SOON = timedelta(milliseconds=800)
"""After now: late enough to look before."""


class Counter(DurableEntity):
    """An entity as a class, whose operations are its methods."""

    def add(self, number: int) -> int:
        total = self.get_state(int, 0) + number
        self.set_state(total)

        return total

    def get(self) -> int:
        return self.get_state(int, 0)

    def spoil(self, number: int) -> None:
        self.set_state(number)
        raise ValueError(f"cannot take {number}")


def journal(ctx: EntityContext, value: Any) -> Any:
    """An entity as a function, which is told the operation."""
    entries = ctx.get_state(list, [])

    if ctx.operation == "append":
        ctx.set_state([*entries, value])
    elif ctx.operation == "stamp":
        ctx.set_state([*entries, datetime.now(UTC).isoformat()])
    elif ctx.operation != "read":
        raise ValueError(f"no operation {ctx.operation!r}")

    return entries


def relay(ctx: EntityContext, order: dict[str, Any]) -> str | None:
    """An entity that makes others work."""
    if ctx.operation == "start":
        return ctx.schedule_new_orchestration("operating", order["steps"], instance_id=order["instance_id"])

    due = datetime.now(UTC) + SOON if ctx.operation == "tell_soon" else None
    ctx.signal_entity(EntityInstanceId(*order["to"]), order["operation"], order["input"], due)

    if ctx.operation == "tell_in_vain":
        raise ValueError("after all, no")

    return None


def operating(ctx: OrchestrationContext, steps: list[list[Any]]) -> Flow:
    """Call entities, one after the other; a step is name, key, operation and input."""
    results = []

    for name, key, operation, value in steps:
        results.append((yield ctx.call_entity(EntityInstanceId(name, key), operation, value)))

    return results


def recovering(ctx: OrchestrationContext, key: str) -> Flow:
    try:
        yield ctx.call_entity(EntityInstanceId("Counter", key), "spoil", 13)
    except TaskFailedError as error:
        inner = error.details.inner_failure
        return [inner.error_type.rsplit(".", 1)[-1], inner.message]

    return None


def signalling(ctx: OrchestrationContext, key: str) -> Flow:
    entity = EntityInstanceId("journal", key)

    for number in range(20):
        ctx.signal_entity(entity, "append", number)

    return (yield ctx.call_entity(entity, "read"))


def signalling_later(ctx: OrchestrationContext, key: str) -> str:
    due = ctx.current_utc_datetime + SOON
    ctx.signal_entity(EntityInstanceId("journal", key), "stamp", signal_time=due)

    return due.replace(tzinfo=UTC).isoformat()


def called(client: TaskHubGrpcClient, entity: EntityInstanceId, operation: str, value: object = None) -> Any:
    """What an entity answers, through an orchestration. Whatever it was signalled before is done then, too."""
    [result] = output(client, operating, input=[[entity.entity, entity.key, operation, value]])

    return result


def state_of(client: TaskHubGrpcClient, entity: EntityInstanceId) -> Any:
    """The state of an entity, or None where there is none."""
    found = client.get_entity(entity)

    return found and found.get_typed_state()


def scenario_entity_is_signalled(client: TaskHubGrpcClient) -> None:
    entity = EntityInstanceId("Counter", fresh("signalled"))
    equal(client.get_entity(entity), None)
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    client.signal_entity(entity, "add", 2)
    client.signal_entity(entity, "add", 3)
    until(lambda: state_of(client, entity) == 5, "both signals are done")

    found = client.get_entity(entity)
    equal((found.id, found.backlog_queue_size, found.get_locked_by()), (entity, 0, None))
    assert before <= found.last_modified <= datetime.now(UTC), found.last_modified

    bare = client.get_entity(entity, include_state=False)
    equal((bare.id, bare.includes_state, bare.get_state()), (entity, False, None))


def scenario_entity_keeps_the_order_of_signals(client: TaskHubGrpcClient) -> None:
    entity = EntityInstanceId("journal", fresh("ordered"))

    for number in range(100):
        client.signal_entity(entity, "append", number)

    equal(called(client, entity, "read"), list(range(100)))


def scenario_entity_is_called(client: TaskHubGrpcClient) -> None:
    key = fresh("called")
    steps = [["Counter", key, "add", 2], ["Counter", key, "add", 40], ["Counter", key, "get", None]]
    equal(output(client, operating, input=steps), [2, 42, 42])
    equal(state_of(client, EntityInstanceId("Counter", key)), 42)


def scenario_entity_is_called_by_many(client: TaskHubGrpcClient) -> None:
    key = fresh("crowded")
    step = ["Counter", key, "add", 1]
    callers = [client.schedule_new_orchestration(operating, input=[step, step]) for _ in range(20)]
    totals = sorted(total for caller in callers for total in output_of(client, caller))
    equal(totals, list(range(1, 41)), "each call saw what the others had done")


def scenario_entity_call_fails(client: TaskHubGrpcClient) -> None:
    entity = EntityInstanceId("Counter", fresh("spoiled"))
    equal(called(client, entity, "add", 1), 1)
    equal(output(client, recovering, input=entity.key), ["ValueError", "cannot take 13"])
    equal(called(client, entity, "get"), 1, "the state is what it was before")


def scenario_entity_fails_amid_its_batch(client: TaskHubGrpcClient) -> None:
    entity = EntityInstanceId("Counter", fresh("amid"))

    for operation, number in (("add", 1), ("spoil", 13), ("add", 2), ("no_such_operation", 0), ("add", 4)):
        client.signal_entity(entity, operation, number)

    equal(called(client, entity, "get"), 7)


def scenario_entity_nobody_has(client: TaskHubGrpcClient) -> None:
    state = completed(client, client.schedule_new_orchestration(operating, input=[["nowhere", "one", "get", None]]))
    equal(state.runtime_status, OrchestrationStatus.FAILED)
    assert "nowhere" in state.failure_details.message, state.failure_details


def scenario_entity_is_signalled_by_an_orchestration(client: TaskHubGrpcClient) -> None:
    equal(output(client, signalling, input=fresh("told")), list(range(20)))


def scenario_entity_signals_an_entity(client: TaskHubGrpcClient) -> None:
    relaying, target = EntityInstanceId("relay", fresh("relay")), EntityInstanceId("journal", fresh("target"))

    for operation, value in (("tell", "first"), ("tell_in_vain", "never"), ("tell", "second")):
        order = {"to": ["journal", target.key], "operation": "append", "input": value}
        client.signal_entity(relaying, operation, order)

    until(lambda: len(state_of(client, target) or []) == 2, "both came")
    equal(state_of(client, target), ["first", "second"], "an operation that fails has signalled nobody")


def scenario_entity_signals_itself(client: TaskHubGrpcClient) -> None:
    entity = EntityInstanceId("relay", fresh("itself"))
    target = EntityInstanceId("journal", fresh("reached"))
    told = {"to": ["journal", target.key], "operation": "append", "input": "through itself"}
    client.signal_entity(entity, "tell", {"to": ["relay", entity.key], "operation": "tell", "input": told})
    until(lambda: state_of(client, target) == ["through itself"], "it came through")


def scenario_entity_starts_an_orchestration(client: TaskHubGrpcClient) -> None:
    instance_id = fresh("started-by-entity")
    steps = [["Counter", fresh("from-entity"), "add", 5]]
    relaying = EntityInstanceId("relay", fresh("starter"))
    equal(called(client, relaying, "start", {"steps": steps, "instance_id": instance_id}), instance_id)
    equal(output_of(client, instance_id), [5])


def _stamped(client: TaskHubGrpcClient, entity: EntityInstanceId, due: datetime) -> None:
    until(lambda: bool(state_of(client, entity)), "the signal came")
    [stamp] = state_of(client, entity)
    assert datetime.fromisoformat(stamp) >= due - timedelta(milliseconds=2), (stamp, due)


def scenario_entity_signal_of_later(client: TaskHubGrpcClient) -> None:
    entity = EntityInstanceId("journal", fresh("later"))
    due = datetime.now(UTC) + SOON
    client.signal_entity(entity, "stamp", signal_time=due)
    equal(state_of(client, entity), None, "not yet")
    _stamped(client, entity, due)


def scenario_entity_signal_of_the_past(client: TaskHubGrpcClient) -> None:
    entity = EntityInstanceId("journal", fresh("past"))
    client.signal_entity(entity, "append", "old", signal_time=datetime.now(UTC) - timedelta(days=1))
    equal(called(client, entity, "read"), ["old"])


def scenario_orchestration_signals_for_later(client: TaskHubGrpcClient) -> None:
    key = fresh("orchestrated")
    due = datetime.fromisoformat(output(client, signalling_later, input=key))
    _stamped(client, EntityInstanceId("journal", key), due)


def scenario_entity_signals_for_later(client: TaskHubGrpcClient) -> None:
    target = EntityInstanceId("journal", fresh("delayed"))
    due = datetime.now(UTC) + SOON
    order = {"to": ["journal", target.key], "operation": "stamp", "input": None}
    client.signal_entity(EntityInstanceId("relay", fresh("slow")), "tell_soon", order)
    _stamped(client, target, due)


def scenario_entity_is_deleted(client: TaskHubGrpcClient) -> None:
    entity = EntityInstanceId("Counter", fresh("deleted"))
    client.signal_entity(entity, "add", 5)
    client.signal_entity(entity, "delete")
    equal(called(client, entity, "get"), 0)
    equal(state_of(client, entity), None)
    equal(called(client, entity, "add", 2), 2, "it begins anew")


def scenario_entity_state_stays_as_it_is(client: TaskHubGrpcClient) -> None:
    entity = EntityInstanceId("journal", fresh("žluť 🐎"))
    values = ["", "žluťoučký 🐎", {"a": [1, {"b": ""}]}, 0, False, "x" * 300_000]

    for value in values:
        client.signal_entity(entity, "append", value)

    client.signal_entity(entity, "append")
    equal(called(client, entity, "read"), [*values, None])
    equal(state_of(client, entity), [*values, None])


def scenario_entity_names_ignore_case(client: TaskHubGrpcClient) -> None:
    key = fresh("Case")
    shouted = EntityInstanceId("counter", key)
    # The SDK lower-cases the name itself, and other SDKs may not.
    shouted.entity = "COUNTER"
    client.signal_entity(shouted, "add", 3)
    equal(called(client, EntityInstanceId("Counter", key), "add", 4), 7)
    found = client.get_entity(shouted)
    equal((str(found.id), found.get_typed_state()), (f"@counter@{key}", 7))
    equal(client.get_entity(EntityInstanceId("counter", key.upper())), None, "the case of a key counts")


ENTITIES = (Counter, journal, relay)
ORCHESTRATORS = (operating, recovering, signalling, signalling_later)
