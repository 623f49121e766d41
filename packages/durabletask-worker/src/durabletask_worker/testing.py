"""For tests of orchestrator code: an orchestration that is told turn by turn, with the test in the place of server and activities.

story = Story(order, input=7)
story.turn()                               # the code asks for its first activity
story.turn(task_completed(1, "paid"))
assert story.output() == "shipped"
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from durabletask_client.failures import FailureDetails
from durabletask_client.models import OrchestrationStatus
from durabletask_client.serialization import DataConverter, JsonDataConverter
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.execution.host import Host
from durabletask_worker.execution.replay import replay
from durabletask_worker.nondeterminism.guard import guard
from durabletask_worker.registry import Registry

__all__ = [
    "Story",
    "child_completed",
    "child_failed",
    "event_raised",
    "resumed",
    "suspended",
    "task_completed",
    "task_failed",
    "terminated",
    "timer_fired",
]

_BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
_OUTSIDE = -1
"""The event id of whatever comes from outside."""


class Story:
    """One orchestration, with the history that it would have on a server.

    Args:
        orchestrator: The code.
        input: What it is started with.
        instance_id: Its id.
        execution_id: Its generation.
        version: Its version; None for none.
        parent_instance_id: The orchestration that started it; None for none.
        data_converter: Turns values into payloads and back; None for JSON.
    """

    def __init__(
        self,
        orchestrator: Callable[..., Any],
        input: object = None,
        *,
        instance_id: str = "instance",
        execution_id: str | None = "execution",
        version: str | None = None,
        parent_instance_id: str | None = None,
        data_converter: DataConverter | None = None,
    ) -> None:
        self.registry = Registry()
        self.converter = data_converter or JsonDataConverter()
        self.host = Host(registry=self.registry, converter=self.converter, guard=guard)
        """The worker, as the orchestration sees it; to be replaced to try another one."""
        self.instance_id = instance_id
        self.now = _BEGINNING
        """The time of the next turn."""
        self.history: list[pb.HistoryEvent] = []
        """What is committed."""
        self.turns: list[int] = []
        """Where each turn begins in the history."""
        self.response = pb.OrchestratorResponse()
        """The answer to the last turn."""
        self._started = _started(
            name=self.registry.add_orchestrator(orchestrator),
            payload=self.converter.serialize(input),
            instance_id=instance_id,
            execution_id=execution_id,
            version=version,
            parent_instance_id=parent_instance_id,
        )

    @property
    def actions(self) -> list[pb.OrchestratorAction]:
        """What the last turn asked for."""
        return list(self.response.actions)

    @property
    def completion(self) -> pb.CompleteOrchestrationAction | None:
        """How the last turn ended the orchestration; None if it did not."""
        last = self.response.actions[-1:]

        return last[0].completeOrchestration if last and last[0].HasField("completeOrchestration") else None

    @property
    def status(self) -> OrchestrationStatus:
        """Where the orchestration is."""
        if self.completion is None:
            return OrchestrationStatus.RUNNING

        return OrchestrationStatus(self.completion.orchestrationStatus)

    @property
    def failure(self) -> FailureDetails:
        """Why it failed.

        Raises:
            ValueError: It has not failed.
        """
        if self.completion is None or not self.completion.HasField("failureDetails"):
            raise ValueError(f"the orchestration has not failed; it is {self.status.name}")

        return FailureDetails.from_proto(self.completion.failureDetails)

    def output(self) -> Any:
        """Give the result.

        Returns:
            The value; of a continue-as-new, the next input.

        Raises:
            ValueError: It is not at its end, or has failed.
        """
        if self.completion is None or self.completion.HasField("failureDetails"):
            raise ValueError(f"the orchestration has no result; it is {self.status.name}: {self.completion}")

        return self.converter.deserialize(self.completion.result.value if self.completion.HasField("result") else None)

    def turn(self, *events: pb.HistoryEvent) -> pb.OrchestratorResponse:
        """Do a turn: replay the history with new events, and commit them with what the code asks for.

        A second passes from one turn to the next.

        Args:
            events: What has come from outside. The first turn has ExecutionStarted before them.

        Returns:
            The answer.
        """
        beginning = pb.HistoryEvent(eventId=_OUTSIDE, orchestratorStarted=pb.OrchestratorStartedEvent())
        new = [beginning, *([] if self.history else [self._started]), *events]

        for event in new:
            event.timestamp.FromDatetime(self.now)

        self.response = self.replay(self.history, new)
        self.turns.append(len(self.history))
        self.history += [*new, *(_confirmation(action, self.now) for action in self.response.actions)]
        self.now += timedelta(seconds=1)

        return self.response

    def replay(self, past: list[pb.HistoryEvent], new: list[pb.HistoryEvent]) -> pb.OrchestratorResponse:
        """Replay any events with the code, without a trace in the story.

        Args:
            past: What the history has.
            new: What is to be done now.

        Returns:
            The answer.
        """
        return replay(self.host, instance_id=self.instance_id, past_events=past, new_events=new)


def _started(
    *,
    name: str,
    payload: str | None,
    instance_id: str,
    execution_id: str | None,
    version: str | None,
    parent_instance_id: str | None,
) -> pb.HistoryEvent:
    event = pb.HistoryEvent(eventId=_OUTSIDE)
    started = event.executionStarted
    started.name = name
    started.orchestrationInstance.instanceId = instance_id

    if execution_id is not None:
        started.orchestrationInstance.executionId.value = execution_id

    if payload is not None:
        started.input.value = payload

    if version is not None:
        started.version.value = version

    if parent_instance_id is not None:
        started.parentInstance.orchestrationInstance.instanceId = parent_instance_id

    return event


def _confirmation(action: pb.OrchestratorAction, now: datetime) -> pb.HistoryEvent:
    """The event in which a server records an action."""
    event = pb.HistoryEvent(eventId=action.id)
    event.timestamp.FromDatetime(now)

    match action.WhichOneof("orchestratorActionType"):
        case "scheduleTask":
            task = action.scheduleTask
            event.taskScheduled.MergeFrom(
                pb.TaskScheduledEvent(
                    name=task.name, input=task.input if task.HasField("input") else None, tags=task.tags
                )
            )
        case "createTimer":
            event.timerCreated.fireAt.CopyFrom(action.createTimer.fireAt)
        case "createSubOrchestration":
            child = action.createSubOrchestration
            event.subOrchestrationInstanceCreated.MergeFrom(
                pb.SubOrchestrationInstanceCreatedEvent(
                    instanceId=child.instanceId, name=child.name, input=child.input if child.HasField("input") else None
                )
            )
        case "sendEvent":
            sent = action.sendEvent
            event.eventSent.MergeFrom(pb.EventSentEvent(instanceId=sent.instance.instanceId, name=sent.name))
        case _:
            complete = action.completeOrchestration
            event.executionCompleted.orchestrationStatus = complete.orchestrationStatus

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
