"""Events that come to an orchestration from outside, for tests to tell it."""

from __future__ import annotations

import json

from durabletask_protos import orchestrator_service_pb2 as pb

__all__ = [
    "child_completed",
    "child_failed",
    "entity_completed",
    "entity_failed",
    "event_raised",
    "locks_granted",
    "resumed",
    "suspended",
    "task_completed",
    "task_failed",
    "terminated",
    "timer_fired",
    "outside",
]

_OUTSIDE = -1
"""The event id of whatever comes from outside."""


def outside(event: pb.HistoryEvent) -> pb.HistoryEvent:
    """Mark an event as one that comes from outside, and confirms no action."""
    event.eventId = _OUTSIDE

    return event


def _payload(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def task_completed(task_id: int, result: object = None) -> pb.HistoryEvent:
    """An activity has given a result.

    Args:
        task_id: The number of the step that asked for it.
        result: What it gave, as plain JSON values.

    Returns:
        The event `TaskCompleted`.
    """
    event = pb.HistoryEvent(eventId=_OUTSIDE)
    event.taskCompleted.taskScheduledId = task_id
    payload = _payload(result)

    if payload is not None:
        event.taskCompleted.result.value = payload

    return event


def task_failed(
    task_id: int, message: str, *, error_type: str = "Error", is_non_retriable: bool = False
) -> pb.HistoryEvent:
    """An activity has failed.

    Args:
        task_id: The number of the step that asked for it.
        message: The error's text.
        error_type: The error's type.
        is_non_retriable: Whether retry policies give up.

    Returns:
        The event `TaskFailed`.
    """
    details = pb.TaskFailureDetails(errorMessage=message, errorType=error_type, isNonRetriable=is_non_retriable)

    return pb.HistoryEvent(
        eventId=_OUTSIDE, taskFailed=pb.TaskFailedEvent(taskScheduledId=task_id, failureDetails=details)
    )


def child_completed(task_id: int, result: object = None) -> pb.HistoryEvent:
    """A sub-orchestration has given a result.

    Args:
        task_id: The number of the step that asked for it.
        result: What it gave, as plain JSON values.

    Returns:
        The event `SubOrchestrationInstanceCompleted`.
    """
    event = pb.HistoryEvent(eventId=_OUTSIDE)
    event.subOrchestrationInstanceCompleted.taskScheduledId = task_id
    payload = _payload(result)

    if payload is not None:
        event.subOrchestrationInstanceCompleted.result.value = payload

    return event


def child_failed(
    task_id: int, message: str, *, error_type: str = "Error", is_non_retriable: bool = False
) -> pb.HistoryEvent:
    """A sub-orchestration has failed.

    Args:
        task_id: The number of the step that asked for it.
        message: The error's text.
        error_type: The error's type.
        is_non_retriable: Whether retry policies give up.

    Returns:
        The event `SubOrchestrationInstanceFailed`.
    """
    failed = task_failed(task_id, message, error_type=error_type, is_non_retriable=is_non_retriable).taskFailed

    return pb.HistoryEvent(
        eventId=_OUTSIDE,
        subOrchestrationInstanceFailed=pb.SubOrchestrationInstanceFailedEvent(
            taskScheduledId=task_id, failureDetails=failed.failureDetails
        ),
    )


def timer_fired(timer_id: int) -> pb.HistoryEvent:
    """A timer is due.

    Args:
        timer_id: The number of the step that asked for it.

    Returns:
        The event `TimerFired`.
    """
    return pb.HistoryEvent(eventId=_OUTSIDE, timerFired=pb.TimerFiredEvent(timerId=timer_id))


def event_raised(name: str, data: object = None) -> pb.HistoryEvent:
    """An external event has come.

    Args:
        name: The event's name.
        data: What goes with it, as plain JSON values.

    Returns:
        The event `EventRaised`.
    """
    event = pb.HistoryEvent(eventId=_OUTSIDE, eventRaised=pb.EventRaisedEvent(name=name))
    payload = _payload(data)

    if payload is not None:
        event.eventRaised.input.value = payload

    return event


def suspended() -> pb.HistoryEvent:
    """The orchestration is suspended: the event `ExecutionSuspended`."""
    return pb.HistoryEvent(eventId=_OUTSIDE, executionSuspended=pb.ExecutionSuspendedEvent())


def resumed() -> pb.HistoryEvent:
    """The orchestration is resumed: the event `ExecutionResumed`."""
    return pb.HistoryEvent(eventId=_OUTSIDE, executionResumed=pb.ExecutionResumedEvent())


def terminated(output: object = None) -> pb.HistoryEvent:
    """The orchestration is ended from outside.

    Args:
        output: What becomes its result, as plain JSON values.

    Returns:
        The event `ExecutionTerminated`.
    """
    event = pb.HistoryEvent(eventId=_OUTSIDE, executionTerminated=pb.ExecutionTerminatedEvent())
    payload = _payload(output)

    if payload is not None:
        event.executionTerminated.input.value = payload

    return event


def entity_completed(request_id: str, result: object = None) -> pb.HistoryEvent:
    """An entity has answered a call.

    Args:
        request_id: The request, as `Story.request_id` finds it.
        result: What it answered, as plain JSON values.

    Returns:
        The event `EntityOperationCompleted`.
    """
    event = pb.HistoryEvent(eventId=_OUTSIDE)
    event.entityOperationCompleted.requestId = request_id
    payload = _payload(result)

    if payload is not None:
        event.entityOperationCompleted.output.value = payload

    return event


def entity_failed(request_id: str, message: str, *, error_type: str = "Error") -> pb.HistoryEvent:
    """An entity has failed at a call.

    Args:
        request_id: The request, as `Story.request_id` finds it.
        message: The error's text.
        error_type: The error's type.

    Returns:
        The event `EntityOperationFailed`.
    """
    event = pb.HistoryEvent(eventId=_OUTSIDE)
    event.entityOperationFailed.requestId = request_id
    event.entityOperationFailed.failureDetails.errorMessage = message
    event.entityOperationFailed.failureDetails.errorType = error_type

    return event


def locks_granted(request_id: str) -> pb.HistoryEvent:
    """The locks of a critical section are there.

    Args:
        request_id: The section, as `Story.request_id` finds it.

    Returns:
        The event `EntityLockGranted`.
    """
    event = pb.HistoryEvent(eventId=_OUTSIDE)
    event.entityLockGranted.criticalSectionId = request_id

    return event
