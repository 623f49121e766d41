"""From the protocol's messages to our values and back."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from durabletask_client import (
    FailureDetails,
    HistoryEvent,
    OrchestrationFailedError,
    OrchestrationState,
    OrchestrationStatus,
)
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import timestamp_pb2, wrappers_pb2

MOMENT = datetime(2026, 11, 24, 12, 30, 1, 5, tzinfo=UTC)


def text(value: str) -> wrappers_pb2.StringValue:
    return wrappers_pb2.StringValue(value=value)


def stamp(moment: datetime) -> timestamp_pb2.Timestamp:
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromDatetime(moment)

    return timestamp


def caught(error: Exception) -> Exception:
    """The error with a trace, as if somebody had raised and caught it."""
    try:
        raise error
    except type(error) as same:
        return same


def state(**fields: object) -> OrchestrationState:
    known: dict[str, object] = {
        "instanceId": "i",
        "name": "flow",
        "createdTimestamp": stamp(MOMENT),
        "lastUpdatedTimestamp": stamp(MOMENT),
    }

    return OrchestrationState.from_proto(pb.OrchestrationState(**(known | fields)))  # type: ignore[arg-type]


def test_statuses_have_the_numbers_of_the_protocol() -> None:
    theirs = {name.removeprefix("ORCHESTRATION_STATUS_"): number for name, number in pb.OrchestrationStatus.items()}

    assert {status.name: status.value for status in OrchestrationStatus} == theirs


def test_terminal_statuses() -> None:
    assert {status.name for status in OrchestrationStatus if status.is_terminal} == {
        "COMPLETED",
        "FAILED",
        "CANCELED",
        "TERMINATED",
    }


def test_failure_of_an_exception_has_its_chain() -> None:
    error = RuntimeError("outer")
    error.__cause__ = caught(KeyError("inner"))
    failure = FailureDetails.from_exception(caught(error), is_non_retriable=True)

    assert (failure.error_type, failure.message, failure.is_non_retriable) == ("builtins.RuntimeError", "outer", True)
    assert "caught" in (failure.stack_trace or "")
    assert failure.inner is not None
    assert (failure.inner.error_type, failure.inner.message) == ("builtins.KeyError", "'inner'")
    assert (failure.inner.is_non_retriable, failure.inner.inner) == (False, None)


def test_failure_does_not_take_its_context_for_its_cause() -> None:
    error = ValueError("outer")
    error.__context__ = ValueError("before")

    assert FailureDetails.from_exception(error).inner is None


def test_failure_of_what_stands_for_a_failure_elsewhere_has_that_inside() -> None:
    remote = FailureDetails(message="no disk", error_type="System.IO.IOException")

    assert FailureDetails.from_exception(OrchestrationFailedError("child", remote)).inner == remote


def test_endless_chains_of_causes_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    proto = FailureDetails.from_exception(first).to_proto()

    assert pb.TaskFailureDetails.FromString(proto.SerializeToString()) == proto


def test_failure_survives_the_wire() -> None:
    failure = FailureDetails(
        message="outer",
        error_type="t",
        stack_trace="",
        inner=FailureDetails(message="inner", error_type="u"),
        is_non_retriable=True,
        properties={"a": [1, {"b": None}], "c": "x", "d": True},
    )

    assert FailureDetails.from_proto(failure.to_proto()) == failure


def test_absent_and_empty_differ() -> None:
    absent, empty = state(), state(input=text(""), output=text(""), customStatus=text(""), version=text(""))

    assert (absent.serialized_input, absent.serialized_output, absent.serialized_custom_status) == (None, None, None)
    assert (empty.serialized_input, empty.serialized_output, empty.serialized_custom_status) == ("", "", "")
    assert (absent.version, empty.version) == (None, "")


def test_state_has_everything_of_the_message() -> None:
    found = state(
        version=text("1"),
        orchestrationStatus=pb.ORCHESTRATION_STATUS_TERMINATED,
        scheduledStartTimestamp=stamp(MOMENT + timedelta(seconds=1)),
        completedTimestamp=stamp(MOMENT + timedelta(seconds=2)),
        input=text("1"),
        output=text("[2]"),
        customStatus=text('"three"'),
        executionId=text("e"),
        parentInstanceId=text("p"),
        tags={"a": "b"},
    )

    assert found == OrchestrationState(
        instance_id="i",
        name="flow",
        version="1",
        runtime_status=OrchestrationStatus.TERMINATED,
        created_at=MOMENT,
        last_updated_at=MOMENT,
        completed_at=MOMENT + timedelta(seconds=2),
        scheduled_start_at=MOMENT + timedelta(seconds=1),
        serialized_input="1",
        serialized_output="[2]",
        serialized_custom_status='"three"',
        execution_id="e",
        parent_instance_id="p",
        tags={"a": "b"},
    )
    assert (found.get_input(int), found.get_output(list[int]), found.get_custom_status(str)) == (1, [2], "three")
    assert found.created_at.tzinfo is UTC


def test_only_failed_ones_raise() -> None:
    state(orchestrationStatus=pb.ORCHESTRATION_STATUS_TERMINATED).raise_if_failed()
    failure = FailureDetails(message="no disk", error_type="OSError")
    failed = state(orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=failure.to_proto())

    with pytest.raises(OrchestrationFailedError, match=r"'i' failed with OSError: no disk") as caught_error:
        failed.raise_if_failed()

    assert (caught_error.value.instance_id, caught_error.value.failure_details) == ("i", failure)

    with pytest.raises(OrchestrationFailedError):
        state(orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED).raise_if_failed()


def test_errors_can_be_pickled() -> None:
    error = OrchestrationFailedError("i", FailureDetails(message="m", error_type="t"))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert (str(again), again.failure_details) == (str(error), error.failure_details)


def test_history_event_shows_the_fields_of_its_kind() -> None:
    raw = pb.HistoryEvent(
        eventId=-1,
        timestamp=stamp(MOMENT),
        executionStarted=pb.ExecutionStartedEvent(
            name="flow",
            input=text("1"),
            orchestrationInstance=pb.OrchestrationInstance(instanceId="i", executionId=text("e")),
            scheduledStartTimestamp=stamp(MOMENT),
            tags={"a": "b"},
        ),
    )
    event = HistoryEvent.from_proto(raw)

    assert (event.event_id, event.timestamp, event.kind, event.raw) == (-1, MOMENT, "ExecutionStarted", raw)
    assert event.details == {
        "name": "flow",
        "version": None,
        "input": "1",
        "orchestrationInstance": {"instanceId": "i", "executionId": "e"},
        "parentInstance": None,
        "scheduledStartTimestamp": MOMENT,
        "parentTraceContext": None,
        "orchestrationSpanID": None,
        "tags": {"a": "b"},
    }


def test_history_event_shows_status_lists_and_properties() -> None:
    failure = FailureDetails(message="m", error_type="t", properties={"a": [1, None]})
    completed = HistoryEvent.from_proto(
        pb.HistoryEvent(
            executionCompleted=pb.ExecutionCompletedEvent(
                orchestrationStatus=pb.ORCHESTRATION_STATUS_FAILED, failureDetails=failure.to_proto()
            )
        )
    )
    locked = HistoryEvent.from_proto(
        pb.HistoryEvent(entityLockRequested=pb.EntityLockRequestedEvent(lockSet=["@a@1", "@b@2"]))
    )

    assert completed.details["orchestrationStatus"] is OrchestrationStatus.FAILED
    assert completed.details["failureDetails"] == {
        "errorType": "t",
        "errorMessage": "m",
        "stackTrace": None,
        "innerFailure": None,
        "isNonRetriable": False,
        "properties": {"a": [1, None]},
    }
    assert locked.details["lockSet"] == ["@a@1", "@b@2"]


def test_every_kind_of_history_event_can_be_read() -> None:
    oneof = pb.HistoryEvent.DESCRIPTOR.oneofs_by_name["eventType"]
    kinds = set()

    for each in oneof.fields:
        raw = pb.HistoryEvent(timestamp=stamp(MOMENT))
        getattr(raw, each.name).SetInParent()
        kinds.add(HistoryEvent.from_proto(raw).kind)

    assert len(kinds) == len(oneof.fields)
    assert "SubOrchestrationInstanceCreated" in kinds


def test_history_event_of_an_unknown_kind_is_kept() -> None:
    assert HistoryEvent.from_proto(pb.HistoryEvent(eventId=7, timestamp=stamp(MOMENT))).kind == ""


def test_times_of_any_zone_are_the_same_moment() -> None:
    there = MOMENT.astimezone(timezone(timedelta(hours=5)))

    assert state(createdTimestamp=stamp(there)).created_at == MOMENT
