"""What workers answer, in few words: actions, and orchestrators that give the next of a list of them each turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from durabletask_backend.values import Micros, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events
from google.protobuf.wrappers_pb2 import StringValue

Answer: TypeAlias = pb.OrchestratorResponse | Iterable[pb.OrchestratorAction]
Orchestrator: TypeAlias = Callable[[pb.OrchestratorRequest], Answer]

CONTINUED_AS_NEW = pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW


def script(*turns: Answer) -> Orchestrator:
    """Answers the nth turn of a generation with the nth of `turns`, and every later one with nothing."""

    def orchestrator(request: pb.OrchestratorRequest) -> Answer:
        turn = sum(event.HasField("orchestratorStarted") for event in request.pastEvents)

        return turns[turn] if turn < len(turns) else ()

    return orchestrator


def activity(action_id: int, name: str = "work", value: str | None = None) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(
        id=action_id, scheduleTask=pb.ScheduleTaskAction(name=name, input=_text(value), tags={"kind": "task"})
    )


def timer(action_id: int, fire_at: Micros) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(id=action_id, createTimer=pb.CreateTimerAction(fireAt=events.timestamp(fire_at)))


def child(action_id: int, name: str, instance_id: str = "", value: str | None = None) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(
        id=action_id,
        createSubOrchestration=pb.CreateSubOrchestrationAction(name=name, instanceId=instance_id, input=_text(value)),
    )


def send(action_id: int, instance_id: str, name: str, data: str | None = None) -> pb.OrchestratorAction:
    target = pb.OrchestrationInstance(instanceId=instance_id)

    return pb.OrchestratorAction(
        id=action_id, sendEvent=pb.SendEventAction(instance=target, name=name, data=_text(data))
    )


def stop(action_id: int, instance_id: str, reason: str | None = None, recurse: bool = False) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(
        id=action_id,
        terminateOrchestration=pb.TerminateOrchestrationAction(
            instanceId=instance_id, reason=_text(reason), recurse=recurse
        ),
    )


def complete(
    action_id: int,
    result: str | None = None,
    status: RuntimeStatus = RuntimeStatus.COMPLETED,
    failure: pb.TaskFailureDetails | None = None,
) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(
        id=action_id,
        completeOrchestration=pb.CompleteOrchestrationAction(
            orchestrationStatus=status.value,  # type: ignore[arg-type]
            result=_text(result),
            failureDetails=failure,
        ),
    )


def fail(action_id: int, message: str) -> pb.OrchestratorAction:
    return complete(action_id, None, RuntimeStatus.FAILED, events.failure("Boom", message))


def continue_as_new(
    action_id: int, value: str | None = None, carry: Sequence[pb.HistoryEvent] = ()
) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(
        id=action_id,
        completeOrchestration=pb.CompleteOrchestrationAction(
            orchestrationStatus=CONTINUED_AS_NEW, result=_text(value), carryoverEvents=carry
        ),
    )


def raised(request: pb.OrchestratorRequest) -> list[pb.HistoryEvent]:
    """The external events that an orchestrator has seen, in order."""
    return [event for event in (*request.pastEvents, *request.newEvents) if event.HasField("eventRaised")]


def _text(value: str | None) -> StringValue | None:
    return None if value is None else StringValue(value=value)
