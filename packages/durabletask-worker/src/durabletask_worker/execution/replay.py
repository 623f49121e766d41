"""Replays an orchestration: from past and new events to the `OrchestratorResponse` that follows.

Pure: it does no I/O, and what it knows of time and ids comes from the events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from durabletask_client.models import FailureDetails, OrchestrationStatus
from durabletask_client.serialization import DataConverter
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.context import OrchestrationContext
from durabletask_worker.errors import NonDeterminismError, OrchestratorNotRegisteredError
from durabletask_worker.execution.actions import CreateTimer
from durabletask_worker.execution.driver import Driver
from durabletask_worker.execution.state import State
from durabletask_worker.registry import Registry

__all__ = ["Execution", "replay"]

_NOT_HELD = frozenset({"orchestratorStarted", "executionSuspended", "executionResumed", "executionTerminated"})
"""What takes effect while the orchestration is suspended. The time goes on, so that it is right when the rest is let in."""

_FRAMEWORK_ID = -1
"""The action id of a completion that the code had no part in; its own count may be wrong then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Completion:
    """How an orchestration ends."""

    status: OrchestrationStatus
    result: str | None = None
    failure: FailureDetails | None = None
    counts: bool = True
    """Whether it is the code's doing, and one of its actions."""
    keeps_actions: bool = True
    """Whether what the code asked for before is done nevertheless."""
    saves_events: bool = False
    """Whether unread external events go on to the next generation."""


