"""What each kind of action leaves in history and does elsewhere."""

from __future__ import annotations

import pytest
from durabletask_backend.mutations import AppendMessage
from durabletask_backend.values import TERMINAL_STATUSES, RuntimeStatus, TaskKey
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events
from durabletask_server.engine.actions import INSTANCE_EXISTS, INVALID_ID
from durabletask_server.engine.orchestration import REPEATED_ACTION, UNSUPPORTED_ACTION, Decision

from .scripts import activity, child, complete, script, send, stop, timer
from .world import HUB, NOW, SECOND, World, children, describe, messages

TRACE = pb.TraceContext(traceParent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")


def decided(*actions: pb.OrchestratorAction) -> Decision:
    """The first turn of instance `o`, answered with `actions`."""
    world = World(o=script(actions))
    world.create(pb.CreateInstanceRequest(name="o", instanceId="o", version=events.text("v1")))
    decision = world.decide("o")
    assert decision is not None
    world.commit(decision)

    return decision


def confirmed(decision: Decision) -> pb.HistoryEvent:
    """The last event of a decision."""
    event = pb.OrchestratorRequest.FromString(decision.mutation.history).pastEvents[-1]
    assert event.timestamp == events.timestamp(NOW)

    return event


def failure_of(decision: Decision) -> pb.TaskFailureDetails:
    assert decision.mutation.status is RuntimeStatus.FAILED
    assert decision.mutation.failure is not None

    return pb.TaskFailureDetails.FromString(decision.mutation.failure)


def test_schedule_task_opens_a_task_with_all_that_the_action_says() -> None:
    action = activity(7, "work", "input")
    action.scheduleTask.version.value = "v2"
    action.scheduleTask.parentTraceContext.CopyFrom(TRACE)
    decision = decided(action)

    event = confirmed(decision)
    assert describe(event) == "TaskScheduled(7)"
    assert event.taskScheduled == pb.TaskScheduledEvent(
        name="work",
        version=events.text("v2"),
        input=events.text("input"),
        parentTraceContext=TRACE,
        tags={"kind": "task"},
    )
    (task,) = decision.mutation.tasks
    execution_id = decision.mutation.execution_id
    assert task.key == TaskKey(HUB, "o", execution_id, 7)
    assert (task.name, task.version) == ("work", "v2")
    assert pb.ActivityRequest.FromString(task.payload) == pb.ActivityRequest(
        name="work",
        version=events.text("v2"),
        input=events.text("input"),
        orchestrationInstance=pb.OrchestrationInstance(instanceId="o", executionId=events.text(execution_id)),
        taskId=7,
        parentTraceContext=TRACE,
        tags={"kind": "task"},
    )
    assert decision.mutation.effects == ()
    assert decision.state.tasks == {7}


@pytest.mark.parametrize("value", [None, "", "x"])
def test_an_absent_input_stays_absent_and_an_empty_one_empty(value: str | None) -> None:
    decision = decided(activity(1, value=value), child(2, "c", "c", value), send(3, "o", "e", value))

    (task,) = decision.mutation.tasks
    (created,) = children(decision)
    (raised,) = messages(decision)
    request = pb.ActivityRequest.FromString(task.payload)
    started = pb.HistoryEvent.FromString(created.start).executionStarted
    assert events.optional(request, "input") == value
    assert events.optional(started, "input") == value
    assert created.instance.input == value
    assert events.optional(raised.eventRaised, "input") == value


def test_create_timer_sends_a_delayed_message_to_the_own_generation() -> None:
    decision = decided(timer(3, NOW + SECOND))

    event = confirmed(decision)
    assert describe(event) == "TimerCreated(3)"
    assert event.timerCreated.fireAt == events.timestamp(NOW + SECOND)
    (effect,) = decision.mutation.effects
    assert isinstance(effect, AppendMessage)
    assert (effect.due_at, effect.execution_id) == (NOW + SECOND, decision.mutation.execution_id)
    (fired,) = messages(decision)
    assert describe(fired) == "TimerFired{3}"
    assert fired.timerFired.fireAt == event.timerCreated.fireAt
    assert decision.state.timers == {3}


def test_a_timer_is_never_early() -> None:
    action = timer(1, NOW)
    action.createTimer.fireAt.nanos += 1
    (effect,) = decided(action).mutation.effects

    assert isinstance(effect, AppendMessage)
    assert effect.due_at == NOW + 1


@pytest.mark.parametrize(
    ("seconds", "due"), [(-(1 << 62), 0), (1 << 62, events.LATEST)], ids=["before 1970", "after the year 9999"]
)
def test_a_time_out_of_range_is_brought_into_it(seconds: int, due: int) -> None:
    action = timer(1, 0)
    action.createTimer.fireAt.seconds = seconds
    (effect,) = decided(action).mutation.effects

    assert isinstance(effect, AppendMessage)
    assert effect.due_at == due


def test_create_sub_orchestration_creates_an_instance_with_all_that_the_action_says() -> None:
    action = child(4, "c", "the-child", "input")
    action.createSubOrchestration.version.value = "v2"
    action.createSubOrchestration.parentTraceContext.CopyFrom(TRACE)
    action.createSubOrchestration.tags["a"] = "b"
    decision = decided(action)

    event = confirmed(decision)
    assert describe(event) == "SubOrchestrationInstanceCreated(4)"
    assert event.subOrchestrationInstanceCreated == pb.SubOrchestrationInstanceCreatedEvent(
        instanceId="the-child",
        name="c",
        version=events.text("v2"),
        input=events.text("input"),
        parentTraceContext=TRACE,
        tags={"a": "b"},
    )
    (created,) = children(decision)
    start = pb.HistoryEvent.FromString(created.start)
    assert describe(start) == "ExecutionStarted"
    assert start.executionStarted == pb.ExecutionStartedEvent(
        name="c",
        version=events.text("v2"),
        input=events.text("input"),
        orchestrationInstance=pb.OrchestrationInstance(
            instanceId="the-child", executionId=events.text(created.instance.execution_id)
        ),
        parentInstance=pb.ParentInstanceInfo(
            taskScheduledId=4,
            name=events.text("o"),
            version=events.text("v1"),
            orchestrationInstance=pb.OrchestrationInstance(
                instanceId="o", executionId=events.text(decision.mutation.execution_id)
            ),
        ),
        parentTraceContext=TRACE,
        tags={"a": "b"},
    )
    instance = created.instance
    assert (instance.name, instance.version, instance.input) == ("c", "v2", "input")
    assert (instance.parent_id, instance.status, instance.tags) == ("o", RuntimeStatus.PENDING, {"a": "b"})
    assert created.replace == TERMINAL_STATUSES
    assert created.on_conflict is not None
    assert (created.on_conflict.key, created.on_conflict.execution_id) == (
        decision.mutation.key,
        decision.mutation.execution_id,
    )
    assert decision.state.children == {4: "the-child"}


def test_a_child_without_an_id_gets_one_of_its_parents_generation_and_its_action() -> None:
    decision = decided(child(26, "c"))

    (created,) = children(decision)
    assert created.instance.key.instance_id == f"{decision.mutation.execution_id}:001a"
    assert confirmed(decision).subOrchestrationInstanceCreated.instanceId == created.instance.key.instance_id


def test_a_parent_whose_childs_id_is_taken_gets_a_reply() -> None:
    world = World(p=script([child(0, "c", "taken")], []), c=script())
    world.start("c", "taken", "the first")
    world.start("p")
    world.run()

    assert world.history("p")[1:] == ["SubOrchestrationInstanceFailed{0}"]
    failure = world.events("p")[-1].subOrchestrationInstanceFailed.failureDetails
    assert failure.errorType == INSTANCE_EXISTS
    assert "'taken'" in failure.errorMessage
    assert world.instance("taken").input == "the first"
    assert world.state("p").children == {}


def test_of_two_children_with_one_id_the_second_gets_the_reply() -> None:
    world = World(p=script([child(0, "c", "twin"), child(1, "c", "twin")], []), c=script())
    world.start("p")
    world.run()

    assert world.history("p")[1:] == ["SubOrchestrationInstanceFailed{1}"]
    assert world.state("p").children == {0: "twin"}


@pytest.mark.parametrize("instance_id", ["@entity@key", "x" * 2000, "a\x1fb"])
def test_a_child_id_that_no_orchestration_can_have_is_a_failure_of_the_child(instance_id: str) -> None:
    world = World(p=script([child(0, "c", instance_id)], []))
    world.start("p")
    world.run()

    assert world.history("p")[1:] == ["SubOrchestrationInstanceFailed{0}"]
    assert world.events("p")[-1].subOrchestrationInstanceFailed.failureDetails.errorType == INVALID_ID
    assert len(world.rows) == 1


def test_send_event_raises_an_event_in_the_target() -> None:
    world = World(o=script([send(5, "target", "Name", "data")]), t=script())
    world.start("t", "target")
    world.run()
    world.start("o")
    world.run()

    event = world.events("o")[-1]
    assert describe(event) == "EventSent(5)"
    assert event.eventSent == pb.EventSentEvent(instanceId="target", name="Name", input=events.text("data"))
    assert world.history("target")[1:] == ["EventRaised"]
    assert world.events("target")[-1].eventRaised == pb.EventRaisedEvent(name="Name", input=events.text("data"))


def test_an_instance_may_send_itself_an_event() -> None:
    world = World(o=script([send(0, "o", "e")]))
    world.start("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted EventSent(0)", "EventRaised"]


def test_messages_to_an_instance_that_is_not_there_are_dropped() -> None:
    world = World(o=script([send(0, "nobody", "e"), stop(1, "nobody"), complete(2)]))
    world.start("o")
    world.run()

    assert world.instance("o").status is RuntimeStatus.COMPLETED
    assert len(world.rows) == 1


def test_terminate_orchestration_ends_the_target_and_leaves_no_event() -> None:
    world = World(o=script([stop(0, "target", "enough")]), t=script())
    world.start("t", "target")
    world.start("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted"]
    assert world.instance("target").status is RuntimeStatus.TERMINATED
    assert world.instance("target").output == "enough"


def test_terminate_orchestration_is_recursive_if_it_says_so() -> None:
    world = World(o=script([stop(0, "p", recurse=True)]), p=script([child(0, "c", "c")]), c=script())
    world.start("p")
    world.run()
    world.start("o")
    world.run()

    assert world.instance("c").status is RuntimeStatus.TERMINATED


@pytest.mark.parametrize(
    "action",
    [
        pb.OrchestratorAction(id=9, sendEntityMessage=pb.SendEntityMessageAction()),
        pb.OrchestratorAction(id=9),
    ],
    ids=["an entity message", "none at all"],
)
def test_an_action_that_is_not_supported_fails_the_instance_and_nothing_else_counts(
    action: pb.OrchestratorAction,
) -> None:
    decision = decided(activity(1), timer(2, NOW), action, complete(3))

    failure = failure_of(decision)
    assert failure.errorType == UNSUPPORTED_ACTION
    assert "action 9" in failure.errorMessage
    assert failure.isNonRetriable
    assert (decision.mutation.tasks, decision.mutation.effects) == ((), ())
    assert describe(confirmed(decision)) == "ExecutionCompleted"


def test_a_rewinding_by_a_worker_is_set_aside() -> None:
    rewinding = pb.OrchestratorAction(id=-1, rewindOrchestration=pb.RewindOrchestrationAction())
    decision = decided(activity(1), rewinding)

    assert decision.mutation.status is RuntimeStatus.RUNNING
    assert describe(confirmed(decision)) == "TaskScheduled(1)"
    assert any("rewinds" in note for note in decision.notes)


def test_the_parent_learns_that_its_childs_action_is_not_supported() -> None:
    world = World(p=script([child(0, "c", "c")], []), c=script([pb.OrchestratorAction(id=1)]))
    world.start("p")
    world.run()

    told = world.events("p")[-1].subOrchestrationInstanceFailed.failureDetails
    assert told.errorType == UNSUPPORTED_ACTION


@pytest.mark.parametrize(
    "second",
    [activity(1), timer(1, NOW), child(1, "c")],
    ids=["task", "timer", "child"],
)
def test_an_action_with_the_id_of_another_fails_the_instance(second: pb.OrchestratorAction) -> None:
    failure = failure_of(decided(activity(1), second))

    assert failure.errorType == REPEATED_ACTION
    assert "action 1" in failure.errorMessage


def test_an_action_with_the_id_of_an_open_task_fails_the_instance() -> None:
    world = World(o=script([activity(1)], [activity(1)]))
    world.start("o")
    world.run()
    world.raise_event("o", "e")
    world.run()

    assert world.instance("o").status is RuntimeStatus.FAILED
