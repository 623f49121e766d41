"""How an answer ends a turn: statuses, what counts beside a completion, and the rest of a response."""

from __future__ import annotations

import pytest
from durabletask_backend.values import RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events, orchestration
from durabletask_server.engine.orchestration import CANCELED, TERMINATED
from durabletask_server.engine.turn import Turn
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import Int32Value

from .scripts import activity, child, complete, script, send, stop, timer
from .world import HUB, NOW, SECOND, World, children, describe, messages

ENDS = [RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.TERMINATED, RuntimeStatus.CANCELED]


@pytest.mark.parametrize("status", ENDS)
def test_a_completion_says_how_the_instance_ends(status: RuntimeStatus) -> None:
    world = World(o=script([complete(0, "result", status)]))
    world.start("o")
    world.advance(SECOND)
    world.run()

    instance = world.instance("o")
    assert (instance.status, instance.output) == (status, "result")
    assert instance.completed_at == instance.updated_at == NOW + SECOND
    completed = world.events("o")[-1].executionCompleted
    assert completed.orchestrationStatus == status.value
    assert completed.result.value == "result"


@pytest.mark.parametrize("result", [None, "", "x"])
def test_an_absent_result_stays_absent_and_an_empty_one_empty(result: str | None) -> None:
    world = World(p=script([child(0, "c", "c")], []), c=script([complete(0, result)]))
    world.start("p")
    world.run()

    assert world.instance("c").output == result
    assert events.optional(world.events("c")[-1].executionCompleted, "result") == result
    assert events.optional(world.events("p")[-1].subOrchestrationInstanceCompleted, "result") == result


@pytest.mark.parametrize("status", [0, 6, 7], ids=["running", "pending", "suspended"])
def test_a_completion_with_a_status_that_ends_nothing_completes(status: pb.OrchestrationStatus.ValueType) -> None:
    action = complete(0)
    action.completeOrchestration.orchestrationStatus = status
    world = World(o=script([action]))
    world.start("o")
    world.run()

    assert world.instance("o").status is RuntimeStatus.COMPLETED
    (note,) = world.decisions[0].notes
    assert str(status) in note


def test_the_first_of_two_completions_counts() -> None:
    world = World(o=script([complete(3, "first"), complete(4, "second", RuntimeStatus.TERMINATED)]))
    world.start("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted ExecutionCompleted(3)"]
    assert (world.instance("o").status, world.instance("o").output) == (RuntimeStatus.COMPLETED, "first")
    assert len(world.decisions[0].notes) == 1


def test_a_completion_is_the_last_event_wherever_it_stands_in_the_answer() -> None:
    world = World(o=script([complete(2), activity(0), send(1, "x", "e")]))
    world.start("o")
    world.run()

    assert world.history("o") == ["ExecutionStarted TaskScheduled(0) EventSent(1) ExecutionCompleted(2)"]


def test_beside_a_completion_all_but_timers_takes_effect() -> None:
    world = World(
        o=script(
            [activity(0), child(1, "c", "c"), send(2, "other", "e"), stop(3, "victim"), timer(4, NOW), complete(5)]
        ),
        c=script([complete(0)]),
        other=script(),
        victim=script(),
    )
    world.start("other")
    world.start("victim")
    world.start("o")
    world.run()

    assert world.instance("o").status is RuntimeStatus.COMPLETED
    assert world.open_tasks("o") == {0}
    assert world.instance("c").status is RuntimeStatus.COMPLETED
    assert world.history("other")[-1].endswith("EventRaised")
    assert world.instance("victim").status is RuntimeStatus.TERMINATED
    assert not world.row("o").inbox, "neither the timer nor the child's reply is kept"


@pytest.mark.parametrize("status", [RuntimeStatus.FAILED, RuntimeStatus.TERMINATED, RuntimeStatus.CANCELED])
def test_beside_another_end_only_messages_take_effect(status: RuntimeStatus) -> None:
    world = World(
        o=script(
            [
                activity(0),
                child(1, "c", "c"),
                send(2, "other", "e"),
                stop(3, "victim"),
                timer(4, NOW),
                complete(5, None, status),
            ]
        )
    )
    world.start("o")
    decision = world.decide("o")
    assert decision is not None
    world.commit(decision)

    assert world.history("o") == ["ExecutionStarted EventSent(2) ExecutionCompleted(5)"]
    assert [describe(event) for event in messages(decision)] == ["EventRaised", "ExecutionTerminated"]
    assert decision.mutation.tasks == ()
    assert children(decision) == []


@pytest.mark.parametrize(
    ("status", "error_type", "verb"),
    [
        (RuntimeStatus.FAILED, "OrchestrationFailed", "failed"),
        (RuntimeStatus.TERMINATED, TERMINATED, "was terminated"),
        (RuntimeStatus.CANCELED, CANCELED, "was canceled"),
    ],
)
def test_a_child_that_ends_without_details_gives_its_parent_some(
    status: RuntimeStatus, error_type: str, verb: str
) -> None:
    world = World(p=script([child(0, "c", "c")], []), c=script([complete(0, "why", status)]))
    world.start("p")
    world.run()

    failure = world.events("p")[-1].subOrchestrationInstanceFailed.failureDetails
    assert failure.errorType == error_type
    assert failure.errorMessage == f"sub-orchestration 'c' {verb}: why"


