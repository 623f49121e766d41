"""Critical sections as orchestrations see them, today's way and the old one."""

from __future__ import annotations

import json

import pytest
from durabletask_backend.mutations import AppendMessage
from durabletask_backend.values import InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import lifecycle, locks, orchestration
from durabletask_server.engine.locks import Section
from durabletask_server.engine.turn import nothing_taken

from .entity_scripts import call, lock, old_call, old_lock, old_unlock, signal, unlock
from .entity_world import EntityWorld
from .scripts import Answer, complete, continue_as_new, fail, script
from .world import HUB, NOW

ENTITIES = ("@e@1", "@e@2", "@e@3")


def locked(world: EntityWorld) -> dict[str, str]:
    """Who has which entity."""
    return {
        entity_id: found.lock.instance_id for entity_id, found in world.entities().items() if found.lock is not None
    }


def entered(*then: Answer, last: str = "") -> EntityWorld:
    """A world where `o` is in section `s` of all entities, and does `then` with the events that come."""
    world = EntityWorld(o=script([lock(1, "s", *ENTITIES)], [], *then))
    world.start("o")
    world.run()
    assert locked(world) == dict.fromkeys(ENTITIES, "o")

    return world


def go_on(world: EntityWorld) -> None:
    world.raise_event("o", "go on")
    world.run()


def test_a_section_is_entered_when_all_its_entities_are_locked() -> None:
    world = entered()

    assert world.history("o") == ["EntityLockRequested(1)", "EntityLockGranted"]
    assert world.events("o")[-1].entityLockGranted.criticalSectionId == "s"
    assert world.state("o").sections == {"s": Section(lock_set=ENTITIES, granted=True)}
    assert world.state("o").holds_locks


def test_a_lock_set_is_sorted_and_each_entity_is_in_it_once() -> None:
    action = lock(1, "s", "@e@3", "@E@1", "@e@3", "@e@2", "@e@1")
    world = EntityWorld(o=script([action]))
    world.start("o")
    world.turn("o")

    assert world.inbox("@e@1") == ["EntityLockRequested"]
    world.run()
    assert locked(world) == dict.fromkeys(ENTITIES, "o")
    recorded = next(event for event in world.events("o") if event.HasField("entityLockRequested"))
    assert recorded.entityLockRequested == action.sendEntityMessage.entityLockRequested


def test_a_section_of_nothing_is_entered_at_once() -> None:
    world = EntityWorld(o=script([lock(1, "s")], [complete(2)]))
    world.start("o")
    world.run()

    assert world.history("o") == ["EntityLockRequested(1)", "EntityLockGranted", "ExecutionCompleted(2)"]
    assert world.state("o").sections == {}


def test_an_orchestration_that_waits_for_a_section_holds_no_locks_yet() -> None:
    world = EntityWorld(o=script([lock(1, "s", *ENTITIES)]))
    world.start("o")
    world.turn("o")

    assert not world.state("o").holds_locks
    assert world.state("o").sections["s"].lock_set == ENTITIES


def test_in_a_section_only_its_owner_is_served() -> None:
    world = entered([call(2, "@e@1", "mine")], [unlock(3, "s", "@e@1")])
    world.signal("@e@1", "theirs")
    world.run()
    assert world.batches == []

    go_on(world)
    assert world.batches == [("@e@1", ["mine"]), ("@e@1", ["theirs"])]


def test_an_entity_is_free_once_it_is_released_and_the_others_are_not() -> None:
    world = entered([unlock(2, "s", "@e@2")], [unlock(3, "s", "@e@1"), unlock(4, "s", "@e@3")])
    go_on(world)
    assert locked(world) == {"@e@1": "o", "@e@3": "o"}
    assert world.state("o").sections["s"].released == {"@e@2"}

    go_on(world)
    assert locked(world) == {}
    assert world.state("o").sections == {}


def test_a_second_release_changes_nothing() -> None:
    twice = [unlock(at, "s", entity_id) for at, entity_id in enumerate([*ENTITIES, *ENTITIES], 2)]
    world = entered(twice)
    go_on(world)

    assert locked(world) == {}
    assert all(world.inbox(entity_id) == [] for entity_id in ENTITIES)


@pytest.mark.parametrize(
    "end",
    [complete(2), fail(2, "no luck"), complete(2, None, RuntimeStatus.CANCELED), continue_as_new(2)],
    ids=["completed", "failed", "canceled", "continued"],
)
def test_what_is_locked_is_released_when_the_orchestration_ends(end: pb.OrchestratorAction) -> None:
    world = entered([end])
    before = world.instances()["o"].execution_id
    go_on(world)

    # Who continues as new asks again.
    assert before not in {found.lock.execution_id for found in world.entities().values() if found.lock is not None}
    assert locked(world) == (dict.fromkeys(ENTITIES, "o") if world.status("o") is RuntimeStatus.RUNNING else {})


