"""From a worker's answer to a batch to what is committed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest
from durabletask_backend.mutations import AppendMessage, CompleteEntityTurn, CreateInstance
from durabletask_backend.values import TERMINAL_STATUSES, Entity, InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import entity, events
from durabletask_server.engine.entity import EntityDecision, Operations
from durabletask_server.engine.ids import random_id
from durabletask_server.engine.outgoing import UNKNOWN_FAILURE

from .test_entity_taking import FREE, KEY, LOCKED, batch, call, inbox, signal
from .world import HUB, NOW, SECOND

LATER = NOW + SECOND
TRACE = pb.TraceContext(traceParent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")


def answered(
    *results: pb.OperationResult,
    state: str | None = None,
    actions: Sequence[pb.OperationAction] = (),
    of: Operations | None = None,
    found: Entity = FREE,
) -> EntityDecision:
    """The decision on a batch of as many calls as there are results."""
    taken = of or batch(found, inbox(*[call(str(at)) for at in range(max(len(results), 1))]))
    result = pb.EntityBatchResult(results=results, entityState=events.text(state), actions=actions)

    return entity.decide(found, taken, result, LATER, random_id)


def success(value: str | None = None) -> pb.OperationResult:
    return pb.OperationResult(success=pb.OperationResultSuccess(result=events.text(value)))


def failed(failure: pb.TaskFailureDetails | None) -> pb.OperationResult:
    return pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=failure))


def replies(decision: EntityDecision) -> list[pb.HistoryEvent]:
    return [
        pb.HistoryEvent.FromString(effect.payload)
        for effect in decision.mutation.effects
        if isinstance(effect, AppendMessage)
    ]


def asks(**action: object) -> list[pb.OperationAction]:
    return [pb.OperationAction(id=0, **action)]  # type: ignore[arg-type]


def test_the_state_is_what_the_answer_says_and_absent_is_none() -> None:
    kept = answered(success(), state="").entity
    assert (kept.state, kept.has_state, kept.modified_at, kept.turn) == ("", True, LATER, 8)

    gone = answered(success()).entity
    assert (gone.state, gone.has_state) == (None, False)


def test_a_batch_leaves_the_lock_as_it_is() -> None:
    assert answered(success(), found=LOCKED).mutation.lock == LOCKED.lock


def test_a_caller_is_answered_in_its_generation() -> None:
    decision = answered(success("a result"))

    (reply,) = decision.mutation.effects
    assert isinstance(reply, AppendMessage)
    assert (reply.key, reply.execution_id) == (InstanceKey(HUB, "x"), "run")
    assert pb.HistoryEvent.FromString(reply.payload) == pb.HistoryEvent(
        eventId=-1,
        timestamp=events.timestamp(LATER),
        entityOperationCompleted=pb.EntityOperationCompletedEvent(requestId="0", output=events.text("a result")),
    )


@pytest.mark.parametrize("value", [None, ""])
def test_no_result_stays_none_and_an_empty_one_empty(value: str | None) -> None:
    (reply,) = replies(answered(success(value)))

    assert events.optional(reply.entityOperationCompleted, "output") == value


def test_a_failure_is_passed_on_whole() -> None:
    failure = pb.TaskFailureDetails(
        errorType="Boom", errorMessage="no luck", innerFailure=pb.TaskFailureDetails(errorType="Inner")
    )
    (reply,) = replies(answered(failed(failure)))

    assert reply.eventId == -1
    assert reply.entityOperationFailed == pb.EntityOperationFailedEvent(requestId="0", failureDetails=failure)


def test_a_failure_without_details_gets_some() -> None:
    (reply,) = replies(answered(failed(None)))

    assert reply.entityOperationFailed.failureDetails.errorType == UNKNOWN_FAILURE


def test_a_signal_is_not_answered_whatever_became_of_it() -> None:
    taken = batch(FREE, inbox(signal("a"), signal("b")))

    assert answered(success("x"), failed(None), of=taken).mutation.effects == ()


def test_results_belong_to_the_operations_in_order_and_what_has_none_stays() -> None:
    taken = batch(FREE, inbox(call("a"), signal("s"), call("b"), call("c")))
    decision = answered(success("1"), success("2"), success("3"), of=taken)

    assert [
        (reply.entityOperationCompleted.requestId, reply.entityOperationCompleted.output.value)
        for reply in replies(decision)
    ] == [("a", "1"), ("b", "3")]
    assert decision.mutation.consumed == (1, 2, 3)


def test_results_beyond_the_operations_are_noted_and_ignored() -> None:
    decision = answered(success("1"), success("2"), of=batch(FREE, inbox(call("a"))))

    assert len(decision.mutation.effects) == 1
    assert "2 results for 1" in decision.notes[0]


def test_void_messages_go_with_the_batch() -> None:
    taken = batch(FREE, inbox(signal("a", "r"), signal("a", "r")))

    assert sorted(answered(success(), of=taken).mutation.consumed) == [1, 2]


@pytest.mark.parametrize(
    "result",
    [
        pb.EntityBatchResult(
            results=[success("x")], failureDetails=pb.TaskFailureDetails(errorType="Boom", errorMessage="no luck")
        ),
        pb.EntityBatchResult(results=[success("x")], requiresState=True),
        pb.EntityBatchResult(entityState=events.text("changed")),
    ],
    ids=["failed", "without the state", "without results"],
)
def test_a_batch_that_was_not_run_changes_nothing_and_comes_again(result: pb.EntityBatchResult) -> None:
    decision = entity.decide(FREE, batch(FREE, inbox(call("a"))), result, LATER, random_id)

    assert decision.retry
    assert decision.notes
    assert decision.entity == FREE
    assert decision.mutation == CompleteEntityTurn(key=KEY, turn=7, state="state", lock=None, modified_at=NOW)


def test_a_signal_to_another_entity_gets_an_id_that_is_a_uuid() -> None:
    action = pb.SendSignalAction(instanceId="@Other@Key", name="go", input=events.text("in"))
    (effect,) = answered(success(), state="s", actions=asks(sendSignal=action)).mutation.effects[1:]

    assert isinstance(effect, AppendMessage)
    assert (effect.key, effect.due_at, effect.at) == (InstanceKey(HUB, "@other@Key"), None, LATER)
    event = pb.HistoryEvent.FromString(effect.payload)
    assert (event.eventId, event.timestamp) == (-1, events.timestamp(LATER))
    signaled = event.entityOperationSignaled
    assert str(UUID(signaled.requestId)) == signaled.requestId
    assert (signaled.operation, signaled.input.value) == ("go", "in")
    assert signaled.targetInstanceId.value == "@other@Key"


@pytest.mark.parametrize(("offset", "due"), [(SECOND, LATER + SECOND), (0, None), (-SECOND, None)])
def test_a_signal_is_delayed_only_into_the_future(offset: int, due: int | None) -> None:
    action = pb.SendSignalAction(instanceId="@e@2", name="go", scheduledTime=events.timestamp(LATER + offset))
    (effect,) = answered(success(), actions=asks(sendSignal=action)).mutation.effects[1:]

    assert isinstance(effect, AppendMessage)
    assert effect.due_at == due


def test_an_orchestration_is_started_as_by_a_client_without_a_policy() -> None:
    action = pb.StartNewOrchestrationAction(
        instanceId="o",
        name="work",
        version=events.text("v1"),
        input=events.text("in"),
        scheduledTime=events.timestamp(LATER + SECOND),
        parentTraceContext=TRACE,
    )
    (effect,) = answered(success(), actions=asks(startNewOrchestration=action)).mutation.effects[1:]

    assert isinstance(effect, CreateInstance)
    instance = effect.instance
    assert (instance.key, instance.name, instance.version, instance.input) == (
        InstanceKey(HUB, "o"),
        "work",
        "v1",
        "in",
    )
    assert (instance.status, instance.parent_id, instance.scheduled_at) == (RuntimeStatus.PENDING, None, LATER + SECOND)
    assert effect.due_at == LATER + SECOND
    assert effect.replace == TERMINAL_STATUSES
    assert effect.on_conflict is None
    started = pb.HistoryEvent.FromString(effect.start).executionStarted
    assert started.parentTraceContext == TRACE
    assert not started.HasField("parentInstance")


def test_an_orchestration_without_an_id_gets_one() -> None:
    action = pb.StartNewOrchestrationAction(name="work")
    (effect,) = answered(success(), actions=asks(startNewOrchestration=action)).mutation.effects[1:]

    assert isinstance(effect, CreateInstance)
    assert len(effect.instance.key.instance_id) == 32


@pytest.mark.parametrize(
    "action",
    [
        {"sendSignal": pb.SendSignalAction(instanceId="nobody", name="go")},
        {"sendSignal": pb.SendSignalAction(instanceId="@e@2")},
        {"startNewOrchestration": pb.StartNewOrchestrationAction(instanceId="@e@2", name="work")},
        {"startNewOrchestration": pb.StartNewOrchestrationAction(instanceId="o")},
        {},
    ],
    ids=["no entity", "no operation", "no orchestration", "no name", "nothing"],
)
def test_an_action_that_nobody_can_carry_out_is_noted_and_the_rest_stands(action: dict[str, object]) -> None:
    decision = answered(success("x"), state="new", actions=asks(**action))

    assert decision.entity.state == "new"
    assert len(decision.mutation.effects) == 1
    assert "dropped" in decision.notes[0]


def test_a_poisoned_batch_fails_each_call_and_keeps_the_state() -> None:
    failure = events.failure("Poisoned", "lost its worker")
    taken = batch(FREE, inbox(call("a"), signal("s"), call("b")))
    decision = entity.fail(FREE, taken, failure, LATER)

    assert [reply.entityOperationFailed for reply in replies(decision)] == [
        pb.EntityOperationFailedEvent(requestId=request_id, failureDetails=failure) for request_id in ("a", "b")
    ]
    assert decision.mutation.consumed == (1, 2, 3)
    assert (decision.entity.state, decision.entity.modified_at) == ("state", NOW)
