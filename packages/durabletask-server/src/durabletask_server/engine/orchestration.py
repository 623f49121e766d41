"""Deciding a turn: from a worker's answer to what is committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from durabletask_backend.mutations import AppendMessage, CompleteTurn, NextGeneration
from durabletask_backend.plan import turn_applied
from durabletask_backend.values import TERMINAL_STATUSES, Micros, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing.contexts import TraceContext, orchestration_context

from durabletask_server.engine import events, locks
from durabletask_server.engine.actions import Draft, performer
from durabletask_server.engine.framing import PAST_EVENT, frames
from durabletask_server.engine.ids import NewId
from durabletask_server.engine.lifecycle import InvalidRequestError
from durabletask_server.engine.locks import Section, Sections
from durabletask_server.engine.state import Fold, Parent, State
from durabletask_server.engine.turn import Turn

UNSUPPORTED_ACTION = "UnsupportedAction"
"""The error type of an orchestration that asked for what this engine cannot do."""
REPEATED_ACTION = "RepeatedAction"
"""The error type of an orchestration that gave two of its actions one id."""
INVALID_ACTION = "InvalidAction"
"""The error type of an orchestration that asked for what nothing can do."""
TERMINATED = "OrchestrationTerminated"
"""The error type that a parent sees of a child that was terminated."""
CANCELED = "OrchestrationCanceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a turn came to."""

    mutation: CompleteTurn
    state: State
    """The instance once the mutation is committed."""
    notes: tuple[str, ...] = ()
    """What of the answer was set aside, and why; for the log."""


def decide(state: State, turn: Turn, response: pb.OrchestratorResponse, now: Micros, new_id: NewId) -> Decision:
    """Apply a worker's answer to a turn.

    Args:
        state: The instance as the turn took it.
        turn: The turn.
        response: The answer, whole (all chunks joined).
        now: The clock's time.
        new_id: Makes execution ids.
    """
    return _Decider(state, turn, now, new_id).answer(response)


def terminate(state: State, turn: Turn, now: Micros, new_id: NewId) -> Decision:
    """End an instance as a turn's ExecutionTerminated asks, without a worker."""
    return _Decider(state, turn, now, new_id).terminated()


def fail(state: State, turn: Turn, failure: pb.TaskFailureDetails, now: Micros, new_id: NewId) -> Decision:
    """End an instance as FAILED for a reason of the engine's own."""
    return _Decider(state, turn, now, new_id).failed(failure)


