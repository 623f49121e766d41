"""What becomes of the children of an instance that is rewound."""

from __future__ import annotations

from dataclasses import replace

from durabletask_backend.mutations import Code, CreateInstance, PurgeInstance
from durabletask_backend.values import InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events
from durabletask_server.engine.framing import PAST_EVENT, frames
from durabletask_server.engine.rewind import Found, awaited, rewind

from .replay import All, Context, Flow, replaying
from .rewinds import leaf, rewound, status
from .world import HUB, NOW, World

FAILED = RuntimeStatus.FAILED
COMPLETED = RuntimeStatus.COMPLETED
RUNNING = RuntimeStatus.RUNNING


def parent(ctx: Context) -> Flow:
    return "".join((yield All([ctx.start("good", "a-good"), ctx.start("bad", "a-bad")])))


def middle(ctx: Context) -> Flow:
    (result,) = yield All([ctx.start("leaf", "a-leaf")])

    return result


def family() -> World:
    """A parent with a good and a bad child; each waits for an activity."""
    world = World(parent=replaying(parent), good=replaying(leaf), bad=replaying(leaf))
    world.start("parent")
    world.run()

    return world


def test_a_failed_grandchild_is_rewound_with_all_that_it_failed() -> None:
    world = World(top=replaying(lambda ctx: _only(ctx, "middle")), middle=replaying(middle), leaf=replaying(leaf))
    world.start("top")
    world.run()
    world.answer("a-leaf", 0, error="boom")
    world.run()
    assert {key.instance_id for key in world.rows} == {"top", "a-middle", "a-leaf"}
    assert {row.instance.status for row in world.rows.values()} == {FAILED}

    rewound(world, "top")
    assert {row.instance.status for row in world.rows.values()} == {RUNNING}

    world.run()
    world.answer("a-leaf", 0, "deep")
    world.run()
    assert world.instance("top").output == "deep"
    assert "ExecutionRewound" in " ".join(world.history("a-leaf"))


def _only(ctx: Context, name: str) -> Flow:
    (result,) = yield All([ctx.start(name, f"a-{name}")])

    return result


def test_a_child_that_still_runs_is_left_alone_and_its_answer_arrives() -> None:
    world = family()
    world.answer("a-bad", 0, error="boom")
    world.run()
    turn = world.instance("a-good").turn
    rewound(world, "parent")
    assert (world.instance("a-good").turn, world.open_tasks("a-good")) == (turn, {0})

    world.run()
    world.answer("a-good", 0, "g")
    world.answer("a-bad", 0, "b")
    world.run()
    assert world.instance("parent").output == "gb"


def test_a_child_that_completed_after_its_parent_had_failed_is_not_run_again() -> None:
    world = family()
    world.answer("a-bad", 0, error="boom")
    world.run()
    world.answer("a-good", 0, "g")
    world.run()
    assert (status(world, "parent"), status(world, "a-good")) == (FAILED, COMPLETED)

    turn = world.instance("a-good").turn
    rewound(world, "parent")
    world.run()
    world.answer("a-bad", 0, "b")
    world.run()
    assert (world.instance("parent").output, world.instance("a-good").turn) == ("gb", turn)


def test_a_terminated_child_fails_its_parent_again() -> None:
    world = family()
    world.terminate("a-bad", "enough")
    world.run()
    assert status(world, "parent") is FAILED

    rewound(world, "parent")
    world.run()
    assert (status(world, "parent"), status(world, "a-bad")) == (FAILED, RuntimeStatus.TERMINATED)
    assert b"was terminated: enough" in (world.instance("parent").failure or b"")


def test_a_purged_child_is_created_anew() -> None:
    world = family()
    world.answer("a-bad", 0, error="boom")
    world.answer("a-good", 0, "g")
    world.run()
    old = world.instance("a-bad")
    world.apply(PurgeInstance(key=old.key))
    rewound(world, "parent")
    new = world.instance("a-bad")
    assert (new.name, new.parent_id, new.status) == ("bad", "parent", RuntimeStatus.PENDING)
    assert new.execution_id != old.execution_id

    world.run()
    world.answer("a-bad", 0, "b")
    world.run()
    assert world.instance("parent").output == "gb"


def test_a_child_is_created_anew_as_it_was_created() -> None:
    created = pb.SubOrchestrationInstanceCreatedEvent(instanceId="c", name="child", tags={"team": "blue"})
    created.version.value = "1.5"
    created.input.value = ""
    created.parentTraceContext.traceParent = "00-1-2-01"
    started = pb.ExecutionStartedEvent(name="parent")
    history = [
        events.orchestrator_started(NOW),
        pb.HistoryEvent(eventId=-1, executionStarted=started),
        pb.HistoryEvent(eventId=3, subOrchestrationInstanceCreated=created),
        events.execution_completed(NOW, 4, FAILED, None, events.failure("Boom", "boom")),
    ]
    world = family()
    world.answer("a-bad", 0, error="boom")
    world.run()
    record = replace(world.instance("parent"), version="2")
    found = Found(instance=record, history=frames(PAST_EVENT, [event.SerializeToString() for event in history]))
    assert awaited(found) == [InstanceKey(HUB, "c")]

    (turn,) = rewind(record.key, {record.key: found}, None, NOW, world.new_id).turns
    (effect,) = [effect for effect in turn.effects if isinstance(effect, CreateInstance)]
    start = pb.HistoryEvent.FromString(effect.start).executionStarted
    assert (start.name, start.version.value, start.tags["team"]) == ("child", "1.5", "blue")
    assert (start.HasField("input"), start.parentTraceContext.traceParent) == (True, "00-1-2-01")
    assert start.parentInstance.taskScheduledId == 3
    assert start.parentInstance.orchestrationInstance.executionId.value == record.execution_id
    assert (effect.instance.version, effect.instance.input, effect.instance.parent_id) == ("1.5", "", "parent")


def test_an_instance_that_took_the_id_of_a_child_is_not_taken_for_it() -> None:
    world = family()
    world.answer("a-bad", 0, error="boom")
    world.run()
    assert world.create(pb.CreateInstanceRequest(name="good", instanceId="a-bad")).code is Code.REPLACED

    rewound(world, "parent")
    world.run()
    assert status(world, "parent") is FAILED
    assert b"has the id 'a-bad' already" in (world.instance("parent").failure or b"")
    assert (status(world, "a-bad"), world.instance("a-bad").parent_id) == (RUNNING, None)


def test_a_child_rewound_alone_does_not_touch_its_parent() -> None:
    world = family()
    world.answer("a-bad", 0, error="boom")
    world.run()
    rewound(world, "a-bad")
    world.run()
    world.answer("a-bad", 0, "b")
    world.run()
    assert (status(world, "a-bad"), status(world, "parent")) == (COMPLETED, FAILED)

    rewound(world, "parent")
    world.answer("a-good", 0, "g")
    world.run()
    assert world.instance("parent").output == "gb"


def test_a_failed_child_that_cannot_be_rewound_is_created_anew() -> None:
    world = family()
    world.answer("a-bad", 0, error="boom")
    world.answer("a-good", 0, "g")
    world.run()
    world.row("a-bad").history = frames(PAST_EVENT, [b"\xff\xff"])
    rewound(world, "parent")
    assert status(world, "a-bad") is RuntimeStatus.PENDING

    world.run()
    world.answer("a-bad", 0, "b")
    world.run()
    assert world.instance("parent").output == "gb"
