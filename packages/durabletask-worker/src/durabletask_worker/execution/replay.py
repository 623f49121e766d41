"""Replays an orchestration: from past and new events to the `OrchestratorResponse` that follows.

Pure: it does no I/O, and what it knows of time and ids comes from the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from durabletask_client.models import OrchestrationStatus
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker._failures import wire_failure
from durabletask_worker.context import OrchestrationContext
from durabletask_worker.errors import NonDeterminismError
from durabletask_worker.execution.actions import Action, CreateTimer
from durabletask_worker.execution.completion import FRAMEWORK_ID, Completion
from durabletask_worker.execution.host import Host
from durabletask_worker.execution.outcomes import CONFIRMATIONS, OUTCOMES
from durabletask_worker.execution.state import State

__all__ = ["Execution", "replay"]

_NOT_HELD = CONFIRMATIONS | {"orchestratorStarted", "executionSuspended", "executionResumed", "executionTerminated"}
"""What takes effect while the orchestration is suspended. The time goes on, so that it is right when the rest is let in; and what is
recorded was done before."""


class Execution:
    """One orchestration in memory. `advance` takes it through its first turn or its history, and then from turn to turn.

    Args:
        host: The worker that hosts it.
        instance_id: The orchestration.
        execution_id: Its generation, as the work item has it.
        traces: Whether to keep where in the code each action is done.
    """

    def __init__(self, host: Host, *, instance_id: str, execution_id: str | None = None, traces: bool = False) -> None:
        self._host = host
        self.departure: NonDeterminismError | None = None
        """Why the last answer is a failure, if the code did not do what its history says."""
        self.asked: list[Action] = []
        """What the last answer asks for, beside the end of the orchestration."""
        self._new_state = partial(State, instance_id, execution_id, host, traces=traces)
        self._has_sent = False
        self._begin_anew()

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to do: the last answer ended the orchestration, or its generation."""
        return self._completion is not None

    @property
    def is_unwound(self) -> bool:
        """Whether all code that it called is at its end, so that `close` runs none."""
        return self._state.fibers.is_done

    def line_of(self, step: int) -> str | None:
        """Where in the code an action was done that no event has confirmed, as `file:line`; None if nobody kept it. See `traces`."""
        return self._state.schedule.line_of(step)

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
        if self._has_sent:
            self._state.schedule.confirm_all()

        try:
            if past_events:
                self._replay(past_events)

            state = self._state
            state.is_replaying = False

            self._apply(new_events)

            if state.fibers.main is None and self._completion is None:
                raise NonDeterminismError(f"the history of {state.instance_id!r} does not begin with ExecutionStarted")
        except NonDeterminismError as error:
            self.departure = self._located(error, past_events)
            self._fail(self.departure)
        finally:
            self._state.clock.leave_events()

        return self._response()

    def close(self) -> None:
        """Unload code that has not returned. What it does while it unwinds has no effect."""
        self._state.is_closed = True
        self._state.is_replaying = True

        try:
            self._state.fibers.close()
        except BaseException as error:  # noqa: BLE001 - the user's `finally` and `except` may raise anything
            self._host.logger.debug("%s raised %r while it was unloaded", self._state, error)

    def _begin_anew(self) -> None:
        self._state = self._new_state()
        self._function: Callable[..., Any] | None = None
        self._held: list[pb.HistoryEvent] = []
        self._completion: Completion | None = None

    def _replay(self, events: Sequence[pb.HistoryEvent]) -> None:
        last = next((event.eventId for event in reversed(events) if event.eventId > 0), 0)

        if self._replay_with(last, events):
            return

        # Something was withheld while the orchestration was suspended, when a patch after it was recorded nevertheless.
        self.close()
        self._begin_anew()
        self._replay_with(0, events)

    def _replay_with(self, recorded: int, events: Sequence[pb.HistoryEvent]) -> bool:
        """Replay, with the actions up to a number taken for recorded. Returns whether those that are not have all that is in them."""
        state = self._state
        state.is_replaying = True
        state.past_events = events
        state.schedule.recorded = recorded

        try:
            self._apply(events)

            return not state.schedule.lacks_something
        finally:
            state.past_events = ()
            state.schedule.recorded = 0

    def _located(self, error: NonDeterminismError, past_events: Sequence[pb.HistoryEvent]) -> NonDeterminismError:
        """Find the line to blame for a departure from the history, by another replay that keeps all lines."""
        if error.step is None or error.line is not None:
            return error

        again = Execution(
            self._host, instance_id=self._state.instance_id, execution_id=self._state.ids.execution_id, traces=True
        )

        try:
            again._replay(past_events)
        except NonDeterminismError as located:
            return located if located.step == error.step else error
        finally:
            again.close()

        return error

    def _apply(self, events: Iterable[pb.HistoryEvent]) -> None:
        state, fibers, handlers = self._state, self._state.fibers, self._handlers
        outcome_of, ready, run = OUTCOMES.get, fibers.ready, fibers.run

        for event in events:
            kind = event.WhichOneof("eventType")

            if self._completion is not None:
                # It is over; but unread external events may go on to the next generation, and what the history has must have been done.
                if kind == "eventRaised":
                    state.mailbox.deliver(event)
                elif state.is_replaying and self._completion.counts and kind in CONFIRMATIONS:
                    OUTCOMES[kind](state, event)
            elif state.is_suspended and kind not in _NOT_HELD:
                self._held.append(event)
            elif (tell := outcome_of(kind)) is not None:
                tell(state, event)

                if ready:
                    self._run(run)
            elif kind in handlers:
                handlers[kind](self, event)
            else:
                self._host.logger.debug("%s: an event of kind %s has no effect", state, kind)

    def _run(self, step: Callable[[], None]) -> None:
        """Let the code take a step, and see whether it is at its end."""
        state = self._state

        if state.is_replaying or self._host.guard is None or self._function is None:
            step()
        else:
            with self._host.guard(self._function):
                step()

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
        if error is None and self._state.continuation is None:
            try:
                payload = self._state.converter.serialize(result)
                self._complete(Completion(status=OrchestrationStatus.COMPLETED, result=payload))
            except Exception as unwritten:  # noqa: BLE001 - a converter may raise anything
                error = unwritten

        if error is not None:
            self._fail(error)

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

        self.asked = self._take_asked()

        for action in self.asked:
            action.write(response.actions.add())

        if completion is None:
            return response

        last = response.actions.add(id=state.schedule.next_id() if completion.counts else FRAMEWORK_ID)
        completion.write(last, state.mailbox.unread())

        return response

    def _take_asked(self) -> list[Action]:
        state, completion = self._state, self._completion

        if completion is None:
            # What was decided is recorded even while it is suspended: the code has acted on it.
            return state.schedule.take_patches() if state.is_suspended else state.schedule.unconfirmed

        if not completion.keeps_actions:
            return []

        # Nobody is left for whom a timer could fire.
        return [action for action in state.schedule.unconfirmed if not isinstance(action, CreateTimer)]

    def _on_started(self, event: pb.HistoryEvent) -> None:
        host, state, started = self._host, self._state, event.executionStarted

        if state.fibers.main is not None:
            host.logger.debug("%s: a second ExecutionStarted has no effect", state)

            return

        instance = started.orchestrationInstance

        if instance.HasField("executionId"):
            state.ids.execution_id = instance.executionId.value

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
                    failure=host.registry.missing_orchestrator(started.name, state.version).details.to_proto(),
                    counts=False,
                )
            )

            return

        self._function = found.function
        payload = started.input.value if started.HasField("input") else None
        context = OrchestrationContext(state)
        self._run(lambda: state.fibers.begin(lambda: host.call(found, context, payload), self._returned))

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

        self._apply(held)

    _handlers: ClassVar[Mapping[str | None, Callable[[Execution, pb.HistoryEvent], None]]] = {
        "executionStarted": _on_started,
        "executionTerminated": _on_terminated,
        "executionSuspended": _on_suspended,
        "executionResumed": _on_resumed,
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