def test_what_is_locked_is_released_by_a_termination() -> None:
    world = entered()
    world.terminate("o")
    world.run()

    assert world.status("o") is RuntimeStatus.TERMINATED
    assert locked(world) == {}


def test_what_is_locked_is_released_by_a_failure_of_the_engines_own() -> None:
    world = entered()
    state = world.state("o")
    decision = orchestration.fail(
        state, nothing_taken(state, NOW), pb.TaskFailureDetails(errorType="Boom"), NOW, world.new_id
    )
    world.commit(decision.mutation)
    world.run()

    assert locked(world) == {}


def test_what_an_answer_releases_by_itself_is_not_released_again() -> None:
    world = entered([unlock(3, "s", "@e@2"), complete(3)])
    world.raise_event("o", "go on")
    world.turn("o")

    assert world.inbox("@e@2") == ["EntityUnlockSent"]
    world.run()
    assert locked(world) == {}


def test_an_answer_that_does_not_count_releases_nothing_but_its_end_does() -> None:
    wrong = pb.OrchestratorAction(id=9)
    world = entered([unlock(2, "s", "@e@1"), lock(3, "t", "@e@9"), wrong])
    world.raise_event("o", "go on")
    decision = world.decide("o")

    assert decision is not None
    assert decision.mutation.status is RuntimeStatus.FAILED
    assert [
        effect.key.instance_id for effect in decision.mutation.effects if isinstance(effect, AppendMessage)
    ] == list(ENTITIES)


def test_a_request_that_waits_goes_with_its_orchestration() -> None:
    world = entered([unlock(at, "s", entity_id) for at, entity_id in enumerate(ENTITIES, 2)])
    world.orchestrators["p"] = script([lock(1, "t", "@e@0", "@e@1")])
    world.start("p")
    world.run()
    assert locked(world) == {**dict.fromkeys(ENTITIES, "o"), "@e@0": "p"}

    world.terminate("p")
    world.run()
    assert locked(world) == dict.fromkeys(ENTITIES, "o")
    assert world.inbox("@e@1") == []

    go_on(world)
    assert locked(world) == {}


def test_a_request_with_its_end_in_one_answer_locks_nothing() -> None:
    world = EntityWorld(o=script([lock(1, "s", *ENTITIES), complete(2)]))
    world.start("o")
    world.run()

    assert locked(world) == {}
    assert world.history("o") == ["EntityLockRequested(1)", "ExecutionCompleted(2)"]


def test_two_orchestrations_that_ask_in_opposite_order_both_get_in() -> None:
    def transfers(*entity_ids: str) -> Answer:
        return [lock(1, "s", *entity_ids)]

    out = [unlock(2, "s", "@e@1"), unlock(3, "s", "@e@2"), complete(4)]
    world = EntityWorld(o=script(transfers("@e@1", "@e@2"), out), p=script(transfers("@e@2", "@e@1"), out))
    world.start("o")
    world.start("p")
    world.run()

    assert (world.status("o"), world.status("p")) == (RuntimeStatus.COMPLETED, RuntimeStatus.COMPLETED)
    assert locked(world) == {}


def test_operations_that_were_sent_before_a_request_are_done_before_it() -> None:
    world = EntityWorld(
        o=script([signal(1, "@e@1", "a"), lock(2, "s", "@e@1")], [call(3, "@e@1", "b")], [unlock(4, "s", "@e@1")])
    )
    world.start("o")
    world.run()

    assert world.entity("@e@1").state == "ab"
    assert world.batches == [("@e@1", ["a"]), ("@e@1", ["b"])]
    assert locked(world) == {}


def test_a_clean_up_frees_an_entity_of_an_orchestration_that_was_replaced() -> None:
    world = entered()
    world.replace("o", "o")
    held = world.entity("@e@1").lock
    assert held is not None
    world.commit(lifecycle.release_lock(InstanceKey(HUB, "@e@1"), held, NOW))
    world.turn("@e@1")

    assert world.entity("@e@1").lock is None


def test_an_event_that_has_the_name_of_a_section_does_not_let_anyone_in() -> None:
    world = EntityWorld(o=script([lock(1, "s", *ENTITIES)]))
    world.start("o")
    world.turn("o")
    world.raise_event("o", "s")
    world.turn("o")

    assert not world.state("o").holds_locks


def test_leaving_gives_the_releases_of_all_that_is_still_held() -> None:
    world = entered([unlock(2, "s", "@e@2")])
    go_on(world)
    state = world.state("o")
    releases = locks.leave(state.key, state.instance.execution_id, state.sections, NOW)

    for release in releases:
        world.commit(release)

    world.run()
    assert [release.key.instance_id for release in releases] == ["@e@1", "@e@3"]
    assert locked(world) == {}


