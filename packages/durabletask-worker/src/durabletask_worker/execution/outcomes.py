"""What events tell of an orchestration and its actions: each is recorded, and many have a result or a failure in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.execution.state import State

__all__ = ["CONFIRMATIONS", "OUTCOMES"]


def _confirmed(state: State, event: pb.HistoryEvent) -> None:
    state.schedule.confirm(event, state.waiting_line, state)


def _raised(state: State, event: pb.HistoryEvent) -> None:
    state.mailbox.deliver(event)


def _task_completed(state: State, event: pb.HistoryEvent) -> None:
    _result(state, event.taskCompleted)


def _child_completed(state: State, event: pb.HistoryEvent) -> None:
    _result(state, event.subOrchestrationInstanceCompleted)


def _result(state: State, completed: pb.TaskCompletedEvent | pb.SubOrchestrationInstanceCompletedEvent) -> None:
    payload = completed.result.value if completed.HasField("result") else None

    if not state.schedule.succeeded(completed.taskScheduledId, payload):
        _pass_over(state, "result", completed.taskScheduledId)


def _task_failed(state: State, event: pb.HistoryEvent) -> None:
    _failure(state, event.taskFailed)


def _child_failed(state: State, event: pb.HistoryEvent) -> None:
    _failure(state, event.subOrchestrationInstanceFailed)


def _failure(state: State, failed: pb.TaskFailedEvent | pb.SubOrchestrationInstanceFailedEvent) -> None:
    if not state.schedule.failed(failed.taskScheduledId, failed.failureDetails):
        _pass_over(state, "failure", failed.taskScheduledId)


def _fired(state: State, event: pb.HistoryEvent) -> None:
    if not state.schedule.fired(event.timerFired.timerId):
        _pass_over(state, "timer", event.timerFired.timerId)


def _entity_completed(state: State, event: pb.HistoryEvent) -> None:
    completed = event.entityOperationCompleted
    payload = completed.output.value if completed.HasField("output") else None

    if not state.sections.completed(completed.requestId, payload):
        _pass_over(state, "result", completed.requestId)


def _entity_failed(state: State, event: pb.HistoryEvent) -> None:
    failed = event.entityOperationFailed

    if not state.sections.failed(failed.requestId, failed.failureDetails):
        _pass_over(state, "failure", failed.requestId)


def _granted(state: State, event: pb.HistoryEvent) -> None:
    section_id = event.entityLockGranted.criticalSectionId

    if not state.sections.granted(section_id):
        _pass_over(state, "lock", section_id)


def _pass_over(state: State, what: str, step: int | str) -> None:
    # Answered already, or of a wait that was given up.
    state.host.logger.debug("%s: a %s for step %s, which is not open, has no effect", state, what, step)


OUTCOMES: Mapping[str | None, Callable[[State, pb.HistoryEvent], None]] = {
    "orchestratorStarted": State.begin_turn,
    "taskScheduled": _confirmed,
    "taskCompleted": _task_completed,
    "taskFailed": _task_failed,
    "timerCreated": _confirmed,
    "timerFired": _fired,
    "subOrchestrationInstanceCreated": _confirmed,
    "subOrchestrationInstanceCompleted": _child_completed,
    "subOrchestrationInstanceFailed": _child_failed,
    "eventSent": _confirmed,
    "eventRaised": _raised,
    "entityOperationCalled": _confirmed,
    "entityOperationSignaled": _confirmed,
    "entityOperationCompleted": _entity_completed,
    "entityOperationFailed": _entity_failed,
    "entityLockRequested": _confirmed,
    "entityLockGranted": _granted,
    "entityUnlockSent": _confirmed,
}
"""What each kind of event does to the state. Code that can go on then is ready, and has not run yet."""

CONFIRMATIONS = frozenset(kind for kind, tell in OUTCOMES.items() if tell is _confirmed)
"""What records that code did something."""
