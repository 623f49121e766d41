"""The history events that the engine makes, each stamped with the time it is given."""

from __future__ import annotations

from durabletask_backend.values import Micros, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

from durabletask_server.engine.framing import frame

# The years 1 to 9999, in microseconds.
_FIRST = -62_135_596_800_000_000
_LAST = 253_402_300_799_999_999

# A failure stands a few messages deep in a work item, and deeper with each parent that fails with it.
_LEVELS_ABOVE = 40
_INNER_FAILURE = 0x22

NO_ID = -1
"""The `eventId` of every event that confirms no action."""
LATEST: Micros = 253_402_300_799_999_999
"""The last moment the protocol can express, at the end of the year 9999."""


def timestamp(at: Micros) -> Timestamp:
    """A time as the protocol carries it."""
    seconds, micros = divmod(at, 1_000_000)

    return Timestamp(seconds=seconds, nanos=micros * 1000)


def micros(stamp: Timestamp) -> Micros:
    """A protocol time, rounded up, so that nothing is early, and brought between 1970 and `LATEST`."""
    return min(max(stamp.seconds * 1_000_000 + -(-stamp.nanos // 1000), 0), LATEST)


def text(value: str | None) -> StringValue | None:
    """A string as the protocol carries it: absent is None, present and empty is empty."""
    return None if value is None else StringValue(value=value)


def optional(message: object, field: str) -> str | None:
    """The value of a `StringValue` field: None where it is absent."""
    return getattr(message, field).value if message.HasField(field) else None  # type: ignore[attr-defined]


def due(message: object, field: str, now: Micros) -> Micros | None:
    """The time in a `Timestamp` field, if it is there and still to come."""
    if not message.HasField(field):  # type: ignore[attr-defined]
        return None

    at = micros(getattr(message, field))

    return at if at > now else None


def orchestrator_started(at: Micros) -> pb.HistoryEvent:
    """Heads every turn; its time is what the orchestrator's code sees as now."""
    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), orchestratorStarted=pb.OrchestratorStartedEvent())


def execution_completed(
    at: Micros, event_id: int, status: RuntimeStatus, result: str | None, failure: pb.TaskFailureDetails | None
) -> pb.HistoryEvent:
    """Ends a history."""
    completed = pb.ExecutionCompletedEvent(
        orchestrationStatus=status.value,  # type: ignore[arg-type]
        result=text(result),
        failureDetails=failure,
    )

    return pb.HistoryEvent(eventId=event_id, timestamp=timestamp(at), executionCompleted=completed)


def execution_terminated(at: Micros, output: str | None, recurse: bool) -> pb.HistoryEvent:
    """Asks an instance to end at once."""
    terminated = pb.ExecutionTerminatedEvent(input=text(output), recurse=recurse)

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), executionTerminated=terminated)


def execution_suspended(at: Micros, reason: str | None) -> pb.HistoryEvent:
    """Asks an instance to pause."""
    suspended = pb.ExecutionSuspendedEvent(input=text(reason))

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), executionSuspended=suspended)


def execution_resumed(at: Micros, reason: str | None) -> pb.HistoryEvent:
    """Asks a paused instance to go on."""
    resumed = pb.ExecutionResumedEvent(input=text(reason))

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), executionResumed=resumed)


def event_raised(at: Micros, name: str, data: str | None) -> pb.HistoryEvent:
    """An external event, whoever sent it."""
    raised = pb.EventRaisedEvent(name=name, input=text(data))

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), eventRaised=raised)


def task_completed(at: Micros, task_id: int, result: str | None) -> pb.HistoryEvent:
    """An activity's result."""
    completed = pb.TaskCompletedEvent(taskScheduledId=task_id, result=text(result))

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), taskCompleted=completed)


def task_failed(at: Micros, task_id: int, failure: pb.TaskFailureDetails) -> pb.HistoryEvent:
    """An activity's failure."""
    failed = pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=failure)

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), taskFailed=failed)


def timer_fired(timer_id: int, fire_at: Micros) -> pb.HistoryEvent:
    """A timer that ran out. The turn that takes it stamps it."""
    fired = pb.TimerFiredEvent(timerId=timer_id, fireAt=timestamp(fire_at))

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(fire_at), timerFired=fired)


def child_completed(at: Micros, task_id: int, result: str | None) -> pb.HistoryEvent:
    """A sub-orchestration's result, for its parent."""
    completed = pb.SubOrchestrationInstanceCompletedEvent(taskScheduledId=task_id, result=text(result))

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), subOrchestrationInstanceCompleted=completed)


def child_failed(at: Micros, task_id: int, failure: pb.TaskFailureDetails) -> pb.HistoryEvent:
    """A sub-orchestration's failure, for its parent."""
    failed = pb.SubOrchestrationInstanceFailedEvent(taskScheduledId=task_id, failureDetails=failure)

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), subOrchestrationInstanceFailed=failed)


def operation_signaled(
    at: Micros, entity_id: str, operation: str, data: str | None, request_id: str, due: Micros | None
) -> pb.HistoryEvent:
    """An operation that nobody waits for, as an entity gets it."""
    signaled = pb.EntityOperationSignaledEvent(
        requestId=request_id,
        operation=operation,
        scheduledTime=None if due is None else timestamp(due),
        input=text(data),
        targetInstanceId=text(entity_id),
    )

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), entityOperationSignaled=signaled)


def operation_completed(at: Micros, request_id: str, output: str | None) -> pb.HistoryEvent:
    """The result of an entity's operation, for its caller."""
    completed = pb.EntityOperationCompletedEvent(requestId=request_id, output=text(output))

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), entityOperationCompleted=completed)


def operation_failed(at: Micros, request_id: str, failure: pb.TaskFailureDetails) -> pb.HistoryEvent:
    """The failure of an entity's operation, for its caller."""
    failed = pb.EntityOperationFailedEvent(requestId=request_id, failureDetails=failure)

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), entityOperationFailed=failed)


def lock_granted(at: Micros, section_id: str) -> pb.HistoryEvent:
    """All entities of a critical section are locked for it."""
    granted = pb.EntityLockGrantedEvent(criticalSectionId=section_id)

    return pb.HistoryEvent(eventId=NO_ID, timestamp=timestamp(at), entityLockGranted=granted)


def failure(error_type: str, message: str, *, non_retriable: bool = False) -> pb.TaskFailureDetails:
    """A failure that the engine itself reports."""
    return pb.TaskFailureDetails(errorType=error_type, errorMessage=message, isNonRetriable=non_retriable)


def bounded(failure: pb.TaskFailureDetails) -> pb.TaskFailureDetails:
    """The failure, without what it holds inside if that is nested more deeply than every reader of a history takes."""
    if not failure.HasField("innerFailure") and not failure.properties:
        return failure

    nested = failure.SerializeToString()

    for _ in range(_LEVELS_ABOVE):
        nested = frame(_INNER_FAILURE, nested)

    try:
        pb.TaskFailureDetails.FromString(nested)
    except DecodeError:
        return pb.TaskFailureDetails(
            errorType=failure.errorType,
            errorMessage=failure.errorMessage,
            stackTrace=failure.stackTrace if failure.HasField("stackTrace") else None,
            isNonRetriable=failure.isNonRetriable,
        )

    return failure
