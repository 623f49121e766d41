"""Critical sections: entities that an orchestration has locked, and how it loses them."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from typing import Any

from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.entities import DurableEntity, EntityInstanceId
from durabletask.internal.orchestrator_service_pb2 import OrchestrationIdReusePolicy
from durabletask.task import OrchestrationContext, when_all
from entities import called, operating, state_of
from runs import Flow, completed, equal, fresh, output_of, started, status, until

Status = OrchestrationStatus


class Account(DurableEntity):
    """Its balance is read and written apart, so that an update is lost when two transfers mix."""

    def get(self) -> int:
        return self.get_state(int, 0)

    def put(self, balance: int) -> None:
        self.set_state(balance)


def transferring(ctx: OrchestrationContext, order: dict[str, Any]) -> Flow:
    source, target = (EntityInstanceId("Account", key) for key in order["between"])

    with (yield ctx.lock_entities([source, target])):
        before, after = yield when_all([ctx.call_entity(source, "get"), ctx.call_entity(target, "get")])
        yield ctx.call_entity(source, "put", before - order["amount"])
        yield ctx.call_entity(target, "put", after + order["amount"])


def holding(ctx: OrchestrationContext, order: dict[str, Any]) -> Flow:
    """Lock accounts until `go`, and end the section in the way that the order says."""
    if order["then"] == "listen":
        yield ctx.wait_for_external_event("never")

    accounts = [EntityInstanceId("Account", key) for key in order["keys"]]

    with (yield ctx.lock_entities(accounts)):
        ctx.set_custom_status("held")
        yield ctx.wait_for_external_event("go")

        if order["then"] == "fail":
            raise ValueError("inside the section")

        if order["then"] == "continue":
            ctx.continue_as_new({**order, "then": "listen"})
            return None

        balances = yield when_all([ctx.call_entity(account, "get") for account in accounts])

    # It lives on, and is out of the section.
    if order["then"] == "linger":
        yield ctx.wait_for_external_event("never")

    return balances


def held(client: TaskHubGrpcClient, *keys: str, then: str = "return") -> str:
    """The id of an orchestration that has locked these accounts."""
    instance_id = client.schedule_new_orchestration(holding, input={"keys": keys, "then": then})
    until(lambda: client.get_orchestration_state(instance_id).get_custom_status() == "held", "it has the locks")

    return instance_id


def locker(client: TaskHubGrpcClient, key: str) -> str | None:
    """Who has locked an account."""
    found = client.get_entity(EntityInstanceId("Account", key))

    # The SDK's own accessor takes it for an entity's id, and it is an orchestration's.
    return (found and found._locked_by) or None  # noqa: SLF001


def scenario_lock_is_seen_and_holds_others_up(client: TaskHubGrpcClient) -> None:
    first, second = fresh("first"), fresh("second")
    owner = held(client, first, second)
    equal([locker(client, key) for key in (first, second)], [owner, owner])

    step = ["Account", second, "put", 100]
    other = started(client, operating, input=[step])
    client.signal_entity(EntityInstanceId("Account", first), "put", 50)
    until(
        lambda: all(client.get_entity(EntityInstanceId("Account", key)).backlog_queue_size for key in (first, second)),
        "the call and the signal wait",
    )
    equal(status(client, other), Status.RUNNING)

    client.raise_orchestration_event(owner, "go")
    equal(output_of(client, owner), [0, 0], "the owner's calls overtake what others have sent")
    output_of(client, other)
    equal(called(client, EntityInstanceId("Account", first), "get"), 50)
    equal(state_of(client, EntityInstanceId("Account", second)), 100)
    equal([locker(client, key) for key in (first, second)], [None, None])


def scenario_lock_of_opposite_transfers(client: TaskHubGrpcClient) -> None:
    keys = [fresh("alice"), fresh("bob")]
    accounts = [EntityInstanceId("Account", key) for key in keys]

    for account in accounts:
        client.signal_entity(account, "put", 1000)

    transfers = []

    for _ in range(20):
        for between, amount in ((keys, 7), (keys[::-1], 3)):
            order = {"between": between, "amount": amount}
            transfers.append(client.schedule_new_orchestration(transferring, input=order))

    for transfer in transfers:
        output_of(client, transfer)

    equal([called(client, account, "get") for account in accounts], [1000 - 20 * 4, 1000 + 20 * 4])
    equal([locker(client, key) for key in keys], [None, None])


def scenario_lock_of_a_ring(client: TaskHubGrpcClient) -> None:
    keys = [fresh(f"ring-{number}") for number in range(5)]
    ring = [(keys[at], keys[(at + 1) % 5]) for at in range(5)]
    orders = [{"between": between, "amount": 1} for between in (*ring, *ring, *ring)]
    transfers = [client.schedule_new_orchestration(transferring, input=order) for order in orders]

    for transfer in transfers:
        output_of(client, transfer)

    equal([called(client, EntityInstanceId("Account", key), "get") for key in keys], [0] * 5)


def _usable(client: TaskHubGrpcClient, *keys: str) -> None:
    """Accounts are, if they are to be, at once or soon, no longer locked."""
    for key in keys:
        called(client, EntityInstanceId("Account", key), "put", 1)
        until(lambda key=key: locker(client, key) is None, "it is free")


def _released(client: TaskHubGrpcClient, then: str, expected: OrchestrationStatus) -> None:
    first, second = fresh("first"), fresh("second")
    owner = held(client, first, second, then=then)
    client.raise_orchestration_event(owner, "go")
    _usable(client, first, second)
    until(lambda: status(client, owner) is expected, str(expected))


def scenario_lock_ends_with_its_section(client: TaskHubGrpcClient) -> None:
    _released(client, "linger", Status.RUNNING)


def scenario_lock_ends_with_a_failure(client: TaskHubGrpcClient) -> None:
    _released(client, "fail", Status.FAILED)


def scenario_lock_ends_with_the_generation(client: TaskHubGrpcClient) -> None:
    _released(client, "continue", Status.RUNNING)


def scenario_lock_ends_with_a_termination(client: TaskHubGrpcClient) -> None:
    first, second = fresh("first"), fresh("second")
    owner = held(client, first, second)
    waiting = started(client, operating, input=[["Account", first, "put", 7]])
    client.terminate_orchestration(owner)
    equal(completed(client, owner).runtime_status, Status.TERMINATED)
    output_of(client, waiting)
    _usable(client, first, second)


def scenario_lock_ends_with_a_replacement(client: TaskHubGrpcClient) -> None:
    first, second = fresh("first"), fresh("second")
    owner = held(client, first, second)
    replaceable = OrchestrationIdReusePolicy(replaceableStatus=[Status.RUNNING.value, Status.TERMINATED.value])
    client.schedule_new_orchestration(operating, input=[], instance_id=owner, reuse_id_policy=replaceable)
    equal(output_of(client, owner), [])
    _usable(client, first, second)


def scenario_lock_is_not_for_one_who_is_gone(client: TaskHubGrpcClient) -> None:
    first, second = fresh("first"), fresh("second")
    owner = held(client, second)
    waiting = started(client, holding, input={"keys": [first, second], "then": "return"})
    until(lambda: locker(client, first) == waiting, "it has the first lock, and waits for the second")

    client.terminate_orchestration(waiting)
    completed(client, waiting)
    client.raise_orchestration_event(owner, "go")
    output_of(client, owner)
    _usable(client, first, second)


ENTITIES = (Account,)
ORCHESTRATORS = (transferring, holding)
