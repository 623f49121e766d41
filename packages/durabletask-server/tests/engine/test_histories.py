"""Whole orchestrations, by the histories they leave. A line is a turn; OrchestratorStarted heads each."""

from __future__ import annotations

import pytest
from durabletask_backend.mutations import Code
from durabletask_backend.values import RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events
from durabletask_server.engine.orchestration import TERMINATED

from .scripts import Answer, activity, child, complete, continue_as_new, fail, raised, script, timer
from .world import NOW, SECOND, World


def failure_of(world: World, instance_id: str) -> pb.TaskFailureDetails:
    failure = world.instance(instance_id).failure
    assert failure is not None

    return pb.TaskFailureDetails.FromString(failure)


def test_a_single_activity() -> None:
    world = World(o=script([activity(0)], [complete(1, "result")]))
    world.start("o", value="input")
    world.run()
    assert world.instance("o").status is RuntimeStatus.RUNNING
    world.answer("o", 0)
    world.run()

    assert world.history("o") == ["ExecutionStarted TaskScheduled(0)", "TaskCompleted{0} ExecutionCompleted(1)"]
    assert world.instance("o").status is RuntimeStatus.COMPLETED
    assert world.instance("o").output == "result"


def test_a_timer() -> None:
    world = World(o=script([timer(0, NOW + SECOND)], [complete(1)]))
    world.start("o")
    world.run()
    world.advance(SECOND - 1)
    assert not world.turn("o")
    world.advance(1)
    world.run()

    assert world.history("o") == ["ExecutionStarted TimerCreated(0)", "TimerFired{0} ExecutionCompleted(1)"]
    created, fired = world.events("o")[2].timerCreated, world.events("o")[4].timerFired
    assert events.micros(created.fireAt) == events.micros(fired.fireAt) == NOW + SECOND


def test_a_timer_of_the_past_fires_at_once() -> None:
    world = World(o=script([timer(0, 0)], [complete(1)]))
    world.start("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted TimerCreated(0)", "TimerFired{0} ExecutionCompleted(1)"]


def test_a_fan_out_of_three() -> None:
    world = World(o=script([activity(0), activity(1), activity(2)], [], [complete(3)]))
    world.start("o")
    world.run()
    world.answer("o", 1)
    world.run()
    world.answer("o", 0)
    world.answer("o", 2)
    world.run()

    assert world.history("o") == [
        "ExecutionStarted TaskScheduled(0) TaskScheduled(1) TaskScheduled(2)",
        "TaskCompleted{1}",
        "TaskCompleted{0} TaskCompleted{2} ExecutionCompleted(3)",
    ]


def test_actions_are_confirmed_in_the_order_of_the_answer() -> None:
    world = World(o=script([activity(2), timer(0, NOW), activity(1)]))
    world.start("o")
    world.turn("o")

    assert world.history("o") == ["ExecutionStarted TaskScheduled(2) TimerCreated(0) TaskScheduled(1)"]


def test_a_sub_orchestration() -> None:
    world = World(p=script([child(0, "c", "p:0000")], [complete(1)]), c=script([complete(0, "of the child")]))
    world.start("p")
    world.run()

    assert world.history("p") == [
        "ExecutionStarted SubOrchestrationInstanceCreated(0)",
        "SubOrchestrationInstanceCompleted{0} ExecutionCompleted(1)",
    ]
    assert world.history("p:0000") == ["ExecutionStarted ExecutionCompleted(0)"]
    assert world.events("p")[4].subOrchestrationInstanceCompleted.result.value == "of the child"
    link = world.events("p:0000")[1].executionStarted.parentInstance
    assert (link.name.value, link.taskScheduledId) == ("p", 0)
    assert link.orchestrationInstance.instanceId == "p"
    assert link.orchestrationInstance.executionId.value == world.instance("p").execution_id


def test_a_failed_sub_orchestration_gives_its_failure_to_its_parent() -> None:
    world = World(p=script([child(0, "c", "c")], [fail(1, "the child failed")]), c=script([fail(0, "no luck")]))
    world.start("p")
    world.run()

    assert world.history("p") == [
        "ExecutionStarted SubOrchestrationInstanceCreated(0)",
        "SubOrchestrationInstanceFailed{0} ExecutionCompleted(1)",
    ]
    told = world.events("p")[4].subOrchestrationInstanceFailed.failureDetails
    assert told == failure_of(world, "c")
    assert told.errorMessage == "no luck"
    assert world.instance("p").status is RuntimeStatus.FAILED


