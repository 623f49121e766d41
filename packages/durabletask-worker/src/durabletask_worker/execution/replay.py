"""Replays an orchestration: from past and new events to the `OrchestratorResponse` that follows.

Pure: it does no I/O, and what it knows of time and ids comes from the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from durabletask_client.models import OrchestrationStatus
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker._failures import wire_failure
from durabletask_worker.context import OrchestrationContext
from durabletask_worker.errors import NonDeterminismError, OrchestratorNotRegisteredError
from durabletask_worker.execution.actions import CreateTimer
from durabletask_worker.execution.completion import FRAMEWORK_ID, Completion
from durabletask_worker.execution.determinism import waiting_line
from durabletask_worker.execution.host import Host
from durabletask_worker.execution.state import State

__all__ = ["Execution", "replay"]

_NOT_HELD = frozenset({"orchestratorStarted", "executionSuspended", "executionResumed", "executionTerminated"})
"""What takes effect while the orchestration is suspended. The time goes on, so that it is right when the rest is let in."""


class Execution:
    """One orchestration in memory. `advance` takes it through its first turn or its history, and then from turn to turn.

    Args:
        host: The worker that hosts it.
        instance_id: The orchestration.
        execution_id: Its generation, as the work item has it.
    """

    def __init__(self, host: Host, *, instance_id: str, execution_id: str | None = None) -> None:
        self._host = host
        self._state = State(instance_id, execution_id, host)
        self._function: Callable[..., Any] | None = None
        self._held: list[pb.HistoryEvent] = []
        self._completion: Completion | None = None
        self._has_sent = False

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to do: the last answer ended the orchestration, or its generation."""
        return self._completion is not None

    def advance(
        self, past_events: Sequence[pb.HistoryEvent], new_events: Iterable[pb.HistoryEvent]
    ) -> pb.OrchestratorResponse:
        """Run the code through events.

        Args:
            past_events: What the history has, as far as this execution has not seen it. With the second call and later ones,
                the history has the actions of the answer before; none of the events is seen again.
            new_events: What is to be done now.

        Returns:
            The actions and the custom status that follow; whatever the code raised is in them. It has no completion token yet.
        """
        state = self._state

        if self._has_sent:
            state.schedule.confirm_all()

        try:
            state.is_replaying = True
            state.past_events = past_events

            for event in past_events:
                self._apply(event)

            state.is_replaying = False

            for event in new_events:
                self._apply(event)

            if state.fibers.main is None and self._completion is None:
                raise NonDeterminismError(f"the history of {state.instance_id!r} does not begin with ExecutionStarted")
        except NonDeterminismError as error:
            self._fail(error)
        finally:
            state.past_events = ()

        return self._response()

    def close(self) -> None:
        """Unload code that has not returned. What it does while it unwinds has no effect."""
        self._state.is_closed = True
        self._state.is_replaying = True

        try:
            self._state.fibers.close()
        except BaseException as error:  # noqa: BLE001 - the user's `finally` and `except` may raise anything
            self._host.logger.debug("%s raised %r while it was unloaded", self._state, error)

    def _apply(self, event: pb.HistoryEvent) -> None:
        kind = event.WhichOneof("eventType")
        state = self._state

        if self._completion is not None:
            # It is over; but unread external events may go on to the next generation.
            if kind == "eventRaised":
                state.mailbox.deliver(event)

            return

        if state.is_suspended and kind not in _NOT_HELD:
            self._held.append(event)

            return

        handle = self._handlers.get(kind or "")

        if handle is None:
            self._host.logger.debug("%s: an event of kind %s has no effect", state, kind)

            return

        handle(self, event)

        if state.fibers.ready:
            self._run(state.fibers.run)

    def _run(self, step: Callable[[], None]) -> None:
        """Let the code take a step, and see whether it is at its end."""
        state, guard = self._state, self._host.guard

        try:
            if guard is None or state.is_replaying or self._function is None:
                step()
            else:
                with guard(self._function):
                    step()
        except KeyboardInterrupt:
            # Meant for the process; the server hands the turn out again.
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the code raises is its failure
            self._fail(error)

            return

        if state.continuation is not None and self._completion is None:
            self._complete(
                Completion(
                    status=OrchestrationStatus.CONTINUED_AS_NEW,
                    result=state.continuation.input,
                    saves_events=state.continuation.save_events,
                    version=state.continuation.version,
                )
            )

    def _returned(self, result: object, error: BaseException | None) -> None:
        """Take note of the end of the orchestrator's own code."""
        if error is not None:
            raise error

        if self._state.continuation is None:
            payload = self._state.converter.serialize(result)
            self._complete(Completion(status=OrchestrationStatus.COMPLETED, result=payload))

    def _complete(self, completion: Completion) -> None:
        if self._completion is None:
            self._completion = completion
            self._state.mailbox.close()

            if completion.keeps_actions:
                self._state.sections.close()

    def _fail(self, error: BaseException) -> None:
        broken = isinstance(error, NonDeterminismError)

        if broken:
            # Whatever the code made of it before.
            self._completion = None

        self._complete(
            Completion(
                status=OrchestrationStatus.FAILED,
                failure=wire_failure(self._host, error),
                counts=not broken,
                keeps_actions=not broken,
            )
        )

    def _response(self) -> pb.OrchestratorResponse:
        state, completion = self._state, self._completion
        response = pb.OrchestratorResponse(instanceId=state.instance_id)

        if state.custom_status is not None:
            response.customStatus.value = state.custom_status

        self._has_sent = not state.is_suspended

        if completion is None:
            for action in () if state.is_suspended else state.schedule.unconfirmed:
                action.write(response.actions.add())

            return response

        if completion.keeps_actions:
            for action in state.schedule.unconfirmed:
                # Nobody is left for whom a timer could fire.
                if not isinstance(action, CreateTimer):
                    action.write(response.actions.add())

        last = response.actions.add(id=state.schedule.next_id() if completion.counts else FRAMEWORK_ID)
        completion.write(last, state.mailbox.unread())

        return response

    def _on_started(self, event: pb.HistoryEvent) -> None:
        host, state, started = self._host, self._state, event.executionStarted

        if state.fibers.main is not None:
            host.logger.debug("%s: a second ExecutionStarted has no effect", state)

            return

        instance = started.orchestrationInstance

        if instance.HasField("executionId"):
            state.execution_id = instance.executionId.value

        state.name = started.name
        state.version = started.version.value if started.HasField("version") else None
        state.tags = dict(started.tags)
        state.parent_instance_id = (
            started.parentInstance.orchestrationInstance.instanceId if started.HasField("parentInstance") else None
        )
        state.fibers.orchestration = str(state)

        found = host.registry.find_orchestrator(started.name, state.version)

        if found is None:
            self._complete(
                Completion(
                    status=OrchestrationStatus.FAILED,
                    failure=OrchestratorNotRegisteredError(started.name).details.to_proto(),
                    counts=False,
                )
            )

            return

        self._function = found.function
        payload = started.input.value if started.HasField("input") else None
        context = OrchestrationContext(state)
        self._run(lambda: state.fibers.begin(lambda: host.call(found, context, payload), self._returned))

    def _on_turn(self, event: pb.HistoryEvent) -> None:
        self._state.set_time(event.timestamp)

        if not self._state.is_suspended:
            self._state.schedule.begin_turn()

    def _on_terminated(self, event: pb.HistoryEvent) -> None:
        terminated = event.executionTerminated

        self._complete(
            Completion(
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
        self._state.schedule.confirm(event, self._waiting_line, self._state)

    def _waiting_line(self) -> str | None:
        main = self._state.fibers.main

        return None if main is None else waiting_line(main.started)

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

    def _on_entity_completed(self, event: pb.HistoryEvent) -> None:
        completed = event.entityOperationCompleted
        payload = completed.output.value if completed.HasField("output") else None
        self._note(self._state.sections.completed(completed.requestId, payload), "result", completed.requestId)

    def _on_entity_failed(self, event: pb.HistoryEvent) -> None:
        failed = event.entityOperationFailed
        known = self._state.sections.failed(failed.requestId, failed.failureDetails)
        self._note(known, "failure", failed.requestId)

    def _on_granted(self, event: pb.HistoryEvent) -> None:
        section_id = event.entityLockGranted.criticalSectionId
        self._note(self._state.sections.granted(section_id), "lock", section_id)

    def _note(self, known: bool, what: str, action_id: int | str) -> None:
        # Answered already, or of a wait that was given up.
        if not known:
            self._host.logger.debug(
                "%s: a %s for step %s, which is not open, has no effect", self._state, what, action_id
            )

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
        "entityOperationCalled": _on_confirmed,
        "entityOperationSignaled": _on_confirmed,
        "entityLockRequested": _on_confirmed,
        "entityUnlockSent": _on_confirmed,
        "entityOperationCompleted": _on_entity_completed,
        "entityOperationFailed": _on_entity_failed,
        "entityLockGranted": _on_granted,
        "taskCompleted": _on_task_completed,
        "taskFailed": _on_task_failed,
        "subOrchestrationInstanceCompleted": _on_child_completed,
        "subOrchestrationInstanceFailed": _on_child_failed,
        "timerFired": _on_fired,
        "eventRaised": _on_raised,
    }


def replay(
    host: Host,
    *,
    instance_id: str,
    past_events: Sequence[pb.HistoryEvent],
    new_events: Iterable[pb.HistoryEvent],
    execution_id: str | None = None,
) -> pb.OrchestratorResponse:
    """Replay an orchestration once, from its whole history.

    Args:
        host: The worker that hosts it.
        instance_id: The orchestration.
        past_events: What the history has.
        new_events: What is to be done now.
        execution_id: Its generation, as the work item has it.

    Returns:
        See `Execution.advance`.
    """
    execution = Execution(host, instance_id=instance_id, execution_id=execution_id)

    try:
        return execution.advance(past_events, new_events)
    finally:
        execution.close()
