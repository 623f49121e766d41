"""What is left of an instance that has failed, and how it goes on from there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from durabletask_backend.values import InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events
from durabletask_server.engine.framing import PAST_EVENT, frames
from durabletask_server.engine.lifecycle import NotAllowedError
from durabletask_server.engine.rewind import Found, rewind
from durabletask_server.engine.state import fold

from .replay import All, Context, Flow, Settled, TaskError, replaying
from .rewinds import leaf, read, rewound, status
from .world import HUB, NOW, SECOND, World, describe

FAILED = RuntimeStatus.FAILED
COMPLETED = RuntimeStatus.COMPLETED
RUNNING = RuntimeStatus.RUNNING


def two_steps(ctx: Context) -> Flow:
    (first,) = yield All([ctx.call("first")])
    (second,) = yield All([ctx.call("second")])

    return first + second


def failed_two_steps() -> World:
    world = World(order=replaying(two_steps))
    world.start("order")
    world.run()
    world.answer("order", 0, "1")
    world.run()
    world.answer("order", 1, error="boom")
    world.run()
    assert status(world, "order") is FAILED

    return world


def test_only_the_failed_activity_is_done_again() -> None:
    world = failed_two_steps()
    rewound(world, "order", "put right")
    assert world.open_tasks("order") == set()

    world.run()
    assert world.open_tasks("order") == {1}

    world.answer("order", 1, "2")
    world.run()
    assert (status(world, "order"), world.instance("order").output) == (COMPLETED, "12")
    assert world.history("order") == [
        "ExecutionStarted TaskScheduled(0)",
        "TaskCompleted{0}",
        "",
        "ExecutionRewound TaskScheduled(1)",
        "TaskCompleted{1} ExecutionCompleted(2)",
    ]
    (event,) = [event for event in world.events("order") if event.HasField("executionRewound")]
    assert (event.executionRewound.reason.value, event.executionRewound.instanceId.value) == ("put right", "order")


def test_the_record_is_that_of_a_running_instance_with_the_same_generation() -> None:
    world = failed_two_steps()
    before = world.instance("order")
    world.advance(SECOND)
    rewound(world, "order")
    assert world.instance("order") == replace(
        before,
        status=RUNNING,
        updated_at=world.now,
        completed_at=None,
        output=None,
        failure=None,
        turn=before.turn + 1,
    )


def test_the_custom_status_stays() -> None:
    world = failed_two_steps()
    found = read(world)[InstanceKey(HUB, "order")]
    tree = {found.instance.key: replace(found, instance=replace(found.instance, custom_status="half"))}
    (turn,) = rewind(found.instance.key, tree, None, NOW, world.new_id).turns
    assert turn.custom_status == "half"


def test_what_was_open_is_done_again_and_what_succeeded_is_not() -> None:
    def fan(ctx: Context) -> Flow:
        return "".join((yield All([ctx.call("work") for _ in range(4)])))

    world = World(fan=replaying(fan))
    world.start("fan")
    world.run()
    world.answer("fan", 2, "2")
    world.answer("fan", 0, error="boom")
    world.run()
    assert status(world, "fan") is FAILED

    rewound(world, "fan")
    world.run()
    assert world.open_tasks("fan") == {0, 1, 3}

    for task_id in (3, 1, 0):
        world.answer("fan", task_id, str(task_id))

    world.run()
    assert world.instance("fan").output == "0123"


def test_only_the_last_attempt_of_a_retried_activity_is_made_again() -> None:
    def retrying(ctx: Context) -> Flow:
        other = ctx.call("other")

        for attempt in range(3):
            try:
                (result,) = yield All([ctx.call("fragile")])
                break
            except TaskError:
                if attempt == 2:
                    raise

                yield All([ctx.sleep(NOW)])

        return result + (yield All([other]))[0]

    world = World(retrying=replaying(retrying))
    world.start("retrying")
    world.run()
    world.answer("retrying", 0, "o")

    for task_id in (1, 3, 5):
        world.answer("retrying", task_id, error="boom")
        world.run()

    assert status(world, "retrying") is FAILED
    rewound(world, "retrying")
    world.run()
    assert world.open_tasks("retrying") == {5}

    world.answer("retrying", 5, "r")
    world.run()
    assert world.instance("retrying").output == "ro"


def test_a_failure_that_counted_only_at_the_end_goes_and_what_came_meanwhile_stays() -> None:
    def branches(ctx: Context) -> Flow:
        bad = ctx.call("bad")
        (first,) = yield All([ctx.call("first")])
        (second,) = yield All([ctx.call("second")])

        return first + second + (yield Settled([bad]))[0]

    world = World(branches=replaying(branches))
    world.start("branches")
    world.run()
    world.answer("branches", 0, error="boom")
    world.run()
    world.answer("branches", 1, "1")
    world.run()
    world.answer("branches", 2, "2")
    world.run()
    assert status(world, "branches") is FAILED

    rewound(world, "branches")
    world.run()
    assert world.open_tasks("branches") == {0}

    world.answer("branches", 0, "0")
    world.run()
    assert world.instance("branches").output == "120"


def test_a_failure_that_came_together_with_a_success_is_known_by_what_it_says() -> None:
    def branches(ctx: Context) -> Flow:
        bad = ctx.call("bad")
        (first,) = yield All([ctx.call("first")])
        (second,) = yield All([ctx.call("second")])

        return first + second + (yield All([bad]))[0]

    world = World(branches=replaying(branches))
    world.start("branches")
    world.run()
    world.answer("branches", 0, error="boom")
    world.answer("branches", 1, "1")
    world.run()
    world.answer("branches", 2, "2")
    world.run()
    assert status(world, "branches") is FAILED

    rewound(world, "branches")
    world.run()
    assert world.open_tasks("branches") == {0}

    world.answer("branches", 0, "0")
    world.run()
    assert world.instance("branches").output == "120"


def test_code_that_failed_by_itself_is_only_replayed_and_what_it_had_handled_stays_handled() -> None:
    mended = False

    def buggy(ctx: Context) -> Flow:
        try:
            yield All([ctx.call("fragile")])
        except TaskError:
            yield All([ctx.call("compensate")])

        if not mended:
            raise ValueError("a bug")

        return "done"

    world = World(buggy=replaying(buggy))
    world.start("buggy")
    world.run()
    world.answer("buggy", 0, error="boom")
    world.run()
    world.answer("buggy", 1)
    world.run()
    assert status(world, "buggy") is FAILED

    mended = True
    rewound(world, "buggy")
    world.run()
    assert (status(world, "buggy"), world.instance("buggy").output) == (COMPLETED, "done")
    assert "TaskFailed{0}" in " ".join(world.history("buggy"))


def test_what_the_code_did_about_its_failure_in_its_last_turn_is_forgotten() -> None:
    def telling(ctx: Context) -> Flow:
        try:
            (result,) = yield All([ctx.call("fragile")])
        except TaskError:
            ctx.send("elsewhere", "sorry")
            raise

        return result

    world = World(telling=replaying(telling))
    world.start("telling")
    world.run()
    world.answer("telling", 0, error="boom")
    world.run()
    assert "EventSent(1)" in " ".join(world.history("telling"))

    rewound(world, "telling")
    world.run()
    world.answer("telling", 0, "ok")
    world.run()
    assert (status(world, "telling"), world.instance("telling").output) == (COMPLETED, "ok")


def test_an_open_timer_is_set_anew() -> None:
    def timed(ctx: Context) -> Flow:
        timer = ctx.sleep(NOW + 100 * SECOND)
        (result,) = yield All([ctx.call("fragile")])
        yield All([timer])

        return result

    world = World(timed=replaying(timed))
    world.start("timed")
    world.run()
    world.answer("timed", 1, error="boom")
    world.run()
    rewound(world, "timed")
    assert world.state("timed").timers == frozenset()

    world.run()
    world.answer("timed", 1, "ok")
    world.run()
    assert status(world, "timed") is RUNNING

    world.advance(100 * SECOND)
    world.run()
    assert world.instance("timed").output == "ok"


def test_an_instance_can_be_rewound_again_and_again() -> None:
    world = failed_two_steps()

    for attempt in range(3):
        rewound(world, "order", f"attempt {attempt}")
        world.run()
        assert world.open_tasks("order") == {1}
        world.answer("order", 1, error="boom")
        world.run()
        assert status(world, "order") is FAILED

    rewound(world, "order")
    world.run()
    world.answer("order", 1, "2")
    world.run()
    assert world.instance("order").output == "12"
    assert " ".join(world.history("order")).count("ExecutionRewound") == 4


def test_a_pause_that_nobody_ended_ends() -> None:
    def pausing(ctx: Context) -> Flow:
        (result,) = yield All([ctx.call("fragile")])

        return result

    world = World(pausing=replaying(pausing))
    world.start("pausing")
    world.run()
    world.answer("pausing", 0, error="boom")
    world.run()
    row = world.row("pausing")
    suspended = events.execution_suspended(NOW, None).SerializeToString()
    *past, end = row.history.rpartition(frames(PAST_EVENT, [world.events("pausing")[-1].SerializeToString()]))[:2]
    row.history = b"".join(past) + frames(PAST_EVENT, [suspended]) + end
    assert fold(row.instance, row.history).suspended

    rewound(world, "pausing")
    assert not world.state("pausing").suspended


# Entities.


def test_a_failed_call_of_an_entity_and_an_unanswered_one_are_made_again() -> None:
    history = [
        events.orchestrator_started(NOW),
        pb.HistoryEvent(eventId=-1, executionStarted=pb.ExecutionStartedEvent(name="order")),
        _called(0, "good"),
        _called(1, "bad"),
        _called(2, "open"),
        events.orchestrator_started(NOW),
        events.operation_completed(NOW, "good", "1"),
        events.operation_failed(NOW, "bad", events.failure("Boom", "boom")),
        events.execution_completed(NOW, 3, FAILED, None, events.failure("Boom", "boom")),
    ]
    record = failed_two_steps().instance("order")
    found = Found(instance=record, history=frames(PAST_EVENT, [event.SerializeToString() for event in history]))
    (turn,) = rewind(record.key, {record.key: found}, None, NOW, lambda: "").turns
    kept = pb.OrchestratorRequest.FromString(turn.history).pastEvents
    assert [describe(event) for event in kept] == [
        "OrchestratorStarted",
        "ExecutionStarted",
        "EntityOperationCalled(0)",
        "OrchestratorStarted",
        "EntityOperationCompleted",
    ]


def _called(action_id: int, request_id: str) -> pb.HistoryEvent:
    return pb.HistoryEvent(
        eventId=action_id, entityOperationCalled=pb.EntityOperationCalledEvent(requestId=request_id, operation="add")
    )


# What is not allowed.


@pytest.mark.parametrize("end", [None, "complete", "terminate"])
def test_only_what_has_failed_can_be_rewound(end: str | None) -> None:
    world = World(leaf=replaying(leaf))
    world.start("leaf")
    world.run()

    if end == "complete":
        world.answer("leaf", 0)
    elif end == "terminate":
        world.terminate("leaf")

    world.run()
    named = world.instance("leaf").status.name.lower()

    with pytest.raises(NotAllowedError, match=f"not allowed: instance 'leaf' is {named}"):
        rewind(InstanceKey(HUB, "leaf"), read(world), None, NOW, world.new_id)


@pytest.mark.parametrize("history", [b"", frames(PAST_EVENT, [b"\xff\xff"])])
def test_what_cannot_be_replayed_cannot_be_rewound(history: bytes) -> None:
    record = failed_two_steps().instance("order")

    with pytest.raises(NotAllowedError, match="history of instance 'order'"):
        rewind(record.key, {record.key: Found(instance=record, history=history)}, None, NOW, lambda: "")
