"""From the requests of clients to mutations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from durabletask_backend.mutations import AppendMessage, Code, CreateInstance
from durabletask_backend.values import TERMINAL_STATUSES, InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events, lifecycle
from durabletask_server.engine.ids import random_id
from durabletask_server.engine.lifecycle import MAX_ID_LENGTH, InvalidRequestError
from google.protobuf.timestamp_pb2 import Timestamp

from .scripts import complete, script
from .world import HUB, NOW, SECOND, World, describe

TRACE = pb.TraceContext(traceParent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
MINTED = "f" * 32
LIVE = [RuntimeStatus.PENDING, RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED]
RUNNING, COMPLETED, FAILED, END = (
    pb.ORCHESTRATION_STATUS_RUNNING,
    pb.ORCHESTRATION_STATUS_COMPLETED,
    pb.ORCHESTRATION_STATUS_FAILED,
    pb.ORCHESTRATION_STATUS_TERMINATED,
)


def create(request: pb.CreateInstanceRequest) -> CreateInstance:
    return lifecycle.create(HUB, request, NOW, lambda: MINTED)


def request(*replaceable: pb.OrchestrationStatus.ValueType, policy: bool = True) -> pb.CreateInstanceRequest:
    made = pb.CreateInstanceRequest(name="o", instanceId="o")

    if policy:
        made.orchestrationIdReusePolicy.CopyFrom(pb.OrchestrationIdReusePolicy(replaceableStatus=replaceable))

    return made


def test_a_start_says_all_that_the_request_says() -> None:
    mutation = create(
        pb.CreateInstanceRequest(
            name="o",
            instanceId="id",
            executionId=events.text("given"),
            version=events.text("v1"),
            input=events.text("input"),
            tags={"a": "b"},
            parentTraceContext=TRACE,
        )
    )

    start = pb.HistoryEvent.FromString(mutation.start)
    assert describe(start) == "ExecutionStarted"
    assert start.timestamp == events.timestamp(NOW)
    assert start.executionStarted == pb.ExecutionStartedEvent(
        name="o",
        version=events.text("v1"),
        input=events.text("input"),
        orchestrationInstance=pb.OrchestrationInstance(instanceId="id", executionId=events.text("given")),
        parentTraceContext=TRACE,
        tags={"a": "b"},
    )
    instance = mutation.instance
    assert (instance.key, instance.execution_id) == ((HUB, "id"), "given")
    assert (instance.name, instance.version, instance.input, instance.tags) == ("o", "v1", "input", {"a": "b"})
    assert (instance.status, instance.created_at, instance.updated_at) == (RuntimeStatus.PENDING, NOW, NOW)
    assert (instance.scheduled_at, mutation.due_at, instance.parent_id) == (None, None, None)


def test_ids_are_made_where_none_are_given() -> None:
    instance = create(pb.CreateInstanceRequest(name="o")).instance

    assert (instance.key.instance_id, instance.execution_id) == (MINTED, MINTED)


def test_made_ids_are_32_lowercase_hex_digits_and_differ() -> None:
    first, second = random_id(), random_id()

    assert first != second
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")


@pytest.mark.parametrize("field", ["version", "input"])
@pytest.mark.parametrize("value", [None, ""])
def test_absent_stays_absent_and_empty_stays_empty(field: str, value: str | None) -> None:
    made = pb.CreateInstanceRequest(name="o")

    if value is not None:
        getattr(made, field).value = value

    mutation = create(made)

    assert getattr(mutation.instance, field) == value
    assert events.optional(pb.HistoryEvent.FromString(mutation.start).executionStarted, field) == value


@pytest.mark.parametrize("at", [Timestamp(), events.timestamp(NOW - 1), events.timestamp(NOW)], ids=str)
def test_a_start_time_that_is_not_in_the_future_means_now(at: Timestamp) -> None:
    mutation = create(pb.CreateInstanceRequest(name="o", scheduledStartTimestamp=at))

    assert mutation.due_at is None
    assert mutation.instance.scheduled_at is None
    assert not pb.HistoryEvent.FromString(mutation.start).executionStarted.HasField("scheduledStartTimestamp")


def test_a_start_time_in_the_future_delays_the_start() -> None:
    world = World(o=script([complete(0)]))
    world.start("o", due=NOW + SECOND)
    world.run()
    assert world.instance("o").status is RuntimeStatus.PENDING
    assert world.instance("o").scheduled_at == NOW + SECOND
    world.advance(SECOND)
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionCompleted(0)"]
    assert world.events("o")[1].executionStarted.scheduledStartTimestamp == events.timestamp(NOW + SECOND)


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (pb.CreateInstanceRequest(instanceId="o"), "name"),
        (pb.CreateInstanceRequest(name="o", instanceId="@counter@a"), "instanceId"),
        (pb.CreateInstanceRequest(name="o", instanceId="x" * (MAX_ID_LENGTH + 1)), "instanceId"),
        (pb.CreateInstanceRequest(name="o", instanceId="a\x1fb"), "instanceId"),
        (pb.CreateInstanceRequest(name="o", executionId=events.text("a\nb")), "executionId"),
        (pb.CreateInstanceRequest(name="o", executionId=events.text("x" * (MAX_ID_LENGTH + 1))), "executionId"),
    ],
)
def test_a_start_that_can_never_be_is_refused_by_the_name_of_its_field(
    made: pb.CreateInstanceRequest, field: str
) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{field}: ") as refused:
        create(made)

    assert refused.value.field == field


def test_an_id_may_have_any_other_character_and_the_greatest_length() -> None:
    longest = "é世 /:" + "x" * (MAX_ID_LENGTH - 5)

    assert create(pb.CreateInstanceRequest(name="o", instanceId=longest)).instance.key.instance_id == longest


@pytest.mark.parametrize(
    "ask",
    [
        lambda instance_id: lifecycle.raise_event(HUB, pb.RaiseEventRequest(instanceId=instance_id, name="e"), NOW),
        lambda instance_id: lifecycle.request_termination(HUB, pb.TerminateRequest(instanceId=instance_id), NOW),
        lambda instance_id: lifecycle.request_suspension(HUB, pb.SuspendRequest(instanceId=instance_id), NOW),
        lambda instance_id: lifecycle.request_resumption(HUB, pb.ResumeRequest(instanceId=instance_id), NOW),
    ],
    ids=["raise", "terminate", "suspend", "resume"],
)
@pytest.mark.parametrize("instance_id", ["", "@counter@a"])
def test_no_request_is_for_what_is_no_orchestration(ask: Callable[[str], AppendMessage], instance_id: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^instanceId: "):
        ask(instance_id)


def test_an_event_needs_a_name() -> None:
    with pytest.raises(InvalidRequestError, match=r"^name: "):
        lifecycle.raise_event(HUB, pb.RaiseEventRequest(instanceId="o"), NOW)


def test_requests_are_messages_to_whichever_generation_is_live() -> None:
    reason = events.text("why")
    asked = [
        lifecycle.raise_event(HUB, pb.RaiseEventRequest(instanceId="o", name="Name", input=reason), NOW),
        lifecycle.request_termination(HUB, pb.TerminateRequest(instanceId="o", output=reason, recursive=True), NOW),
        lifecycle.request_suspension(HUB, pb.SuspendRequest(instanceId="o", reason=reason), NOW),
        lifecycle.request_resumption(HUB, pb.ResumeRequest(instanceId="o", reason=reason), NOW),
    ]
    at = events.timestamp(NOW)

    assert [pb.HistoryEvent.FromString(message.payload) for message in asked] == [
        pb.HistoryEvent(eventId=-1, timestamp=at, eventRaised=pb.EventRaisedEvent(name="Name", input=reason)),
        pb.HistoryEvent(
            eventId=-1, timestamp=at, executionTerminated=pb.ExecutionTerminatedEvent(input=reason, recurse=True)
        ),
        pb.HistoryEvent(eventId=-1, timestamp=at, executionSuspended=pb.ExecutionSuspendedEvent(input=reason)),
        pb.HistoryEvent(eventId=-1, timestamp=at, executionResumed=pb.ExecutionResumedEvent(input=reason)),
    ]
    assert {message.key for message in asked} == {InstanceKey(HUB, "o")}
    assert {message.execution_id for message in asked} == {None}


# Reuse of an id.


@pytest.mark.parametrize(
    ("made", "gives_way"),
    [
        (request(policy=False), TERMINAL_STATUSES),
        (request(), frozenset()),
        (request(COMPLETED, FAILED), {RuntimeStatus.COMPLETED, RuntimeStatus.FAILED}),
        (request(COMPLETED, RUNNING), {RuntimeStatus.COMPLETED}),
        (request(RUNNING, END), {RuntimeStatus.RUNNING, RuntimeStatus.TERMINATED}),
        (request(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW), frozenset()),
    ],
    ids=["no policy", "an empty one", "terminal ones", "a live one alone", "a live one with TERMINATED", "no status"],
)
def test_the_policy_says_which_statuses_give_way(
    made: pb.CreateInstanceRequest, gives_way: frozenset[RuntimeStatus]
) -> None:
    assert create(made).replace == gives_way


@pytest.mark.parametrize(
    ("made", "existing", "refuses"),
    [
        (request(COMPLETED, RUNNING), RuntimeStatus.RUNNING, True),
        (request(COMPLETED, RUNNING), RuntimeStatus.COMPLETED, False),
        (request(COMPLETED, RUNNING), RuntimeStatus.PENDING, False),
        (request(FAILED), RuntimeStatus.COMPLETED, False),
        (request(policy=False), RuntimeStatus.RUNNING, False),
        (request(RUNNING), None, False),
    ],
)
def test_a_policy_that_replaces_the_running_but_does_not_terminate_is_invalid_only_where_it_matters(
    made: pb.CreateInstanceRequest, existing: RuntimeStatus | None, refuses: bool
) -> None:
    assert lifecycle.refuses_termination(made, existing) is refuses


def test_without_a_policy_an_instance_that_has_ended_is_replaced() -> None:
    world = World(o=script([complete(0)]))
    world.start("o")
    world.run()
    first = world.instance("o").execution_id

    assert world.create(request(policy=False)).code is Code.REPLACED
    assert world.history("o") == []
    assert world.instance("o").execution_id != first
    world.run()
    assert world.history("o") == ["ExecutionStarted ExecutionCompleted(0)"]


@pytest.mark.parametrize("status", LIVE)
def test_without_a_policy_a_live_instance_stands(status: RuntimeStatus) -> None:
    world = World(o=script())
    world.start("o")

    if status is not RuntimeStatus.PENDING:
        world.run()

    if status is RuntimeStatus.SUSPENDED:
        world.suspend("o")
        world.run()

    outcome = world.create(request(policy=False))
    assert (outcome.code, outcome.status) == (Code.EXISTS, status)


def test_a_repeated_start_with_the_same_execution_id_changes_nothing() -> None:
    made = request(policy=False)
    made.executionId.value = "same"
    world = World(o=script())

    assert world.create(made).code is Code.APPLIED
    world.run()
    assert world.create(made).code is Code.UNCHANGED