def test_an_external_event() -> None:
    world = World(o=script([], [complete(0)]))
    world.start("o")
    world.run()
    world.raise_event("o", "go", "data")
    world.run()

    assert world.history("o") == ["ExecutionStarted", "EventRaised ExecutionCompleted(0)"]
    assert world.events("o")[3].eventRaised == pb.EventRaisedEvent(name="go", input=events.text("data"))


def test_a_timer_that_lost_against_an_event_never_fires() -> None:
    world = World(o=script([timer(0, NOW + SECOND)], [complete(1)]))
    world.start("o")
    world.run()
    world.raise_event("o", "go")
    world.run()
    world.advance(2 * SECOND)
    world.run()

    assert world.history("o") == ["ExecutionStarted TimerCreated(0)", "EventRaised ExecutionCompleted(1)"]
    assert not world.row("o").inbox


def test_an_event_before_the_first_turn() -> None:
    world = World(o=script([complete(0)]))
    world.start("o")
    world.raise_event("o", "go")
    world.run()

    assert world.history("o") == ["ExecutionStarted EventRaised ExecutionCompleted(0)"]


def test_events_come_in_the_order_they_were_raised() -> None:
    world = World(o=script())
    world.start("o")

    for number in range(10):
        world.raise_event("o", f"e{number}")

        if number % 3 == 0:
            world.run()

    world.run()

    names = [event.eventRaised.name for event in world.events("o") if event.HasField("eventRaised")]
    assert names == [f"e{number}" for number in range(10)]


def test_continue_as_new_begins_an_empty_history() -> None:
    def count(request: pb.OrchestratorRequest) -> Answer:
        value = int(request.newEvents[1].executionStarted.input.value)

        return [complete(0, str(value)) if value == 3 else continue_as_new(0, str(value + 1))]

    world = World(o=count)
    world.start("o", value="0")
    first = world.instance("o").execution_id
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionCompleted(0)"]
    assert world.instance("o").output == "3"
    assert world.instance("o").input == "3"
    assert world.instance("o").turn == 4
    assert world.instance("o").execution_id != first


def test_continue_as_new_with_carried_events_loses_none_and_keeps_their_order() -> None:
    seen = []

    def eternal(request: pb.OrchestratorRequest) -> Answer:
        waiting = raised(request)

        if not waiting:
            return []

        seen.append(waiting[0].eventRaised.name)

        return [complete(0)] if len(seen) == 11 else [continue_as_new(0, carry=waiting[1:])]

    world = World(o=eternal)
    world.start("o")

    for number in range(6):
        world.raise_event("o", f"e{number}")

    world.turn("o")

    # They come after the ones that are carried over.
    for number in range(6, 11):
        world.raise_event("o", f"e{number}")

    world.run()

    assert seen == [f"e{number}" for number in range(11)]
    assert world.history("o") == ["ExecutionStarted EventRaised ExecutionCompleted(0)"]


def test_events_that_are_not_carried_over_are_gone() -> None:
    world = World(o=script([continue_as_new(0)]))
    world.orchestrators["o"] = lambda request: [continue_as_new(0)] if raised(request) else []
    world.start("o")
    world.raise_event("o", "a")
    world.run()

    assert world.history("o") == ["ExecutionStarted"]
    assert not world.row("o").inbox


def test_terminate() -> None:
    world = World(o=script([timer(0, NOW + SECOND), activity(1)]))
    world.start("o")
    world.run()
    world.terminate("o", "enough")
    world.run()

    assert world.history("o") == [
        "ExecutionStarted TimerCreated(0) TaskScheduled(1)",
        "ExecutionTerminated ExecutionCompleted",
    ]
    assert world.instance("o").status is RuntimeStatus.TERMINATED
    assert world.instance("o").output == "enough"
    assert len(world.requests) == 1, "no worker is asked"
    assert not world.row("o").inbox
    assert not world.row("o").tasks


def test_terminate_before_the_first_turn() -> None:
    world = World(o=script([activity(0)]))
    world.start("o")
    world.terminate("o", "enough")
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionTerminated ExecutionCompleted"]
    assert world.requests == []


