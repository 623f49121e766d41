"""What a turn takes of an inbox, and when it says it is."""

from __future__ import annotations

import pytest
from durabletask_backend.values import Message
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events
from durabletask_server.engine.framing import PAST_EVENT, frames
from durabletask_server.engine.state import fold
from durabletask_server.engine.turn import MAX_BYTES, MAX_EVENTS, NoTurn, Turn, open_letter, take

from .scripts import activity, child, script, timer
from .world import HUB, NOW, SECOND, World, describe

WAITING = script([activity(0), timer(1, NOW + SECOND), child(2, "c", "c")])


def waiting() -> World:
    """Instance `o` waits for a task, a timer and a child."""
    world = World(o=WAITING, c=script())
    world.start("o")
    world.run()

    return world


def taken(world: World, *messages: Message | pb.HistoryEvent) -> list[str]:
    """What a turn of instance `o` takes of these messages."""
    turn = attempt(world, *messages)

    return [describe(event) for event in turn.events] if isinstance(turn, Turn) else []


def attempt(world: World, *messages: Message | pb.HistoryEvent) -> Turn | NoTurn:
    inbox = [
        open_letter(
            message
            if isinstance(message, Message)
            else Message(sequence=1000 + at, payload=message.SerializeToString())
        )
        for at, message in enumerate(messages)
    ]

    return take(world.state("o"), inbox, world.now)


