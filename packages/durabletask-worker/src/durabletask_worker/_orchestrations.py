"""From the work item of a turn to its answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import OrchestrationTrace, Span
from durabletask_protos.tracing.emission import emitter

from durabletask_worker._failures import wire_failure
from durabletask_worker._live import LiveExecution, LiveExecutions, time_of
from durabletask_worker._turns import TurnThread, TurnTimeoutError
from durabletask_worker.execution.host import Host
from durabletask_worker.execution.replay import Execution
from durabletask_worker.versioning import VersionFailureStrategy, VersioningOptions, VersionMatchStrategy

__all__ = ["Answered", "Orchestrations", "RejectedError"]

_LEFT_OUT = "x-durabletask-past-events"
"""The property of a turn that says how many past events our server has left out, as this worker should have seen them."""


class RejectedError(Exception):
    """The worker does not take this orchestration, which is to be given back."""


class Answered(NamedTuple):
    """What a turn came to."""

    response: pb.OrchestratorResponse
    spans: Sequence[Span] = ()
    """To be made once the answer is delivered."""


class _Outcome(NamedTuple):
    """What a turn came to, on the thread."""

    answered: Answered
    live: LiveExecution | None
    """The orchestration, if it goes on and may stay in memory."""


class Orchestrations:
    """Runs turns, on a thread of its own, and keeps the orchestrations in memory that were active last.

    Args:
        host: The worker, as the replay sees it.
        versioning: Which versions to take.
        limit: How many orchestrations to keep.
        slow_turn_warning: After how many seconds code that blocks is reported; None for never.
        turn_timeout: After how many seconds code that blocks is given up; None for never.
        logger: Where oddities go.
    """

    def __init__(
        self,
        host: Host,
        *,
        versioning: VersioningOptions,
        limit: int,
        slow_turn_warning: float | None,
        turn_timeout: float | None,
        logger: logging.Logger,
    ) -> None:
        self.replays = 0
        """How many turns began with a replay of the history."""
        self._host = host
        self._versioning = versioning
        self._limit = limit
        self._logger = logger
        self._live = LiveExecutions(limit)
        self._thread = TurnThread(slow=slow_turn_warning, timeout=turn_timeout, logger=logger)

    @property
    def blocked(self) -> int:
        """How many turns were given up."""
        return self._thread.blocked

    @property
    def live(self) -> int:
        """How many orchestrations are kept now."""
        return len(self._live)

    async def turn(
        self,
        request: pb.OrchestratorRequest,
        fetch: Callable[[pb.OrchestratorRequest], Awaitable[Sequence[pb.HistoryEvent]]],
        token: str,
    ) -> Answered:
        """Run a turn.

        Args:
            request: The turn.
            fetch: Gets its history when it did not come along.
            token: What to answer under.

        Returns:
            The answer.

        Raises:
            RejectedError: The worker does not take the orchestration's version.
            TurnTimeoutError: The code blocked.
        """
        instance_id = request.instanceId
        execution_id = request.executionId.value if request.HasField("executionId") else None
        live = self._live.take(instance_id)
        past: Sequence[pb.HistoryEvent] = ()

        if live is not None and live.execution_id != execution_id:
            self._drop(live)
            live = None

        if request.properties and _LEFT_OUT in request.properties:
            # The server is wrong about what is kept here, if it has been forgotten or never was committed.
            if live is None or live.events != int(request.properties[_LEFT_OUT].number_value):
                self._drop(live)

                return Answered(
                    pb.OrchestratorResponse(instanceId=instance_id, completionToken=token, requiresHistory=True)
                )
        else:
            try:
                past = await fetch(request) if request.requiresHistoryStreaming else request.pastEvents
            except BaseException:
                self._drop(live)

                raise

            if live is not None and not live.has_seen(past):
                self._drop(live)
                live = None

        if live is None:
            self.replays += bool(past)
            execution = Execution(self._host, instance_id=instance_id, execution_id=execution_id)
            trace = _trace(instance_id, execution_id)
        else:
            execution = live.execution
            trace = live.trace

        unseen, begun_at = (past, len(past)) if live is None else ((), live.events)
        work = partial(self._advance, execution, trace, unseen, begun_at, request, token)

        try:
            answered, next_live = await self._thread.run(_Named("orchestration", instance_id), work)
        except TurnTimeoutError:
            # Its code is still at it, with nobody to stop it.
            raise
        except BaseException:
            self._close(execution, instance_id)

            raise

        if next_live is not None:
            for dropped in self._live.put(next_live):
                self._drop(dropped)

        return answered

    def forget(self, instance_id: str) -> None:
        """Let go of an orchestration, whose last answer did not count."""
        self._drop(self._live.take(instance_id))

    async def close(self) -> None:
        """Unwind what is kept, and end the thread."""
        for live in self._live.clear():
            self._drop(live)

        await self._thread.close()

    def _drop(self, live: LiveExecution | None) -> None:
        if live is not None:
            self._close(live.execution, live.instance_id)

    def _close(self, execution: Execution, instance_id: str) -> None:
        self._thread.post(_Named("the unloading of orchestration", instance_id), execution.close)

    # On the thread.

    def _advance(
        self,
        execution: Execution,
        trace: OrchestrationTrace | None,
        past_events: Sequence[pb.HistoryEvent],
        begun_at: int,
        request: pb.OrchestratorRequest,
        token: str,
    ) -> _Outcome:
        new_events = request.newEvents
        response = self._answer(execution, past_events, request)
        response.completionToken = token

        if trace is not None:
            answered = Answered(response, self._spans(trace, past_events, request, response))
        else:
            # Another worker may make the spans.
            if request.HasField("orchestrationTraceContext"):
                response.orchestrationTraceContext.CopyFrom(request.orchestrationTraceContext)

            answered = Answered(response)

        if self._limit and new_events and not _is_at_its_end(response):
            return _Outcome(
                answered,
                LiveExecution(
                    instance_id=request.instanceId,
                    execution=execution,
                    execution_id=request.executionId.value if request.HasField("executionId") else None,
                    events=begun_at + len(new_events) + _confirmations(response),
                    turn_at=begun_at,
                    turn_time=time_of(new_events[0]),
                    trace=trace,
                ),
            )

        if execution.is_unwound:
            execution.close()
        else:
            # As a job of its own: code that blocks while it unwinds does not hold up the answer.
            self._close(execution, request.instanceId)

        return _Outcome(answered, None)

    def _answer(
        self, execution: Execution, past_events: Sequence[pb.HistoryEvent], request: pb.OrchestratorRequest
    ) -> pb.OrchestratorResponse:
        if self._versioning.match_strategy is not VersionMatchStrategy.NONE:
            refused = self._version_refused(chain(past_events, request.newEvents), request.instanceId)

            if refused is not None:
                return refused

        try:
            return execution.advance(past_events, request.newEvents)
        except Exception as error:
            # What the code made cannot be put on the wire, a text with half a surrogate pair say. It would be no better the
            # next time, so it must not be left to be handed out again and again.
            self._logger.exception("the turn of orchestration %r cannot be answered", request.instanceId)

            return _failed(request.instanceId, wire_failure(self._host, error))

    def _spans(
        self,
        trace: OrchestrationTrace,
        past_events: Iterable[pb.HistoryEvent],
        request: pb.OrchestratorRequest,
        response: pb.OrchestratorResponse,
    ) -> Sequence[Span]:
        """Have contexts travel with an answer. Returns the spans that end with it."""
        # That of an orchestration which is kept here is the one that our server had from here.
        is_carried = _LEFT_OUT in request.properties and request.HasField("orchestrationTraceContext")

        try:
            trace.begin(request.orchestrationTraceContext)
            trace.follow(past_events)
            ended = trace.follow(request.newEvents)
            ended += trace.answer(response, time.time_ns(), is_carried=is_carried)

            return ended
        except Exception:
            # Without them rather than not at all.
            self._logger.exception("the spans of orchestration %r cannot be made", request.instanceId)

            return ()

    def _version_refused(self, events: Iterable[pb.HistoryEvent], instance_id: str) -> pb.OrchestratorResponse | None:
        """The answer to an orchestration that the worker does not take. One that goes on in memory has been taken."""
        started = next((event.executionStarted for event in events if event.HasField("executionStarted")), None)

        if started is None:
            return None

        version = started.version.value if started.HasField("version") else None

        if self._versioning.accepts(version):
            return None

        mismatch = self._versioning.mismatch(version)

        if self._versioning.failure_strategy is VersionFailureStrategy.REJECT:
            raise RejectedError(mismatch.message)

        return _failed(instance_id, mismatch.to_proto())


class _Named:
    """A kind and an id, put together only where they are shown."""

    __slots__ = ("_id", "_kind")

    def __init__(self, kind: str, id: str) -> None:
        self._kind = kind
        self._id = id

    def __str__(self) -> str:
        return f"{self._kind} {self._id!r}"


def _trace(instance_id: str, execution_id: str | None) -> OrchestrationTrace | None:
    tracing = emitter()

    if tracing is None:
        return None

    return OrchestrationTrace(instance_id, execution_id or "", is_sampled=tracing.is_sampled)


def _failed(instance_id: str, failure: pb.TaskFailureDetails) -> pb.OrchestratorResponse:
    response = pb.OrchestratorResponse(instanceId=instance_id)
    action = response.actions.add(id=-1)
    action.completeOrchestration.orchestrationStatus = pb.ORCHESTRATION_STATUS_FAILED
    action.completeOrchestration.failureDetails.CopyFrom(failure)

    return response


def _is_at_its_end(response: pb.OrchestratorResponse) -> bool:
    # The end is the last of the actions.
    return bool(response.actions) and response.actions[-1].HasField("completeOrchestration")


def _confirmations(response: pb.OrchestratorResponse) -> int:
    """How many events the history gets by an answer: one for each action, but none records a termination."""
    return sum(not action.HasField("terminateOrchestration") for action in response.actions)