def test_terminate_while_suspended() -> None:
    world = World(o=script())
    world.start("o")
    world.suspend("o")
    world.run()
    world.raise_event("o", "held")
    world.terminate("o", "enough")
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionSuspended", "ExecutionTerminated ExecutionCompleted"]
    assert world.instance("o").status is RuntimeStatus.TERMINATED


def test_terminate_a_start_that_is_to_come() -> None:
    world = World(o=script([activity(0)]))
    world.start("o", due=NOW + SECOND)
    world.run()
    assert world.instance("o").status is RuntimeStatus.PENDING
    world.terminate("o", "enough")
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionTerminated ExecutionCompleted"]
    assert world.instance("o").status is RuntimeStatus.TERMINATED


def test_what_came_before_the_termination_is_in_the_history_and_what_came_behind_is_not() -> None:
    world = World(o=script([activity(0)]))
    world.start("o")
    world.run()
    world.answer("o", 0)
    world.terminate("o", "first")
    world.raise_event("o", "late")
    world.terminate("o", "second")
    world.run()

    assert world.history("o")[1:] == ["TaskCompleted{0} ExecutionTerminated ExecutionCompleted"]
    assert world.instance("o").output == "first"


@pytest.mark.parametrize("recursive", [True, False])
def test_a_termination_reaches_descendants_if_it_is_recursive(recursive: bool) -> None:
    world = World(
        root=script([child(0, "middle", "a"), child(1, "middle", "b")]),
        middle=lambda request: [child(0, "leaf", "")] if not request.pastEvents else [],
        leaf=script(),
    )
    world.start("root")
    world.run()
    assert len(world.rows) == 5
    world.terminate("root", "enough", recursive=recursive)
    world.run()

    statuses = [row.instance.status for row in world.rows.values() if row.instance.name != "root"]
    assert world.instance("root").status is RuntimeStatus.TERMINATED
    assert set(statuses) == {RuntimeStatus.TERMINATED if recursive else RuntimeStatus.RUNNING}
    outputs = {row.instance.output for row in world.rows.values() if row.instance.name != "root"}
    assert outputs == {"enough" if recursive else None}


def test_a_recursive_termination_passes_children_that_have_ended() -> None:
    world = World(root=script([child(0, "c", "done"), child(1, "w", "busy")]), c=script([complete(0, "x")]), w=script())
    world.start("root")
    world.run()
    world.terminate("root", "enough", recursive=True)
    world.run()

    assert world.instance("done").status is RuntimeStatus.COMPLETED
    assert world.instance("done").output == "x"
    assert world.instance("busy").status is RuntimeStatus.TERMINATED


def test_the_parent_of_a_terminated_child_is_told_why() -> None:
    world = World(p=script([child(0, "c", "c")]), c=script())
    world.start("p")
    world.run()
    world.terminate("c", "enough")
    world.run()

    assert world.history("p")[1:] == ["SubOrchestrationInstanceFailed{0}"]
    told = world.events("p")[4].subOrchestrationInstanceFailed.failureDetails
    assert told.errorType == TERMINATED
    assert "'c'" in told.errorMessage
    assert "enough" in told.errorMessage


def test_a_child_that_is_terminated_before_its_first_turn_tells_its_parent() -> None:
    world = World(p=script([child(0, "c", "c")]), c=script())
    world.start("p")
    world.turn("p")
    world.terminate("c")
    world.run()

    assert world.history("p")[1:] == ["SubOrchestrationInstanceFailed{0}"]


def test_what_comes_while_suspended_follows_the_resumption_in_order() -> None:
    world = World(o=script([activity(0), timer(1, NOW + SECOND)]))
    world.start("o")
    world.run()
    world.suspend("o")
    world.run()
    assert world.instance("o").status is RuntimeStatus.SUSPENDED
    world.raise_event("o", "a")
    world.answer("o", 0)
    world.raise_event("o", "b")
    world.advance(SECOND)
    asked = len(world.requests)
    world.run()
    assert len(world.requests) == asked, "nothing moves"
    world.resume("o")
    world.raise_event("o", "c")
    world.run()

    assert world.history("o")[1:] == [
        "ExecutionSuspended",
        "ExecutionResumed EventRaised TaskCompleted{0} EventRaised TimerFired{1} EventRaised",
    ]
    assert [event.eventRaised.name for event in raised(world.requests[-1])] == ["a", "b", "c"]
    assert world.instance("o").status is RuntimeStatus.RUNNING