FAILURE = events.failure("E", "e")
ANSWERS = {
    "task completed": (events.task_completed(NOW, 0, None), events.task_completed(NOW, 5, None)),
    "task failed": (events.task_failed(NOW, 0, FAILURE), events.task_failed(NOW, 5, FAILURE)),
    "timer": (events.timer_fired(1, NOW), events.timer_fired(5, NOW)),
    "child completed": (events.child_completed(NOW, 2, None), events.child_completed(NOW, 5, None)),
    "child failed": (events.child_failed(NOW, 2, FAILURE), events.child_failed(NOW, 5, FAILURE)),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_taken_once(kind: str) -> None:
    answer, _ = ANSWERS[kind]
    turn = attempt(waiting(), answer, answer)

    assert isinstance(turn, Turn)
    assert len(turn.events) == 2
    assert (turn.sequences, turn.dropped) == ((1000,), (1001,))


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_to_nothing_is_no_turn(kind: str) -> None:
    assert isinstance(attempt(waiting(), ANSWERS[kind][1]), NoTurn)


def test_an_answer_to_what_is_answered_is_dropped_with_the_next_turn() -> None:
    world = waiting()
    world.answer("o", 0)
    world.run()
    turn = attempt(world, events.task_failed(NOW, 0, FAILURE), events.event_raised(NOW, "e", None))

    assert isinstance(turn, Turn)
    assert [describe(event) for event in turn.events] == ["OrchestratorStarted", "EventRaised"]
    assert turn.dropped == (1000,)


def test_a_second_start_is_dropped() -> None:
    start = waiting().events("o")[1]

    assert isinstance(attempt(waiting(), start), NoTurn)


def test_events_have_no_identity_and_are_never_duplicates() -> None:
    event = events.event_raised(NOW, "e", None)

    assert taken(waiting(), event, event) == ["OrchestratorStarted", "EventRaised", "EventRaised"]


def test_a_message_to_another_generation_is_dropped() -> None:
    payload = events.event_raised(NOW, "e", None).SerializeToString()
    world = waiting()
    turn = attempt(
        world,
        Message(sequence=1, payload=payload, execution_id="another"),
        Message(sequence=2, payload=payload, execution_id=world.instance("o").execution_id),
    )

    assert isinstance(turn, Turn)
    assert (turn.sequences, turn.dropped) == ((2,), (1,))


def test_without_a_start_nothing_is_taken() -> None:
    world = World(o=script())
    world.start("o", due=NOW + SECOND)
    world.raise_event("o", "e")
    world.suspend("o")
    world.run()

    assert world.history("o") == []
    world.advance(SECOND)
    world.run()
    assert world.history("o") == ["ExecutionStarted EventRaised ExecutionSuspended"]


def test_nothing_is_no_turn() -> None:
    assert isinstance(attempt(waiting()), NoTurn)


def test_a_turn_is_what_its_encoded_events_say() -> None:
    world = waiting()
    world.advance(SECOND)
    world.raise_event("o", "e", "data")
    world.answer("o", 0)
    turn = world.take("o")

    assert isinstance(turn, Turn)
    assert [pb.HistoryEvent.FromString(each) for each in turn.encoded] == list(turn.events)


# Time.


def test_a_turn_is_at_the_time_of_the_clock() -> None:
    world = waiting()
    world.advance(5)
    turn = attempt(world, events.event_raised(NOW, "e", None))

    assert isinstance(turn, Turn)
    assert turn.time == NOW + 5
    assert turn.events[0].timestamp == events.timestamp(NOW + 5)


def test_a_turn_is_never_before_the_last_one() -> None:
    world = waiting()
    world.advance(-SECOND)
    world.raise_event("o", "e")
    world.run()

    first, second = (event.timestamp for event in world.events("o") if event.HasField("orchestratorStarted"))
    assert first == second == events.timestamp(NOW)


def test_a_turn_is_never_before_the_last_one_though_the_instance_was_loaded_anew() -> None:
    world = waiting()
    reloaded = fold(world.instance("o"), world.row("o").history)
    turn = take(reloaded, [open_letter(Message(sequence=9, payload=_raised()))], NOW - SECOND)

    assert isinstance(turn, Turn)
    assert turn.time == NOW


def test_a_turn_is_never_before_the_timers_it_takes() -> None:
    turn = attempt(waiting(), events.timer_fired(1, NOW + SECOND))

    assert isinstance(turn, Turn)
    assert turn.time == NOW + SECOND


def test_a_timer_that_fired_bears_the_time_of_its_turn() -> None:
    world = waiting()
    world.advance(3 * SECOND)
    turn = world.take("o")

    assert isinstance(turn, Turn)
    assert turn.events[1].timestamp == events.timestamp(NOW + 3 * SECOND)
    assert turn.events[1].timerFired.fireAt == events.timestamp(NOW + SECOND)


def test_all_times_of_a_history_rise_even_if_the_clock_does_not() -> None:
    world = World(o=script([activity(0)], [activity(1)], [activity(2)]))
    world.start("o")

    for task in range(3):
        world.advance(-SECOND)
        world.run()
        world.answer("o", task)

    stamps = [
        events.micros(event.timestamp)
        for event in world.events("o")
        if event.HasField("orchestratorStarted") or event.HasField("taskScheduled")
    ]
    assert stamps == sorted(stamps)


# Order and limits.


def test_an_event_that_came_before_a_timer_was_due_is_before_it() -> None:
    world = waiting()
    world.raise_event("o", "in time")
    world.advance(SECOND)
    world.raise_event("o", "too late")
    turn = world.take("o")

    assert isinstance(turn, Turn)
    assert [describe(event) for event in turn.events[1:]] == ["EventRaised", "TimerFired{1}", "EventRaised"]


def test_events_keep_their_order_beside_a_timer_though_the_clock_went_back() -> None:
    world = waiting()
    world.raise_event("o", "a")
    world.advance(-SECOND)
    world.raise_event("o", "b")
    world.advance(3 * SECOND)
    turn = world.take("o")

    assert isinstance(turn, Turn)
    assert [event.eventRaised.name for event in turn.events if event.HasField("eventRaised")] == ["a", "b"]


def test_timers_fire_in_the_order_they_are_due() -> None:
    world = World(o=script([timer(0, NOW + 3), timer(1, NOW + 1), timer(2, NOW + 2)]))
    world.start("o")
    world.run()
    world.advance(SECOND)
    world.run()

    assert world.history("o")[1:] == ["TimerFired{1} TimerFired{2} TimerFired{0}"]


def test_a_turn_takes_a_limited_number_of_messages() -> None:
    world = World(o=script())
    world.start("o")
    world.run()

    for _ in range(MAX_EVENTS + 1):
        world.raise_event("o", "e")

    world.run()

    assert [line.count("EventRaised") for line in world.history("o")] == [0, MAX_EVENTS, 1]


def test_a_turn_takes_a_limited_number_of_bytes() -> None:
    world = World(o=script())
    world.start("o")
    world.run()

    for _ in range(5):
        world.raise_event("o", "e", "x" * (MAX_BYTES // 2))

    world.run()

    assert [line.count("EventRaised") for line in world.history("o")] == [0, 2, 2, 1]


def test_a_message_larger_than_the_limit_is_taken_alone() -> None:
    world = World(o=script())
    world.start("o")
    world.run()

    for _ in range(2):
        world.raise_event("o", "e", "x" * (MAX_BYTES + 1))

    world.run()

    assert [line.count("EventRaised") for line in world.history("o")] == [0, 1, 1]


def test_what_was_held_while_suspended_is_limited_too_and_keeps_its_order() -> None:
    world = World(o=script())
    world.start("o")
    world.suspend("o")
    world.run()

    for number in range(MAX_EVENTS + 5):
        world.raise_event("o", str(number))

    world.resume("o")
    world.raise_event("o", "last")
    world.run()

    assert [line.count("EventRaised") for line in world.history("o")] == [0, MAX_EVENTS - 1, 7]
    names = [event.eventRaised.name for event in world.events("o") if event.HasField("eventRaised")]
    assert names == [*(str(number) for number in range(MAX_EVENTS + 5)), "last"]


def test_no_limit_stands_before_a_termination() -> None:
    world = World(o=script())
    world.start("o")
    world.run()

    for _ in range(MAX_EVENTS + 5):
        world.raise_event("o", "e")

    world.terminate("o")
    turn = world.take("o")

    assert isinstance(turn, Turn)
    assert turn.terminated is not None
    assert len(turn.events) == 1 + MAX_EVENTS + 5 + 1


# The state.


def test_the_state_says_what_is_open() -> None:
    state = waiting().state("o")

    assert state.tasks == {0}
    assert state.timers == {1}
    assert state.children == {2: "c"}
    assert state.length == 5
    assert state.key == (HUB, "o")
    assert state.parent is None


def test_the_state_says_who_waits() -> None:
    world = waiting()
    parent = world.state("c").parent

    assert parent is not None
    assert (parent.key, parent.task_id) == ((HUB, "o"), 2)
    assert parent.execution_id == world.instance("o").execution_id


def test_a_history_of_nothing_folds_to_the_state_of_a_new_instance() -> None:
    world = World(o=script())
    world.start("o")

    assert fold(world.instance("o"), b"") == world.state("o")


def test_histories_fold_piece_by_piece() -> None:
    world = waiting()
    raw = [event.SerializeToString() for event in world.events("o")]

    assert fold(world.instance("o"), frames(PAST_EVENT, raw[:2]) + frames(PAST_EVENT, raw[2:])) == world.state("o")


def _raised() -> bytes:
    return events.event_raised(NOW, "e", None).SerializeToString()
