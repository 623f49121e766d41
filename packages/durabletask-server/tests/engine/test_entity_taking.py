"""From an entity and its inbox to a batch for a worker, or to what the engine does alone."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from durabletask_backend.mutations import AppendMessage, CompleteEntityTurn
from durabletask_backend.values import Entity, EntityLock, InstanceKey, Message
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import entity, events, locks
from durabletask_server.engine.entity import MAX_BYTES, MAX_OPERATIONS, Operations, Step
from durabletask_server.engine.postmark import Postmark, stamp
from durabletask_server.engine.turn import Letter, NoTurn, open_letter

from .entity_world import asked_of
from .world import HUB, NOW, describe

KEY = InstanceKey(HUB, "@e@2")
FREE = Entity(key=KEY, modified_at=NOW, state="state", has_state=True, turn=7)
SECTION = EntityLock(instance_id="x", execution_id="run", section_id="s")
OTHER = EntityLock(instance_id="y", execution_id="run", section_id="t")
LOCKED = Entity(key=KEY, modified_at=NOW, lock=SECTION)


def signal(operation: str, request_id: str = "", value: str | None = None) -> pb.HistoryEvent:
    return events.operation_signaled(NOW, KEY.instance_id, operation, value, request_id, None)


def call(operation: str, caller: EntityLock = SECTION) -> pb.HistoryEvent:
    called = pb.EntityOperationCalledEvent(
        requestId=operation,
        operation=operation,
        parentInstanceId=events.text(caller.instance_id),
        parentExecutionId=events.text(caller.execution_id),
    )

    return pb.HistoryEvent(eventId=events.NO_ID, timestamp=events.timestamp(NOW), entityOperationCalled=called)


def request(lock: EntityLock = SECTION, *lock_set: str, position: int = 0) -> bytes:
    return locks.request(HUB, lock, lock_set or ("@e@2",), NOW, position=position).payload


def unlock(lock: EntityLock = SECTION, *onward: str) -> bytes:
    return locks.unlock(KEY, lock, NOW, onward).payload


def inbox(*messages: pb.HistoryEvent | bytes) -> list[Letter]:
    """Letters, with sequences from 1."""
    return [
        open_letter(
            Message(
                sequence=sequence,
                payload=message if isinstance(message, bytes) else message.SerializeToString(),
            )
        )
        for sequence, message in enumerate(messages, 1)
    ]


def batch(found: Entity, letters: Sequence[Letter]) -> Operations:
    taken = entity.take(found, letters, NOW)
    assert isinstance(taken, Operations)

    return taken


def operations(taken: Operations) -> list[str]:
    return [asked_of(event).operation for event in taken.events]


def step(found: Entity, letters: Sequence[Letter]) -> Step:
    taken = entity.take(found, letters, NOW)
    assert isinstance(taken, Step)

    return taken


def sent(taken: Step) -> list[tuple[str, str]]:
    """To whom a step sends what."""
    return [
        (effect.key.instance_id, describe(pb.HistoryEvent.FromString(effect.payload)))
        for effect in taken.decision.mutation.effects
        if isinstance(effect, AppendMessage)
    ]


def test_an_empty_inbox_is_no_turn() -> None:
    assert isinstance(entity.take(FREE, [], NOW), NoTurn)


def test_a_batch_has_the_operations_in_order_as_workers_know_them() -> None:
    letters = inbox(signal("a", "r"), call("b"), signal("c", "q"))
    taken = batch(FREE, letters)

    assert operations(taken) == ["a", "b", "c"]
    assert taken.letters == tuple(letters)
    assert taken.encoded == tuple(letter.message.payload for letter in letters)
    assert taken.dropped == ()


def test_an_operation_without_a_request_id_gets_the_same_uuid_each_time() -> None:
    letters = inbox(signal("a"), signal("b"))
    first, again = batch(FREE, letters), batch(FREE, letters)

    ids = [pb.HistoryEvent.FromString(encoded).entityOperationSignaled.requestId for encoded in first.encoded]
    assert len({UUID(request_id) for request_id in ids}) == 2
    assert first.encoded == again.encoded


def test_what_the_engine_notes_of_a_caller_stays_with_the_engine() -> None:
    taken = batch(FREE, inbox(stamp(call("a"), Postmark(legacy=True))))

    assert taken.encoded == (call("a").SerializeToString(),)


def test_a_batch_ends_after_so_many_operations() -> None:
    taken = batch(FREE, inbox(*[signal(str(at), f"r{at}") for at in range(MAX_OPERATIONS + 1)]))

    assert len(taken.letters) == MAX_OPERATIONS


def test_a_batch_ends_with_the_operation_that_fills_it() -> None:
    half = "x" * (MAX_BYTES // 2)

    assert operations(batch(FREE, inbox(*[signal(str(at), f"r{at}", half) for at in range(4)]))) == ["0", "1"]
    assert operations(batch(FREE, inbox(signal("large", "r", half * 3), signal("b")))) == ["large"]


def test_a_repeated_signal_is_dropped_while_the_first_one_waits() -> None:
    taken = batch(FREE, inbox(signal("a", "r"), signal("b", "q"), signal("a", "r")))

    assert operations(taken) == ["a", "b"]
    assert taken.dropped == (3,)


def test_calls_and_signals_without_an_id_are_never_taken_for_repeats() -> None:
    assert operations(batch(FREE, inbox(signal("a"), signal("a"), call("b"), call("b")))) == ["a", "a", "b", "b"]


def test_what_is_nothing_for_an_entity_is_dropped_and_noted() -> None:
    only_junk = step(FREE, inbox(events.event_raised(NOW, "e", None), b"\xff"))

    assert only_junk.decision.mutation.consumed == (1, 2)
    assert only_junk.decision.entity.state == "state"
    assert "eventRaised" in only_junk.decision.notes[0]
    assert "unreadable" in only_junk.decision.notes[1]

    assert batch(FREE, inbox(events.event_raised(NOW, "e", None), signal("a"))).dropped == (1,)


def test_operations_before_a_lock_request_are_done_first_and_those_behind_it_wait() -> None:
    assert operations(batch(FREE, inbox(signal("a"), call("b"), request(), signal("c")))) == ["a", "b"]


def test_a_request_at_the_head_takes_the_lock_and_goes_on_to_the_next_entity() -> None:
    taken = step(FREE, inbox(request(SECTION, "@e@2", "@e@3"), signal("a")))
    mutation = taken.decision.mutation

    assert mutation.lock == SECTION
    assert (mutation.state, mutation.modified_at, mutation.turn) == ("state", NOW, 7)
    assert mutation.consumed == (1,)
    assert taken.decision.entity.lock == SECTION
    assert taken.decision.entity.turn == 8
    assert sent(taken) == [("@e@3", "EntityLockRequested")]
    (effect,) = mutation.effects
    assert isinstance(effect, AppendMessage)
    onward = pb.HistoryEvent.FromString(effect.payload)
    assert onward.entityLockRequested == pb.EntityLockRequestedEvent(
        criticalSectionId="s", lockSet=["@e@2", "@e@3"], position=1, parentInstanceId=events.text("x")
    )
    assert locks.lock_of(onward) == SECTION


def test_the_last_entity_tells_the_generation_that_asked() -> None:
    taken = step(FREE, inbox(request(SECTION, "@e@1", "@e@2", position=1)))

    (granted,) = taken.decision.mutation.effects
    assert isinstance(granted, AppendMessage)
    assert (granted.key, granted.execution_id) == (InstanceKey(HUB, "x"), "run")
    event = pb.HistoryEvent.FromString(granted.payload)
    assert event.eventId == events.NO_ID
    assert event.entityLockGranted.criticalSectionId == "s"


def test_when_nobody_is_there_to_be_told_all_the_entities_are_released() -> None:
    taken = step(FREE, inbox(request(SECTION, "@e@1", "@e@2", position=1)))

    (granted,) = taken.decision.mutation.effects
    assert isinstance(granted, AppendMessage)
    released = [(each.key.instance_id, pb.HistoryEvent.FromString(each.payload)) for each in granted.otherwise]
    assert [key for key, _ in released] == ["@e@1", "@e@2"]
    assert all(describe(event) == "EntityUnlockSent" and locks.lock_of(event) == SECTION for _, event in released)


def test_a_locked_entity_does_what_its_owner_calls_before_all_else() -> None:
    taken = batch(LOCKED, inbox(signal("a"), call("b", OTHER), request(OTHER), call("c"), call("d")))

    assert operations(taken) == ["c", "d"]


def test_a_locked_entity_does_nothing_for_others_nor_for_another_generation_of_its_owner() -> None:
    later = EntityLock(instance_id="x", execution_id="another run", section_id="s")

    assert isinstance(entity.take(LOCKED, inbox(signal("a"), call("b", later), request(OTHER)), NOW), NoTurn)


def test_a_release_frees_the_entity_and_the_next_request_has_it_in_the_same_step() -> None:
    freed = step(LOCKED, inbox(signal("a"), unlock()))
    assert freed.decision.mutation.lock is None
    assert freed.decision.mutation.consumed == (2,)

    handed_on = step(LOCKED, inbox(request(OTHER), unlock()))
    assert handed_on.decision.mutation.lock == OTHER
    assert handed_on.decision.mutation.consumed == (2, 1)
    assert sent(handed_on) == [("y", "EntityLockGranted")]


def test_a_release_of_another_section_or_generation_changes_nothing() -> None:
    for stranger in (
        OTHER,
        EntityLock(instance_id="x", execution_id="run", section_id="t"),
        EntityLock(instance_id="x", execution_id="another run", section_id="s"),
    ):
        taken = step(LOCKED, inbox(unlock(stranger)))

        assert taken.decision.mutation.lock == SECTION
        assert taken.decision.mutation.consumed == (1,)

    assert step(FREE, inbox(unlock())).decision.mutation.lock is None


def test_a_request_that_was_taken_back_while_it_waited_is_dropped_with_its_release() -> None:
    assert step(FREE, inbox(request(SECTION, "@e@2", "@e@3"), unlock(SECTION, "@e@3"))).decision.mutation == (
        CompleteEntityTurn(key=KEY, turn=7, state="state", lock=None, modified_at=NOW, consumed=(2, 1))
    )
    taken = batch(FREE, inbox(request(), signal("a"), unlock()))
    assert operations(taken) == ["a"]
    assert sorted(taken.dropped) == [1, 3]


def test_a_release_does_not_take_back_what_is_asked_for_after_it() -> None:
    assert step(FREE, inbox(unlock(), request())).decision.mutation.lock == SECTION


def test_a_release_follows_a_request_that_went_on() -> None:
    taken = step(LOCKED, inbox(unlock(SECTION, "@e@3", "@e@4")))

    (onward,) = taken.decision.mutation.effects
    assert isinstance(onward, AppendMessage)
    assert onward == locks.unlock(InstanceKey(HUB, "@e@3"), SECTION, NOW, ("@e@4",))


def test_a_backlog_hides_no_release_from_a_locked_entity() -> None:
    crowd = [signal(str(at), f"r{at}") for at in range(3000)]

    assert step(LOCKED, inbox(*crowd, unlock())).decision.mutation.lock is None