class _Decider:
    def __init__(self, state: State, turn: Turn, now: Micros, new_id: NewId) -> None:
        self._state = state
        self._turn = turn
        self._draft = Draft(state.instance, max(now, turn.time), new_id, state.sections)
        self._new_events = list(turn.events)
        self._encoded = list(turn.encoded)
        self._sequences = turn.sequences
        self._notes: list[str] = []
        self._custom_status = state.instance.custom_status
        self._context = state.instance.turn_context

    def answer(self, response: pb.OrchestratorResponse) -> Decision:
        self._custom_status = events.optional(response, "customStatus") or None

        if response.HasField("orchestrationTraceContext"):
            self._context = response.orchestrationTraceContext.SerializeToString()

        # Once for all operations that the turn asks for, and not for a turn that asks for none.
        self._draft.trace = cache(self._trace)
        self._put_back(response)
        self._draft.sections = Sections(self._sections_before())
        completion = self._completion(response)
        completes = None if completion is None else completion.completeOrchestration.orchestrationStatus
        started: set[int] = set()

        for action in response.actions:
            kind = action.WhichOneof("orchestratorActionType")

            if kind == "completeOrchestration":
                continue

            if kind == "rewindOrchestration":
                self._notes.append(f"action {action.id} rewinds the instance; the server does that by itself")
                continue

            perform = performer(action)

            if perform is None:
                return self._refused(action, UNSUPPORTED_ACTION, "is not supported by this server")

            if completes is not None and kind not in _ALONGSIDE[completes]:
                continue

            if kind in _ANSWERED:
                # The store keeps one open task an id, and one answer goes to one action.
                if action.id in started or self._waits_for(action.id):
                    return self._refused(action, REPEATED_ACTION, "has the id of another that waits for its answer")

                started.add(action.id)

            try:
                perform(self._draft, action)
            except InvalidRequestError as error:
                return self._refused(action, INVALID_ACTION, f"cannot be carried out: {error}")

        if completion is None:
            return self._decision(None)

        if completes == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            return self._continued(completion.completeOrchestration)

        return self._completed(completion)

    def terminated(self) -> Decision:
        terminated = self._turn.terminated
        assert terminated is not None
        self._draft.clear(self._sections_before())
        output = events.optional(terminated, "input")
        self._end(events.NO_ID, RuntimeStatus.TERMINATED, output, None)

        if terminated.recurse:
            told = events.execution_terminated(self._draft.at, output, True).SerializeToString()

            children = self._followed().children.items()

            for child in sorted({child for action_id, child in children if action_id not in self._turn.answered}):
                self._draft.effects.append(AppendMessage(key=self._draft.key(child), payload=told))

        return self._decision(RuntimeStatus.TERMINATED, output=output)

    def failed(self, failure: pb.TaskFailureDetails) -> Decision:
        # Nothing else of the answer counts.
        self._draft.clear(self._sections_before())
        self._end(events.NO_ID, RuntimeStatus.FAILED, None, failure)

        return self._decision(RuntimeStatus.FAILED, failure=failure)

    def _trace(self) -> TraceContext | None:
        begun = (event.executionStarted for event in self._new_events if event.HasField("executionStarted"))
        started = self._state.start or next(begun, None)

        return None if started is None else orchestration_context(started, self._context)

    def _refused(self, action: pb.OrchestratorAction, error_type: str, problem: str) -> Decision:
        kind = action.WhichOneof("orchestratorActionType") or "of a kind unknown here"

        return self.failed(events.failure(error_type, f"action {action.id} ({kind}) {problem}", non_retriable=True))

    def _waits_for(self, action_id: int) -> bool:
        state = self._state

        return action_id in state.tasks or action_id in state.timers or action_id in state.children

    def _sections_before(self) -> Mapping[str, Section]:
        """The critical sections as they were before the answer."""
        sections = Sections(self._state.sections)

        if sections.open:
            for event in self._new_events:
                sections.add(event)

        return sections.open

    def _leave_sections(self) -> None:
        instance = self._state.instance
        sections = self._draft.sections.open
        self._draft.effects.extend(locks.leave(instance.key, instance.execution_id, sections, self._draft.at))

    def _put_back(self, response: pb.OrchestratorResponse) -> None:
        """Leave in the inbox what the worker says it has not processed."""
        if not response.HasField("numEventsProcessed"):
            return

        processed = response.numEventsProcessed.value

        # 0 comes from workers that count with the first chunk of a chunked answer; OrchestratorStarted alone is no turn.
        if 1 < processed < len(self._new_events):
            del self._new_events[processed:], self._encoded[processed:]
            self._sequences = self._sequences[: processed - 1]

    def _completion(self, response: pb.OrchestratorResponse) -> pb.OrchestratorAction | None:
        completions = [action for action in response.actions if action.HasField("completeOrchestration")]

        if len(completions) > 1:
            self._notes.append(f"{len(completions)} completions in one answer; the first counts")

        if not completions:
            return None

        status = completions[0].completeOrchestration.orchestrationStatus

        if status not in _ALONGSIDE:
            self._notes.append(f"completion with status {status}, which ends nothing, taken as COMPLETED")
            completions[0].completeOrchestration.orchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED

        return completions[0]

    # How a turn ends.

    def _completed(self, action: pb.OrchestratorAction) -> Decision:
        completion = action.completeOrchestration
        status = RuntimeStatus(completion.orchestrationStatus)
        output = events.optional(completion, "result")
        failure = events.bounded(completion.failureDetails) if completion.HasField("failureDetails") else None
        self._end(action.id, status, output, failure)

        return self._decision(status, output=output, failure=failure)

    def _end(
        self, event_id: int, status: RuntimeStatus, output: str | None, failure: pb.TaskFailureDetails | None
    ) -> None:
        self._draft.confirmed.append(events.execution_completed(self._draft.at, event_id, status, output, failure))
        self._leave_sections()
        parent = self._parent()

        if parent is not None:
            answer = self._answer_to_parent(parent, status, output, failure)
            self._draft.effects.append(
                AppendMessage(key=parent.key, payload=answer.SerializeToString(), execution_id=parent.execution_id)
            )

    def _parent(self) -> Parent | None:
        state = self._state

        return (state if state.start is not None else self._followed().state(state.instance)).parent

    def _answer_to_parent(
        self, parent: Parent, status: RuntimeStatus, output: str | None, failure: pb.TaskFailureDetails | None
    ) -> pb.HistoryEvent:
        if status is RuntimeStatus.COMPLETED:
            return events.child_completed(self._draft.at, parent.task_id, output)

        if failure is None:
            verb, error_type = {
                RuntimeStatus.TERMINATED: ("was terminated", TERMINATED),
                RuntimeStatus.CANCELED: ("was canceled", CANCELED),
            }.get(status, ("failed", "OrchestrationFailed"))
            failure = events.failure(
                error_type,
                f"sub-orchestration {self._state.key.instance_id!r} {verb}" + (f": {output}" if output else ""),
            )

        return events.child_failed(self._draft.at, parent.task_id, failure)

    def _continued(self, completion: pb.CompleteOrchestrationAction) -> Decision:
        """Start the next generation: its start and the events carried over go to the front of the inbox."""
        self._leave_sections()
        old = self._state.instance
        generation = NextGeneration(
            execution_id=self._draft.new_id(),
            input=events.optional(completion, "result"),
            version=events.optional(completion, "newVersion") if completion.HasField("newVersion") else old.version,
            tags=dict(completion.tags) or old.tags,
        )
        start = pb.HistoryEvent(eventId=events.NO_ID, timestamp=events.timestamp(self._draft.at))
        started = start.executionStarted
        followed = self._followed()
        begun = followed.start
        assert begun is not None
        started.CopyFrom(begun)

        for stale in ("input", "version", "scheduledStartTimestamp", "orchestrationSpanID", "tags"):
            started.ClearField(stale)

        started.orchestrationInstance.executionId.value = generation.execution_id
        started.tags.update(generation.tags)

        if generation.input is not None:
            started.input.value = generation.input

        if generation.version is not None:
            started.version.value = generation.version

        self._draft.effects.append(
            AppendMessage(
                key=old.key, payload=start.SerializeToString(), execution_id=generation.execution_id, front=True
            )
        )

        # A pause that was asked of this generation holds for the next.
        pauses = (
            [event for event in self._new_events if event.HasField("executionSuspended")] if followed.suspended else []
        )

        for carried in (*pauses[-1:], *completion.carryoverEvents):
            event = pb.HistoryEvent()
            event.CopyFrom(carried)
            event.eventId = events.NO_ID

            if not event.HasField("timestamp"):
                event.timestamp.CopyFrom(events.timestamp(self._draft.at))

            self._draft.effects.append(AppendMessage(key=old.key, payload=event.SerializeToString(), front=True))

        self._context = None

        return self._decision(RuntimeStatus.RUNNING, generation=generation)

    # Putting it together.

    def _followed(self) -> Fold:
        fold = Fold(self._state)

        for event in (*self._new_events, *self._draft.confirmed):
            fold.add(event)

        return fold

    def _decision(
        self,
        status: RuntimeStatus | None,
        *,
        output: str | None = None,
        failure: pb.TaskFailureDetails | None = None,
        generation: NextGeneration | None = None,
    ) -> Decision:
        instance = self._state.instance
        followed = self._followed()
        encoded: list[bytes] = []

        if status is None:
            status = RuntimeStatus.SUSPENDED if followed.suspended else RuntimeStatus.RUNNING

        if generation is None:
            encoded = [*self._encoded, *(event.SerializeToString() for event in self._draft.confirmed)]

        mutation = CompleteTurn(
            key=instance.key,
            execution_id=instance.execution_id,
            turn=instance.turn,
            status=status,
            updated_at=self._draft.at,
            completed_at=self._draft.at if status in TERMINAL_STATUSES else None,
            output=output,
            custom_status=self._custom_status,
            failure=None if failure is None else failure.SerializeToString(),
            turn_context=self._context,
            history=frames(PAST_EVENT, encoded),
            history_first=self._state.length,
            history_count=len(encoded),
            consumed=(*self._turn.dropped, *self._sequences),
            tasks=tuple(self._draft.tasks),
            effects=tuple(self._draft.effects),
            generation=generation,
        )
        committed = turn_applied(instance, mutation)
        state = followed.state(committed) if generation is None else State(instance=committed)

        return Decision(mutation=mutation, state=state, notes=(*self._notes, *self._draft.notes))


_ANSWERED = frozenset({"scheduleTask", "createTimer", "createSubOrchestration"})
_MESSAGES = frozenset({"sendEvent", "sendEntityMessage", "terminateOrchestration"})

# What else of an answer takes effect, by how the answer completes the orchestration. What a completed orchestration started
# goes on without it; a failed or terminated one starts nothing more; the next generation keeps only what leaves the instance.
_ALONGSIDE: dict[int, frozenset[str]] = {
    pb.ORCHESTRATION_STATUS_COMPLETED: _MESSAGES | _ANSWERED,
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: _MESSAGES | {"createSubOrchestration"},
    pb.ORCHESTRATION_STATUS_FAILED: _MESSAGES,
    pb.ORCHESTRATION_STATUS_TERMINATED: _MESSAGES,
    pb.ORCHESTRATION_STATUS_CANCELED: _MESSAGES,
}
