"""What orchestrations and clients say to entities, and what they hear."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest
from durabletask_backend.mutations import AppendMessage, Code
from durabletask_backend.values import Entity, EntityLock, InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events, lifecycle, locks
from durabletask_server.engine.entity import entity_key
from durabletask_server.engine.lifecycle import MAX_ENTITY_ID_LENGTH, InvalidRequestError
from durabletask_server.engine.orchestration import INVALID_ACTION, Decision

from .entity_scripts import call, lock, signal, unlock
from .entity_world import EntityWorld, adding, asked_of
from .scripts import activity, complete, continue_as_new, fail, script, send, stop
from .world import HUB, NOW, SECOND


def decided(*actions: pb.OrchestratorAction) -> Decision:
    """The first turn of instance `o`, answered with `actions`."""
    world = EntityWorld(o=script(actions))
    world.start("o")
    decision = world.decide("o")
    assert decision is not None

    return decision


def sent(decision: Decision) -> list[tuple[AppendMessage, pb.HistoryEvent]]:
    return [
        (effect, pb.HistoryEvent.FromString(effect.payload))
        for effect in decision.mutation.effects
        if isinstance(effect, AppendMessage)
    ]


def confirmed(decision: Decision) -> pb.HistoryEvent:
    return pb.OrchestratorRequest.FromString(decision.mutation.history).pastEvents[-1]


@pytest.mark.parametrize(
    "action",
    [
        signal(3, "@E@K", "go", value="in"),
        call(3, "@E@K", "go", value=""),
        lock(3, "s", "@E@K"),
        unlock(3, "s", "@E@K"),
    ],
    ids=["signal", "call", "lock", "unlock"],
)
def test_a_message_is_confirmed_in_history_as_the_action_has_it(action: pb.OrchestratorAction) -> None:
    event = confirmed(decided(action))
    message = action.sendEntityMessage
    kind = message.WhichOneof("EntityMessageType")

    assert kind is not None
    assert (event.eventId, event.timestamp, event.WhichOneof("eventType")) == (3, events.timestamp(NOW), kind)
    assert getattr(event, kind) == getattr(message, kind)


def test_a_signal_goes_to_the_entity_with_its_name_in_lower_case() -> None:
    ((effect, event),) = sent(decided(signal(3, "@E@K", "go", value="in")))

    assert (effect.key, effect.execution_id, effect.due_at, effect.at) == (InstanceKey(HUB, "@e@K"), None, None, NOW)
    assert event == pb.HistoryEvent(
        eventId=-1,
        timestamp=events.timestamp(NOW),
        entityOperationSignaled=pb.EntityOperationSignaledEvent(
            requestId="signal-3", operation="go", input=events.text("in"), targetInstanceId=events.text("@e@K")
        ),
    )


@pytest.mark.parametrize(("due", "delayed_until"), [(NOW + 1, NOW + 1), (NOW, None), (NOW - SECOND, None)])
def test_a_signal_is_delayed_only_into_the_future(due: int, delayed_until: int | None) -> None:
    ((effect, _),) = sent(decided(signal(1, "@e@1", "go", due=due)))

    assert effect.due_at == delayed_until


def test_a_call_says_who_waits_whatever_the_action_says() -> None:
    action = call(3, "@e@1", "go")
    action.sendEntityMessage.entityOperationCalled.parentInstanceId.value = "somebody else"
    decision = decided(action)
    ((_, event),) = sent(decision)

    assert event.entityOperationCalled.parentInstanceId.value == "o"
    assert event.entityOperationCalled.parentExecutionId.value == decision.mutation.execution_id
    assert decision.state.calls == {"call-3"}


@pytest.mark.parametrize(
    "action",
    [
        signal(3, "nobody", "go"),
        call(3, "@e", "go"),
        lock(3, "s", "@e@1", "@@1"),
        unlock(3, "s", ""),
        call(3, f"@e@{'x' * MAX_ENTITY_ID_LENGTH}", "go"),
    ],
    ids=["signal", "call", "lock", "unlock", "too long"],
)
def test_a_message_to_no_entity_fails_the_orchestration_and_nothing_is_sent(action: pb.OrchestratorAction) -> None:
    decision = decided(signal(1, "@e@1", "first"), action)

    assert decision.mutation.status is RuntimeStatus.FAILED
    failure = pb.TaskFailureDetails.FromString(decision.mutation.failure or b"")
    assert failure.errorType == INVALID_ACTION
    assert "action 3 (sendEntityMessage)" in failure.errorMessage
    assert decision.mutation.effects == ()


@pytest.mark.parametrize(
    "end",
    [complete(9), fail(9, "no luck"), complete(9, None, RuntimeStatus.CANCELED), continue_as_new(9)],
    ids=["completed", "failed", "canceled", "continued"],
)
def test_messages_are_sent_however_the_answer_ends_the_orchestration(end: pb.OrchestratorAction) -> None:
    decision = decided(end, signal(1, "@e@1", "a"), call(2, "@e@1", "b"))
    keys = [effect.key.instance_id for effect, _ in sent(decision)]

    assert keys[:2] == ["@e@1", "@e@1"]


def test_an_orchestration_hears_the_result_of_its_call() -> None:
    world = EntityWorld(o=script([call(1, "@e@1", "a"), call(2, "@e@1", "b")], [complete(3)]))
    world.start("o")
    world.run()

    assert world.history("o") == [
        "EntityOperationCalled(1)",
        "EntityOperationCalled(2)",
        "EntityOperationCompleted",
        "EntityOperationCompleted",
        "ExecutionCompleted(3)",
    ]
    results = [
        (event.entityOperationCompleted.requestId, event.entityOperationCompleted.output.value)
        for event in world.events("o")
        if event.HasField("entityOperationCompleted")
    ]
    assert results == [("call-1", "a"), ("call-2", "ab")]
    assert world.entity("@e@1").state == "ab"
    assert world.state("o").calls == frozenset()


def test_an_orchestration_hears_that_its_call_failed() -> None:
    def failing(entity: Entity, operations: object) -> pb.EntityBatchResult:
        failure = pb.OperationResultFailure(failureDetails=events.failure("Boom", "no luck"))

        return pb.EntityBatchResult(results=[pb.OperationResult(failure=failure)])

    world = EntityWorld(failing, o=script([call(1, "@e@1", "a")], [complete(3)]))
    world.start("o")
    world.run()

    assert world.history("o") == ["EntityOperationCalled(1)", "EntityOperationFailed", "ExecutionCompleted(3)"]
    assert world.state("o").calls == frozenset()


def test_messages_of_one_orchestration_to_one_entity_keep_their_order() -> None:
    names = "abcdefgh"
    actions = [(signal if at % 2 else call)(at, "@e@1", name, request_id=name) for at, name in enumerate(names)]
    world = EntityWorld(o=script(actions[:5], [], [], []), p=script(actions[5:]))
    world.start("o")
    world.turn("o")
    world.start("p")
    world.run()

    assert world.entity("@e@1").state == names


def test_an_answer_to_no_open_call_is_dropped() -> None:
    world = EntityWorld(o=script([call(1, "@e@1", "a"), activity(2)]))
    world.start("o")
    world.turn("o")
    execution_id = world.instances()["o"].execution_id

    for answer in (
        events.operation_completed(NOW, "call-9", None),
        events.operation_failed(NOW, "call-9", events.failure("Boom", "")),
        events.lock_granted(NOW, "s"),
    ):
        world.commit(
            AppendMessage(key=InstanceKey(HUB, "o"), payload=answer.SerializeToString(), execution_id=execution_id)
        )

    world.run()
    assert world.history("o") == ["EntityOperationCalled(1)", "TaskScheduled(2)", "EntityOperationCompleted"]


def test_an_answer_to_a_generation_that_is_over_is_dropped() -> None:
    world = EntityWorld(o=script([call(1, "@e@1", "a"), continue_as_new(2)]))
    world.orchestrators["o"] = lambda request: (
        [] if world.instances()["o"].turn else [call(1, "@e@1", "a"), continue_as_new(2)]
    )
    world.start("o")
    world.run()

    assert world.entity("@e@1").state == "a"
    assert world.history("o") == []


def test_entities_signal_each_other_and_themselves_and_start_orchestrations() -> None:
    def chatty(found: Entity, operations: Sequence[pb.HistoryEvent]) -> pb.EntityBatchResult:
        result = adding(found, operations)

        if "begin" in [asked_of(event).operation for event in operations]:
            result.actions.add().sendSignal.CopyFrom(pb.SendSignalAction(instanceId="@e@1", name=" again"))
            result.actions.add().sendSignal.CopyFrom(pb.SendSignalAction(instanceId="@e@2", name="hello"))
            result.actions.add().startNewOrchestration.CopyFrom(
                pb.StartNewOrchestrationAction(instanceId="o", name="o")
            )

        return result

    world = EntityWorld(chatty, o=script([complete(1)]))
    world.signal("@e@1", "begin")
    world.signal("@e@1", " before")
    world.run()

    assert world.entity("@e@1").state == "begin before again"
    assert world.entity("@e@2").state == "hello"
    assert world.status("o") is RuntimeStatus.COMPLETED


def test_terminations_and_events_to_entities_are_noted_and_go_nowhere() -> None:
    decision = decided(stop(1, "@e@1"), send(2, "@e@1", "hello", "1"))

    assert decision.mutation.effects == ()
    assert ["cannot be terminated" in decision.notes[0], "means nothing" in decision.notes[1]] == [True, True]


def test_an_entitys_id_has_its_name_in_lower_case_and_its_key_as_it_is() -> None:
    assert entity_key(HUB, "@Name@Key with @ and Ü") == InstanceKey(HUB, "@name@Key with @ and Ü")
    assert entity_key(HUB, "@Name@") == InstanceKey(HUB, "@name@")


@pytest.mark.parametrize("raw", ["", "@", "name", "@name", "@@key", "name@key", "@na\nme@key", "@name@\x00"])
def test_what_is_no_entitys_id_is_refused(raw: str) -> None:
    with pytest.raises(InvalidRequestError, match="instanceId"):
        entity_key(HUB, raw)


def test_an_id_that_is_too_long_is_refused_and_the_text_says_so() -> None:
    assert entity_key(HUB, "@e@" + "k" * (MAX_ENTITY_ID_LENGTH - 3))

    with pytest.raises(InvalidRequestError, match="length of 101 characters; at most 100"):
        entity_key(HUB, "@e@" + "k" * (MAX_ENTITY_ID_LENGTH - 2))


def test_a_clients_signal_says_all_that_the_request_says() -> None:
    request = pb.SignalEntityRequest(instanceId="@E@K", name="go", requestId=str(UUID(int=1)), input=events.text(""))
    append = lifecycle.signal_entity(HUB, request, NOW)

    assert (append.key, append.due_at, append.at) == (InstanceKey(HUB, "@e@K"), None, NOW)
    assert pb.HistoryEvent.FromString(append.payload) == pb.HistoryEvent(
        eventId=-1,
        timestamp=events.timestamp(NOW),
        entityOperationSignaled=pb.EntityOperationSignaledEvent(
            requestId=str(UUID(int=1)),
            operation="go",
            input=events.text(""),
            targetInstanceId=events.text("@e@K"),
        ),
    )


def test_a_clients_signal_needs_an_operation() -> None:
    with pytest.raises(InvalidRequestError, match="name"):
        lifecycle.signal_entity(HUB, pb.SignalEntityRequest(instanceId="@e@1"), NOW)


def test_a_clients_delayed_signal_is_done_when_it_is_due() -> None:
    world = EntityWorld()
    world.signal("@e@1", "later", due=NOW + SECOND)
    world.run()
    assert world.batches == []

    world.advance(SECOND)
    world.run()
    assert world.batches == [("@e@1", ["later"])]


def test_a_repeated_request_is_done_once() -> None:
    world = EntityWorld()

    for _ in range(2):
        assert world.signal("@e@1", "once", request_id=str(UUID(int=1))).code is Code.APPLIED

    world.run()
    assert world.entity("@e@1").state == "once"
    assert world.inbox("@e@1") == []


def test_a_clean_up_releases_exactly_the_lock_it_saw() -> None:
    held = EntityLock(instance_id="x", execution_id="run", section_id="s")
    event = pb.HistoryEvent.FromString(lifecycle.release_lock(InstanceKey(HUB, "@e@1"), held, NOW).payload)

    assert locks.lock_of(event) == held
    assert event.entityUnlockSent.targetInstanceId.value == "@e@1"
