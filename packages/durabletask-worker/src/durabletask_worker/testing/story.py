"""An orchestration that is told turn by turn, with the history that it would have on a server."""

from __future__ import annotations

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
from durabletask_worker.testing.events import outside

__all__ = ["Story", "confirmations"]

_BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)


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
        self.answers: list[pb.OrchestratorResponse] = []
        """The answer to each turn."""
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
        beginning = outside(pb.HistoryEvent(orchestratorStarted=pb.OrchestratorStartedEvent()))
        new = [beginning, *([] if self.history else [self._started]), *events]

        for event in new:
            event.timestamp.FromDatetime(self.now)

        self.response = self.replay(self.history, new)
        self.answers.append(self.response)
        self.turns.append(len(self.history))
        self.history += [*new, *confirmations(self.response, self.now)]
        self.now += timedelta(seconds=1)

        return self.response

    def request_id(self, step: int) -> str:
        """Find what the answer to a step goes by.

        Args:
            step: The number of a step that called an entity or asked for locks.

        Returns:
            The id of the request, or of the critical section.

        Raises:
            ValueError: The step did neither.
        """
        for event in self.history:
            if event.eventId == step and event.HasField("entityOperationCalled"):
                return event.entityOperationCalled.requestId

            if event.eventId == step and event.HasField("entityLockRequested"):
                return event.entityLockRequested.criticalSectionId

        raise ValueError(f"step {step} has neither called an entity nor asked for locks")

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
    event = outside(pb.HistoryEvent())
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


def confirmations(response: pb.OrchestratorResponse, now: datetime) -> list[pb.HistoryEvent]:
    """The events in which a server records an answer.

    Args:
        response: The answer.
        now: When it does.

    Returns:
        One for each action, but for terminations of others, which no event records.
    """
    return [_confirmation(action, now) for action in response.actions if not action.HasField("terminateOrchestration")]


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
                    instanceId=child.instanceId,
                    name=child.name,
                    version=child.version if child.HasField("version") else None,
                    input=child.input if child.HasField("input") else None,
                    tags=child.tags,
                )
            )
        case "sendEvent":
            sent = action.sendEvent
            event.eventSent.MergeFrom(
                pb.EventSentEvent(
                    instanceId=sent.instance.instanceId,
                    name=sent.name,
                    input=sent.data if sent.HasField("data") else None,
                )
            )
        case "sendEntityMessage":
            message = action.sendEntityMessage
            kind = message.WhichOneof("EntityMessageType")
            getattr(event, kind or "").CopyFrom(getattr(message, kind or ""))
        case _:
            complete = action.completeOrchestration
            event.executionCompleted.orchestrationStatus = complete.orchestrationStatus

    return event