def test_suspend_before_the_first_turn() -> None:
    world = World(o=script([activity(0)]))
    world.start("o")
    world.suspend("o")
    world.raise_event("o", "held")
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionSuspended TaskScheduled(0)"]
    assert world.instance("o").status is RuntimeStatus.SUSPENDED
    assert len(world.row("o").inbox) == 1


def test_two_suspensions_need_one_resumption() -> None:
    world = World(o=script())
    world.start("o")
    world.suspend("o")
    world.run()
    world.suspend("o")
    world.run()
    world.resume("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionSuspended", "ExecutionResumed"]
    assert world.instance("o").status is RuntimeStatus.RUNNING


def test_the_last_of_suspensions_and_resumptions_counts() -> None:
    world = World(o=script())
    world.start("o")
    world.suspend("o")
    world.resume("o")
    world.raise_event("o", "a")
    world.suspend("o")
    world.raise_event("o", "b")
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionSuspended ExecutionResumed EventRaised ExecutionSuspended"]
    assert world.instance("o").status is RuntimeStatus.SUSPENDED


def test_a_resumption_of_what_runs_is_noted_and_does_nothing() -> None:
    world = World(o=script())
    world.start("o")
    world.resume("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionResumed"]
    assert world.instance("o").status is RuntimeStatus.RUNNING


def test_retries_of_an_activity_are_tasks_and_timers_of_their_own() -> None:
    world = World(
        o=script(
            [activity(0)],
            [timer(1, NOW)],
            [activity(2)],
            [timer(3, NOW)],
            [activity(4)],
            [fail(5, "three times")],
        )
    )
    world.start("o")

    for attempt in (0, 2, 4):
        world.run()
        world.answer("o", attempt, error="no luck")

    world.run()

    assert world.history("o") == [
        "ExecutionStarted TaskScheduled(0)",
        "TaskFailed{0} TimerCreated(1)",
        "TimerFired{1} TaskScheduled(2)",
        "TaskFailed{2} TimerCreated(3)",
        "TimerFired{3} TaskScheduled(4)",
        "TaskFailed{4} ExecutionCompleted(5)",
    ]
    assert failure_of(world, "o").errorMessage == "three times"


def test_a_child_may_be_tried_again_under_its_id() -> None:
    attempts = iter([fail(0, "no luck"), fail(0, "no luck"), complete(0, "at last")])
    world = World(p=script([child(0, "c", "c")], [child(1, "c", "c")], [child(2, "c", "c")], [complete(3)]))
    world.orchestrators["c"] = lambda request: [next(attempts)]
    world.start("p")
    world.run()

    assert world.history("p")[1:] == [
        "SubOrchestrationInstanceFailed{0} SubOrchestrationInstanceCreated(1)",
        "SubOrchestrationInstanceFailed{1} SubOrchestrationInstanceCreated(2)",
        "SubOrchestrationInstanceCompleted{2} ExecutionCompleted(3)",
    ]


def test_a_failed_orchestration() -> None:
    world = World(o=script([fail(0, "no luck")]))
    world.start("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionCompleted(0)"]
    assert world.instance("o").status is RuntimeStatus.FAILED
    assert world.instance("o").output is None
    assert failure_of(world, "o") == events.failure("Boom", "no luck")
    assert world.events("o")[-1].executionCompleted.failureDetails == events.failure("Boom", "no luck")


def test_an_instance_that_has_ended_takes_nothing_more() -> None:
    world = World(o=script([activity(0), complete(1)]))
    world.start("o")
    world.run()
    ended = world.instance("o")
    world.advance(SECOND)

    assert world.raise_event("o", "late").code is Code.TERMINAL
    assert world.suspend("o").code is Code.TERMINAL
    assert world.terminate("o").code is Code.TERMINAL
    assert world.answer("o", 0).code is Code.TERMINAL
    world.run()
    assert world.instance("o") == ended


def test_an_instance_is_pending_until_its_first_turn_is_committed() -> None:
    world = World(o=script())
    world.start("o")
    decision = world.decide("o")

    assert world.instance("o").status is RuntimeStatus.PENDING
    assert decision is not None
    world.commit(decision)
    assert world.instance("o").status is RuntimeStatus.RUNNING
