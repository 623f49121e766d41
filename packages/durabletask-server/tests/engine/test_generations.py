"""Continue-as-new: what a generation leaves to the next."""

from __future__ import annotations

import pytest
from durabletask_backend.mutations import Code, CompleteTask
from durabletask_backend.values import RuntimeStatus, TaskKey
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events
from durabletask_server.engine.turn import MAX_EVENTS
from google.protobuf.wrappers_pb2 import Int32Value

from .scripts import Answer, Orchestrator, activity, child, complete, continue_as_new, raised, script, send, stop, timer
from .world import NOW, SECOND, World, describe

TRACE = pb.TraceContext(traceParent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")


def generations(*scripts: Orchestrator) -> Orchestrator:
    """Follows one script after the other: the next one from the second start on."""
    at = -1

    def orchestrator(request: pb.OrchestratorRequest) -> Answer:
        nonlocal at

        if not request.pastEvents:
            at += 1

        return scripts[at](request)

    return orchestrator


def begun(world: World, instance_id: str) -> pb.ExecutionStartedEvent:
    return world.events(instance_id)[1].executionStarted


def test_a_generation_keeps_name_version_tags_trace_parent_and_time_of_creation() -> None:
    world = World(p=script([]), o=generations(script([continue_as_new(0, "next")]), script()))
    action = child(0, "o", "o", "first")
    action.createSubOrchestration.version.value = "v1"
    action.createSubOrchestration.tags["a"] = "b"
    action.createSubOrchestration.parentTraceContext.CopyFrom(TRACE)
    world.orchestrators["p"] = script([action])
    world.start("p")
    world.turn("p")
    first = pb.HistoryEvent.FromString(next(iter(world.row("o").inbox.values())).payload).executionStarted
    created = world.instance("o")
    world.advance(SECOND)
    world.run()

    second = begun(world, "o")
    assert second.orchestrationInstance.executionId.value == world.instance("o").execution_id != created.execution_id
    expected = pb.ExecutionStartedEvent()
    expected.CopyFrom(first)
    expected.input.value = "next"
    expected.orchestrationInstance.executionId.value = world.instance("o").execution_id
    assert second == expected
    instance = world.instance("o")
    assert (instance.name, instance.version, instance.tags) == ("o", "v1", {"a": "b"})
    assert (instance.input, instance.parent_id, instance.status) == ("next", "p", RuntimeStatus.RUNNING)
    assert (instance.created_at, instance.updated_at) == (NOW, NOW + SECOND)


def test_a_generation_may_have_a_version_and_tags_of_its_own() -> None:
    action = continue_as_new(0)
    action.completeOrchestration.newVersion.value = "v2"
    action.completeOrchestration.tags["c"] = "d"
    world = World(o=generations(script([action]), script()))
    world.create(
        pb.CreateInstanceRequest(name="o", instanceId="o", version=events.text("v1"), tags={"a": "b"}),
    )
    world.run()

    assert (world.instance("o").version, world.instance("o").tags) == ("v2", {"c": "d"})
    assert (begun(world, "o").version.value, dict(begun(world, "o").tags)) == ("v2", {"c": "d"})


def test_a_generation_without_an_input_has_none() -> None:
    world = World(o=generations(script([continue_as_new(0)]), script()))
    world.start("o", value="first")
    world.run()

    assert world.instance("o").input is None
    assert not begun(world, "o").HasField("input")


def test_a_generation_forgets_when_it_was_to_start_and_the_span_of_the_last() -> None:
    context = pb.OrchestrationTraceContext(spanID=events.text("span"))
    response = pb.OrchestratorResponse(actions=[continue_as_new(0)], orchestrationTraceContext=context)
    world = World(o=generations(script(response), script()))
    world.start("o", due=NOW + SECOND)
    world.advance(SECOND)
    world.run()

    assert not begun(world, "o").HasField("scheduledStartTimestamp")
    assert world.instance("o").turn_context is None
    assert world.instance("o").scheduled_at == NOW + SECOND


def test_the_instance_runs_between_its_generations() -> None:
    world = World(o=generations(script([continue_as_new(0)]), script()))
    world.start("o")
    world.turn("o")

    assert world.instance("o").status is RuntimeStatus.RUNNING
    assert world.instance("o").completed_at is None
    assert world.history("o") == []


def test_timers_and_tasks_beside_continue_as_new_are_void() -> None:
    world = World(o=generations(script([timer(0, NOW), activity(1), continue_as_new(2)]), script()))
    world.start("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted"]
    assert not world.open_tasks("o")
    assert not world.row("o").inbox


def test_what_leaves_the_instance_beside_continue_as_new_takes_effect() -> None:
    world = World(
        o=generations(
            script(
                [send(0, "other", "e"), stop(1, "victim"), child(2, "c", "c"), send(3, "o", "self"), continue_as_new(4)]
            ),
            script(),
        ),
        c=script([complete(0)]),
        other=script(),
        victim=script(),
    )
    world.start("other")
    world.start("victim")
    world.start("o")
    world.run()

    assert world.history("other")[-1].endswith("EventRaised")
    assert world.instance("victim").status is RuntimeStatus.TERMINATED
    assert world.instance("c").status is RuntimeStatus.COMPLETED
    assert world.history("o") == ["ExecutionStarted EventRaised"], "with the event to itself, without the child's reply"


def test_timers_tasks_and_children_of_the_old_generation_never_answer_the_new_one() -> None:
    same = [timer(0, NOW + SECOND), activity(1), child(2, "c", "c")]
    world = World(
        o=generations(script(same, [continue_as_new(3)]), script([activity(0), activity(1), activity(2)])), c=script([])
    )
    world.start("o")
    world.run()
    old = TaskKey(*world.instance("o").key, world.instance("o").execution_id, 1)
    world.raise_event("o", "go")
    world.run()
    world.advance(2 * SECOND)
    late = world.apply(CompleteTask(task=old, payload=events.task_completed(NOW, 1, "late").SerializeToString()))
    world.terminate("c")
    world.run()

    assert late.code is Code.MISSING
    assert world.history("o") == ["ExecutionStarted TaskScheduled(0) TaskScheduled(1) TaskScheduled(2)"]


def test_the_parent_is_told_once_by_the_last_generation() -> None:
    world = World(
        p=script([child(0, "c", "c")], []),
        c=generations(script([continue_as_new(0)]), script([continue_as_new(0)]), script([complete(0, "last")])),
    )
    world.start("p")
    world.run()

    assert world.history("p")[1:] == ["SubOrchestrationInstanceCompleted{0}"]
    assert world.events("p")[-1].subOrchestrationInstanceCompleted.result.value == "last"


def test_carried_events_get_a_time_if_they_have_none_and_no_id() -> None:
    carried = pb.HistoryEvent(eventId=5, eventRaised=pb.EventRaisedEvent(name="a"))
    world = World(o=generations(script([continue_as_new(0, carry=[carried])]), script()))
    world.start("o")
    world.run()

    event = world.events("o")[-1]
    assert (event.eventId, event.timestamp) == (-1, events.timestamp(NOW))


def test_carried_events_keep_their_time() -> None:
    carried = events.event_raised(NOW - SECOND, "a", None)
    world = World(o=generations(script([continue_as_new(0, carry=[carried])]), script()))
    world.start("o")
    world.run()

    assert world.events("o")[-1] == carried


@pytest.mark.parametrize("waiting", [MAX_EVENTS + 1, 3 * MAX_EVENTS])
def test_any_number_of_carried_events_follows_the_start_in_one_turn(waiting: int) -> None:
    carried = [events.event_raised(NOW, f"e{number}", None) for number in range(waiting)]
    world = World(o=generations(script([continue_as_new(0, carry=carried)]), script()))
    world.start("o")
    world.turn("o")
    world.raise_event("o", "behind")
    world.turn("o")

    assert [describe(event) for event in world.events("o")[:3]] == [
        "OrchestratorStarted",
        "ExecutionStarted",
        "EventRaised",
    ]
    assert [event.eventRaised.name for event in world.events("o")[2:]] == [f"e{number}" for number in range(waiting)]


def test_the_start_comes_first_even_if_a_worker_left_carried_events() -> None:
    carried = [events.event_raised(NOW, name, None) for name in ("a", "b", "c")]
    partly = pb.OrchestratorResponse(actions=[continue_as_new(0)], numEventsProcessed=Int32Value(value=3))
    world = World(o=generations(script([continue_as_new(0, carry=carried)]), script(partly), script()))
    world.start("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted EventRaised EventRaised"]
    assert [event.eventRaised.name for event in raised(world.requests[-1])] == ["b", "c"]


def test_a_suspension_outlives_the_generation_it_was_asked_of() -> None:
    world = World(o=generations(script([], [continue_as_new(0)]), script([activity(0)])))
    world.start("o")
    world.run()
    world.raise_event("o", "go")
    world.suspend("o")
    world.raise_event("o", "held")
    world.run()

    assert world.instance("o").status is RuntimeStatus.SUSPENDED
    assert world.history("o") == ["ExecutionStarted ExecutionSuspended TaskScheduled(0)"]
    world.resume("o")
    world.run()
    assert world.history("o")[1:] == ["ExecutionResumed EventRaised"]


def test_a_suspension_that_was_taken_back_does_not_outlive_its_generation() -> None:
    world = World(o=generations(script([continue_as_new(0)]), script()))
    world.start("o")
    world.suspend("o")
    world.resume("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted"]


def test_a_generation_does_not_begin_before_the_last_one_ended() -> None:
    world = World(o=generations(script([continue_as_new(0)]), script()))
    world.start("o")
    world.turn("o")
    world.advance(-SECOND)
    world.turn("o")

    assert world.events("o")[0].timestamp == events.timestamp(NOW)
