"""The rules of an orchestration's spans, turn by turn, with nothing but messages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import Kind, OrchestrationTrace, Span, TraceContext
from durabletask_protos.tracing.contexts import mixed_id
from hypothesis import given
from hypothesis import strategies as st

CLIENT = TraceContext(0xA1, 0xB2)
SECOND = 1_000_000_000


def event(second: int, **kind: object) -> pb.HistoryEvent:
    """Something that happened so many seconds after 1970."""
    made = pb.HistoryEvent(eventId=-1, **kind)  # type: ignore[arg-type]
    made.timestamp.seconds = second

    return made


def turn_at(second: int) -> pb.HistoryEvent:
    return event(second, orchestratorStarted=pb.OrchestratorStartedEvent())


def started(parent: TraceContext | None = CLIENT) -> pb.HistoryEvent:
    start = pb.ExecutionStartedEvent(name="order")

    if parent is not None:
        parent.write(start.parentTraceContext)

    return event(1, executionStarted=start)


def completed(number: int, second: int) -> pb.HistoryEvent:
    return event(second, taskCompleted=pb.TaskCompletedEvent(taskScheduledId=number))


def asking(*numbers: int) -> pb.OrchestratorResponse:
    """An answer that schedules activities."""
    return pb.OrchestratorResponse(
        actions=[
            pb.OrchestratorAction(id=number, scheduleTask=pb.ScheduleTaskAction(name="ship")) for number in numbers
        ]
    )


def ending() -> pb.OrchestratorResponse:
    done = pb.CompleteOrchestrationAction(orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED)

    return pb.OrchestratorResponse(actions=[pb.OrchestratorAction(id=9, completeOrchestration=done)])


def new_trace(execution_id: str = "e1", *, is_sampled: bool = True) -> OrchestrationTrace:
    return OrchestrationTrace("i1", execution_id, is_sampled=lambda _: is_sampled)


def context_of(response: pb.OrchestratorResponse, number: int = 0) -> TraceContext:
    context = TraceContext.of(response.actions[number].scheduleTask.parentTraceContext)
    assert context is not None

    return context


def whole(trace: OrchestrationTrace) -> tuple[list[Span], Sequence[pb.OrchestratorResponse]]:
    """Two turns: an activity, and the end."""
    responses = asking(1), ending()
    spans = trace.follow([turn_at(1), started()]) + trace.answer(responses[0], 2 * SECOND)
    spans += trace.follow([turn_at(5), completed(1, 5)]) + trace.answer(responses[1], 6 * SECOND)

    return spans, responses


def test_the_wait_and_the_orchestration_are_made_when_they_end() -> None:
    (wait, own), responses = whole(new_trace())

    assert (wait.name, wait.kind, wait.start, wait.end) == ("activity:ship", Kind.CLIENT, 2 * SECOND, 5 * SECOND)
    assert (own.name, own.kind, own.start, own.end) == ("orchestration:order", Kind.SERVER, 1 * SECOND, 6 * SECOND)
    assert (own.parent, wait.parent) == (CLIENT, own.context)
    assert wait.context == context_of(responses[0]), "what went along with the question"
    assert {span.context.trace_id for span in (wait, own)} == {CLIENT.trace_id}


def test_a_turn_that_is_done_again_makes_the_same_spans() -> None:
    assert whole(new_trace()) == whole(new_trace())
    assert whole(new_trace())[0][1].context != whole(new_trace("e2"))[0][1].context


def test_another_worker_goes_on_with_what_the_history_has() -> None:
    spans, responses = whole(new_trace())
    scheduled = pb.TaskScheduledEvent(name="ship")
    context_of(responses[0]).write(scheduled.parentTraceContext)
    asked = event(2, taskScheduled=scheduled)
    asked.eventId = 1

    another = new_trace()
    another.begin(responses[0].orchestrationTraceContext)
    assert another.follow([turn_at(1), started(), asked]) == [], "replays make none"
    made = another.follow([turn_at(5), completed(1, 5)]) + another.answer(ending(), 6 * SECOND)
    assert made == spans


def test_what_the_engine_carries_needs_no_telling() -> None:
    trace, first, second, third = new_trace(), asking(1), asking(2), asking(3)
    trace.follow([turn_at(1), started()])
    trace.answer(first, 2 * SECOND)
    trace.follow([turn_at(3), completed(1, 3)])
    trace.answer(second, 4 * SECOND, is_carried=True)
    trace.follow([turn_at(5), completed(2, 5)])
    trace.answer(third, 6 * SECOND)

    assert not second.HasField("orchestrationTraceContext")
    assert first.orchestrationTraceContext == third.orchestrationTraceContext
    assert first.orchestrationTraceContext.spanStartTime.seconds == 1


@pytest.mark.parametrize("is_sampled", [True, False])
def test_a_trace_that_begins_here(is_sampled: bool) -> None:
    trace, response = new_trace(is_sampled=is_sampled), asking(1)
    trace.follow([turn_at(1), started(None)])
    trace.answer(response, 2 * SECOND)

    assert context_of(response).flags == is_sampled
    assert context_of(response).trace_id not in {0, CLIENT.trace_id}


def test_a_context_that_is_there_is_kept() -> None:
    trace, response = new_trace(), asking(1, 2)
    CLIENT.child(0x77).write(response.actions[0].scheduleTask.parentTraceContext)
    # Handed on by an SDK that makes no spans.
    CLIENT.write(response.actions[1].scheduleTask.parentTraceContext)
    trace.follow([turn_at(1), started()])
    trace.answer(response, 2 * SECOND)
    spans = trace.follow([turn_at(3), completed(1, 3), completed(2, 4)])

    assert spans[0].context.span_id == 0x77
    assert spans[1].context.span_id not in {0x77, CLIENT.span_id}


IDS = st.integers(1, (1 << 64) - 1)
TIMES = st.integers(0, 1 << 62)
NUMBERS = st.integers(0, 1 << 31)


@given(IDS, st.lists(st.tuples(TIMES, NUMBERS), min_size=2, max_size=50, unique=True))
def test_ids_differ(of: int, asked: list[tuple[int, int]]) -> None:
    made = {mixed_id(of, at, number) for at, number in asked}

    assert len(made) == len(asked)
    assert all(0 < each < 1 << 64 for each in made)


def test_ids_differ_where_times_and_numbers_are_near() -> None:
    made = {mixed_id(of, at * 1000, number) for of in range(1, 11) for at in range(100) for number in range(100)}

    assert len(made) == 100_000