# The old way.


def raised(world: EntityWorld, name: str) -> list[object]:
    return [
        json.loads(event.eventRaised.input.value)
        for event in world.events("o")
        if event.HasField("eventRaised") and event.eventRaised.name == name
    ]


def test_who_calls_by_an_event_is_answered_by_an_event() -> None:
    action = old_call(1, "@E@1", "a")
    world = EntityWorld(o=script([action], [complete(2)]))
    world.start("o")
    world.run()

    assert world.history("o") == ["EventSent(1)", "EventRaised", "ExecutionCompleted(2)"]
    assert raised(world, "call-1") == [{"result": "a"}]
    sent = next(event for event in world.events("o") if event.HasField("eventSent")).eventSent
    assert (sent.instanceId, sent.name, sent.input) == ("@E@1", "op", action.sendEvent.data)
    assert world.entity("@e@1").state == "a"


def test_who_calls_by_an_event_hears_of_a_failure_by_an_event() -> None:
    failure = pb.TaskFailureDetails(
        errorType="Boom", errorMessage="no luck", innerFailure=pb.TaskFailureDetails(errorType="Inner")
    )
    result = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=failure))
    world = EntityWorld(
        lambda entity, operations: pb.EntityBatchResult(results=[result]), o=script([old_call(1, "@e@1", "a")])
    )
    world.start("o")
    world.run()

    (answer,) = raised(world, "call-1")
    assert isinstance(answer, dict)
    assert answer["exceptionType"] == "no luck"
    assert json.loads(answer["result"]) == "no luck"
    details = answer["failureDetails"]
    assert (details["ErrorType"], details["ErrorMessage"], details["StackTrace"]) == ("Boom", "no luck", None)
    assert details["InnerFailure"]["ErrorType"] == "Inner"


def test_an_event_that_is_a_signal_is_not_answered() -> None:
    world = EntityWorld(o=script([old_call(1, "@e@1", "a", signal=True, input="5")]))
    world.start("o")
    world.run()

    assert world.batches == [("@e@1", ["a"])]
    assert world.history("o") == ["EventSent(1)"]


@pytest.mark.parametrize("moment", ["2023-11-14T22:13:21.0000000Z", "2023-11-14T22:13:21"])
def test_a_signal_by_an_event_may_be_delayed(moment: str) -> None:
    by_name = old_call(1, "@e@1", "a", signal=True)
    by_name.sendEvent.name = f"op@{moment}"
    world = EntityWorld(o=script([by_name, old_call(2, "@e@1", "b", signal=True, due=moment)]))
    world.start("o")
    world.run()
    assert world.batches == []

    world.advance(1_000_000)
    world.run()
    assert world.batches == [("@e@1", ["a", "b"])]


def test_sections_are_entered_and_left_by_events() -> None:
    out = [old_unlock(at, "s", entity_id) for at, entity_id in enumerate(ENTITIES, 3)]
    world = EntityWorld(o=script([old_lock(1, "s", *ENTITIES)], [old_call(2, "@e@1", "a")], [*out, complete(9)]))
    world.start("o")

    while not raised(world, "s"):
        assert sum(world.turn(each) for each in ["o", *world.entities()])

    assert raised(world, "s") == [{"result": "Lock Acquisition Completed"}]
    world.run()
    assert world.status("o") is RuntimeStatus.COMPLETED
    assert raised(world, "call-2") == [{"result": "a"}]
    assert locked(world) == {}


def test_what_was_locked_by_an_event_is_released_at_the_end_too() -> None:
    world = EntityWorld(o=script([old_lock(1, "s", *ENTITIES)]))
    world.start("o")
    world.run()
    assert locked(world) == dict.fromkeys(ENTITIES, "o")

    world.terminate("o")
    world.run()
    assert locked(world) == {}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("op", None),
        ("op", "no json"),
        ("op", "[1]"),
        ("op", '{"op": "a"}'),
        ("op", '{"id": "r"}'),
        ("release", "{}"),
        ("hello", '{"op": "a", "id": "r"}'),
        ("op", '{"lockset": [5], "id": "r"}'),
        ("op", '{"op": "\\ud800", "id": "r"}'),
    ],
)
def test_an_event_that_an_entity_does_not_know_goes_nowhere_and_is_noted(name: str, data: str | None) -> None:
    action = pb.OrchestratorAction(
        id=1,
        sendEvent=pb.SendEventAction(instance=pb.OrchestrationInstance(instanceId="@e@1"), name=name),
    )

    if data is not None:
        action.sendEvent.data.value = data

    world = EntityWorld(o=script([action]))
    world.start("o")
    decision = world.decide("o")

    assert decision is not None
    assert decision.mutation.effects == ()
    assert decision.mutation.status is RuntimeStatus.RUNNING
    assert "goes nowhere" in decision.notes[0]