def test_failure_details_reach_record_history_and_parent_whole() -> None:
    details = pb.TaskFailureDetails(
        errorType="Outer",
        errorMessage="outer",
        stackTrace=events.text("here"),
        innerFailure=events.failure("Inner", "inner"),
        isNonRetriable=True,
    )
    details.properties["code"].number_value = 7
    world = World(p=script([child(0, "c", "c")], []), c=script([complete(0, None, RuntimeStatus.FAILED, details)]))
    world.start("p")
    world.run()

    stored = world.instance("c").failure
    assert stored is not None
    assert pb.TaskFailureDetails.FromString(stored) == details
    assert world.events("c")[-1].executionCompleted.failureDetails == details
    assert world.events("p")[-1].subOrchestrationInstanceFailed.failureDetails == details


def test_an_engine_failure_ends_the_instance_and_tells_the_parent() -> None:
    world = World(p=script([child(0, "c", "c")], []), c=script())
    world.start("p")
    world.turn("p")
    turn = world.take("c")
    assert isinstance(turn, Turn)
    failure = events.failure("PoisonedWorkItem", "it broke ten workers")
    world.commit(orchestration.fail(world.state("c"), turn, failure, world.now, world.new_id))
    world.run()

    assert world.history("c") == ["ExecutionStarted ExecutionCompleted"]
    assert world.instance("c").failure == failure.SerializeToString()
    assert world.events("p")[-1].subOrchestrationInstanceFailed.failureDetails == failure


# The rest of a response.


@pytest.mark.parametrize(("given", "stored"), [("b", "b"), ("", None), (None, None)])
def test_each_response_replaces_the_custom_status(given: str | None, stored: str | None) -> None:
    world = World(
        o=script(
            pb.OrchestratorResponse(customStatus=events.text("a")),
            pb.OrchestratorResponse(customStatus=events.text(given)),
        )
    )
    world.start("o")
    world.run()
    assert world.instance("o").custom_status == "a"
    world.raise_event("o", "e")
    world.run()

    assert world.instance("o").custom_status == stored


def test_a_termination_keeps_the_custom_status() -> None:
    world = World(o=script(pb.OrchestratorResponse(customStatus=events.text("a"))))
    world.start("o")
    world.run()
    world.terminate("o")
    world.run()

    assert world.instance("o").custom_status == "a"


def processed(count: int) -> pb.OrchestratorResponse:
    return pb.OrchestratorResponse(numEventsProcessed=Int32Value(value=count))


def test_events_that_were_not_processed_come_again_in_their_place() -> None:
    world = World(o=script(processed(3)))
    world.start("o")

    for name in ("a", "b", "c"):
        world.raise_event("o", name)

    world.turn("o")
    world.raise_event("o", "d")
    world.run()

    assert world.history("o") == ["ExecutionStarted EventRaised", "EventRaised EventRaised EventRaised"]
    names = [event.eventRaised.name for event in world.events("o") if event.HasField("eventRaised")]
    assert names == ["a", "b", "c", "d"]


@pytest.mark.parametrize("count", [0, 1, 3, 99])
def test_any_other_count_means_all_events(count: int) -> None:
    world = World(o=script(processed(count)))
    world.start("o")
    world.raise_event("o", "a")
    world.run()

    assert world.history("o") == ["ExecutionStarted EventRaised"]


def test_the_trace_context_of_a_response_comes_back_until_another_replaces_it() -> None:
    def response(span: str) -> pb.OrchestratorResponse:
        context = pb.OrchestrationTraceContext(spanID=events.text(span), spanStartTime=Timestamp(seconds=1))

        return pb.OrchestratorResponse(orchestrationTraceContext=context)

    world = World(o=script(response("a"), pb.OrchestratorResponse(), response("b")))
    world.start("o")
    spans = []

    for _ in range(3):
        world.raise_event("o", "e")
        world.run()
        context = world.instance("o").turn_context
        assert context is not None
        spans.append(pb.OrchestrationTraceContext.FromString(context).spanID.value)

    assert spans == ["a", "a", "b"]


def test_a_turn_names_what_it_was_decided_on() -> None:
    world = World(o=script([activity(0)]))
    world.start("o")
    world.run()
    world.answer("o", 0)
    world.run()

    first, second = (decision.mutation for decision in world.decisions)
    assert first.key == (HUB, "o")
    assert (first.turn, second.turn) == (0, 1)
    assert (first.history_first, first.history_count) == (0, 3)
    assert (second.history_first, second.history_count) == (3, 2)
    assert world.instance("o").turn == 2