class Execution:
    """One orchestration in memory.

    Args:
        instance_id: The orchestration.
        execution_id: Its generation, as the work item has it.
        registry: Where its code is.
        converter: Turns values into payloads and back.
        logger: Where oddities go.
    """

    def __init__(
        self,
        *,
        instance_id: str,
        execution_id: str | None,
        registry: Registry,
        converter: DataConverter,
        logger: logging.Logger,
    ) -> None:
        self._state = State(instance_id, execution_id, converter)
        self._registry = registry
        self._logger = logger
        self._driver: Driver | None = None
        self._held: list[pb.HistoryEvent] = []
        self._completion: _Completion | None = None

    def advance(
        self, past_events: Iterable[pb.HistoryEvent], new_events: Iterable[pb.HistoryEvent]
    ) -> pb.OrchestratorResponse:
        """Run the code through events.

        Args:
            past_events: What the history has.
            new_events: What is to be done now.

        Returns:
            The actions and the custom status that follow; whatever the code raised is in them. It has no completion token yet.
        """
        try:
            self._state.is_replaying = True

            for event in past_events:
                self._apply(event)

            self._state.is_replaying = False

            for event in new_events:
                self._apply(event)

            if self._driver is None and self._completion is None:
                raise NonDeterminismError(
                    f"the history of {self._state.instance_id!r} does not begin with ExecutionStarted"
                )
        except NonDeterminismError as error:
            self._fail(error)

        return self._response()

    def close(self) -> None:
        """Unload code that has not returned. What it does while it unwinds has no effect."""
        self._state.is_closed = True
        self._state.is_replaying = True

        try:
            if self._driver is not None:
                self._driver.close()
        except BaseException as error:  # noqa: BLE001 - the user's `finally` and `except` may raise anything
            self._logger.debug("%s raised %r while it was unloaded", self._state, error)

    def _apply(self, event: pb.HistoryEvent) -> None:
        kind = event.WhichOneof("eventType")

        if self._completion is not None:
            # It is over; but unread external events may go on to the next generation.
            if kind == "eventRaised":
                self._state.mailbox.deliver(event)

            return

        if self._state.is_suspended and kind not in _NOT_HELD:
            self._held.append(event)

            return

        handle = self._handlers.get(kind or "")

        if handle is None:
            self._logger.debug("%s: an event of kind %s has no effect", self._state, kind)

            return

        handle(self, event)

        if self._driver is not None and self._driver.is_ready:
            self._run(self._driver.run)

    def _run(self, step: Callable[[], None]) -> None:
        """Let the code take a step, and see whether it is at its end."""
        driver, state = self._driver, self._state

        try:
            step()

            if state.continuation is not None:
                self._complete(
                    _Completion(
                        status=OrchestrationStatus.CONTINUED_AS_NEW,
                        result=state.continuation.input,
                        saves_events=state.continuation.save_events,
                    )
                )
            elif driver is not None and driver.has_returned:
                result = state.converter.serialize(driver.result)
                self._complete(_Completion(status=OrchestrationStatus.COMPLETED, result=result))
        except KeyboardInterrupt:
            # Meant for the process; the server hands the turn out again.
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the code raises is its failure
            self._fail(error)

    def _complete(self, completion: _Completion) -> None:
        if self._completion is None:
            self._completion = completion
            self._state.mailbox.close()

    def _fail(self, error: BaseException) -> None:
        broken = isinstance(error, NonDeterminismError)

        self._complete(
            _Completion(
                status=OrchestrationStatus.FAILED,
                failure=FailureDetails.from_exception(error),
                counts=not broken,
                keeps_actions=not broken,
            )
        )

    def _response(self) -> pb.OrchestratorResponse:
        state, completion = self._state, self._completion
        response = pb.OrchestratorResponse(instanceId=state.instance_id)

        if state.custom_status is not None:
            response.customStatus.value = state.custom_status

        if completion is None:
            for action in () if state.is_suspended else state.schedule.unconfirmed:
                action.write(response.actions.add())

            return response

        if completion.keeps_actions:
            for action in state.schedule.unconfirmed:
                # Nobody is left for whom a timer could fire.
                if not isinstance(action, CreateTimer):
                    action.write(response.actions.add())

        self._write_completion(completion, response.actions.add())

        return response

    def _write_completion(self, completion: _Completion, action: pb.OrchestratorAction) -> None:
        action.id = self._state.schedule.next_id() if completion.counts else _FRAMEWORK_ID
        complete = action.completeOrchestration
        complete.orchestrationStatus = pb.OrchestrationStatus.ValueType(completion.status.value)

        if completion.result is not None:
            complete.result.value = completion.result

        if completion.failure is not None:
            complete.failureDetails.CopyFrom(completion.failure.to_proto())

        if completion.saves_events:
            complete.carryoverEvents.extend(self._state.mailbox.unread())

    def _on_started(self, event: pb.HistoryEvent) -> None:
        if self._driver is not None:
            self._logger.debug("%s: a second ExecutionStarted has no effect", self._state)

            return

        started, state = event.executionStarted, self._state
        instance = started.orchestrationInstance

        if instance.HasField("executionId"):
            state.execution_id = instance.executionId.value

        state.name = started.name
        state.version = started.version.value if started.HasField("version") else None
        state.parent_instance_id = (
            started.parentInstance.orchestrationInstance.instanceId if started.HasField("parentInstance") else None
        )

        found = self._registry.find_orchestrator(started.name)

        if found is None:
            self._complete(
                _Completion(
                    status=OrchestrationStatus.FAILED,
                    failure=OrchestratorNotRegisteredError(started.name).details,
                    counts=False,
                )
            )

            return

        self._driver = driver = Driver(str(state))
        payload = started.input.value if started.HasField("input") else None

        def begin() -> None:
            context = OrchestrationContext(state)
            driver.start(found.function, found.signature.arguments(context, payload, state.converter))

        self._run(begin)

    def _on_turn(self, event: pb.HistoryEvent) -> None:
        self._state.set_time(event.timestamp)

    def _on_terminated(self, event: pb.HistoryEvent) -> None:
        terminated = event.executionTerminated

        self._complete(
            _Completion(
                status=OrchestrationStatus.TERMINATED,
                result=terminated.input.value if terminated.HasField("input") else None,
                keeps_actions=False,
            )
        )

    def _on_suspended(self, event: pb.HistoryEvent) -> None:
        self._state.is_suspended = True

    def _on_resumed(self, event: pb.HistoryEvent) -> None:
        self._state.is_suspended = False
        held, self._held = self._held, []

        for waiting in held:
            self._apply(waiting)

    def _on_confirmed(self, event: pb.HistoryEvent) -> None:
        self._state.schedule.confirm(event, self._state)

    def _on_raised(self, event: pb.HistoryEvent) -> None:
        self._state.mailbox.deliver(event)

    def _on_task_completed(self, event: pb.HistoryEvent) -> None:
        completed = event.taskCompleted
        self._on_result(completed.taskScheduledId, completed.result.value if completed.HasField("result") else None)

    def _on_child_completed(self, event: pb.HistoryEvent) -> None:
        completed = event.subOrchestrationInstanceCompleted
        self._on_result(completed.taskScheduledId, completed.result.value if completed.HasField("result") else None)

    def _on_result(self, action_id: int, payload: str | None) -> None:
        self._note(self._state.schedule.succeeded(action_id, payload), "result", action_id)

    def _on_task_failed(self, event: pb.HistoryEvent) -> None:
        failed = event.taskFailed
        known = self._state.schedule.failed(failed.taskScheduledId, failed.failureDetails)
        self._note(known, "failure", failed.taskScheduledId)

    def _on_child_failed(self, event: pb.HistoryEvent) -> None:
        failed = event.subOrchestrationInstanceFailed
        known = self._state.schedule.failed(failed.taskScheduledId, failed.failureDetails)
        self._note(known, "failure", failed.taskScheduledId)

    def _on_fired(self, event: pb.HistoryEvent) -> None:
        timer_id = event.timerFired.timerId
        self._note(self._state.schedule.fired(timer_id), "timer", timer_id)

    def _note(self, known: bool, what: str, action_id: int) -> None:
        # Answered already, or of a wait that was given up.
        if not known:
            self._logger.debug("%s: a %s for step %d, which is not open, has no effect", self._state, what, action_id)

    _handlers: ClassVar[Mapping[str, Callable[[Execution, pb.HistoryEvent], None]]] = {
        "orchestratorStarted": _on_turn,
        "executionStarted": _on_started,
        "executionTerminated": _on_terminated,
        "executionSuspended": _on_suspended,
        "executionResumed": _on_resumed,
        "taskScheduled": _on_confirmed,
        "subOrchestrationInstanceCreated": _on_confirmed,
        "timerCreated": _on_confirmed,
        "eventSent": _on_confirmed,
        "taskCompleted": _on_task_completed,
        "taskFailed": _on_task_failed,
        "subOrchestrationInstanceCompleted": _on_child_completed,
        "subOrchestrationInstanceFailed": _on_child_failed,
        "timerFired": _on_fired,
        "eventRaised": _on_raised,
    }


def replay(
    *,
    instance_id: str,
    registry: Registry,
    converter: DataConverter,
    logger: logging.Logger,
    past_events: Iterable[pb.HistoryEvent],
    new_events: Iterable[pb.HistoryEvent],
    execution_id: str | None = None,
) -> pb.OrchestratorResponse:
    """Replay an orchestration once, from its whole history.

    Args:
        instance_id: The orchestration.
        registry: Where its code is.
        converter: Turns values into payloads and back.
        logger: Where oddities go.
        past_events: What the history has.
        new_events: What is to be done now.
        execution_id: Its generation, as the work item has it.

    Returns:
        See `Execution.advance`.
    """
    execution = Execution(
        instance_id=instance_id, execution_id=execution_id, registry=registry, converter=converter, logger=logger
    )

    try:
        return execution.advance(past_events, new_events)
    finally:
        execution.close()
