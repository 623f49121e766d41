"""The spans that the engine makes: of orchestrations whose worker makes none, and of the ends that no worker hears of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from durabletask_backend.values import Micros, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import OrchestrationTrace, Span
from durabletask_protos.tracing.emission import Emitter, emitter

from durabletask_server.about import about
from durabletask_server.engine.state import State
from durabletask_server.engine.turn import Turn
from durabletask_server.settings import EngineSpans

log = logging.getLogger(__name__)

_MAKER = "engine"


class Traced(Protocol):
    """An orchestration in memory."""

    state: State
    trace: OrchestrationTrace | None
    """Follows it; None until somebody asks."""
    is_traced_by_worker: bool
    """Whether a worker makes the spans of this generation, as far as is known."""

    def past(self) -> bytes:
        """Its history, framed."""
        ...


class TurnSpans:
    """Makes the spans of turns, if they are the engine's to make.

    Args:
        policy: Whose they are.
    """

    def __init__(self, policy: EngineSpans) -> None:
        self._policy = policy

    def answered(self, traced: Traced, turn: Turn, response: pb.OrchestratorResponse, now: Micros) -> Sequence[Span]:
        """The spans that end with a worker's answer.

        Args:
            traced: The orchestration, as the turn took it.
            turn: The turn.
            response: The answer. It gets the contexts that its worker would have given it.
            now: The clock's time.

        Returns:
            They, to be made once the turn is committed.
        """
        is_auto = self._policy is EngineSpans.AUTO
        tracing = None if is_auto and traced.is_traced_by_worker else self._emitter()

        if tracing is None:
            return ()

        if is_auto and _is_workers(traced.state, response):
            # Once a worker has given the span its id, it stays the worker's.
            traced.is_traced_by_worker = True

            return ()

        def made(trace: OrchestrationTrace) -> list[Span]:
            return [*trace.follow(turn.events), *trace.answer(response, now * 1000)]

        return self._made(traced, tracing, made)

    def ended(
        self, traced: Traced, turn: Turn, status: RuntimeStatus, failure: pb.TaskFailureDetails | None, now: Micros
    ) -> Sequence[Span]:
        """The spans that end when the engine ends an orchestration by itself. Whoever made the others, these nobody else can make.

        Args:
            traced: The orchestration, as the turn took it.
            turn: The turn.
            status: What became of it.
            failure: Why it failed.
            now: The clock's time.

        Returns:
            They, to be made once the turn is committed.
        """
        tracing = self._emitter()

        if tracing is None:
            return ()

        def made(trace: OrchestrationTrace) -> list[Span]:
            return [*trace.follow(turn.events), trace.end(status.value, failure, now * 1000)]

        return self._made(traced, tracing, made)

    def _emitter(self) -> Emitter | None:
        return None if self._policy is EngineSpans.OFF else emitter()

    def _made(
        self, traced: Traced, tracing: Emitter, make: Callable[[OrchestrationTrace], list[Span]]
    ) -> Sequence[Span]:
        try:
            return make(self._trace(traced, tracing))
        except Exception:
            # What a worker sends may be odd; its turn is committed without spans rather than not at all.
            key = traced.state.key
            log.exception("the spans of instance %s cannot be made", key.instance_id, extra=about(key))

            return ()

    def _trace(self, traced: Traced, tracing: Emitter) -> OrchestrationTrace:
        if traced.trace is None:
            instance, adopts = traced.state.instance, self._policy is EngineSpans.AUTO
            traced.trace = trace = OrchestrationTrace(
                instance.key.instance_id,
                instance.execution_id,
                is_sampled=tracing.is_sampled,
                maker=_MAKER,
                adopts=adopts,
            )

            if adopts and instance.turn_context is not None:
                trace.begin(pb.OrchestrationTraceContext.FromString(instance.turn_context))

            trace.follow(pb.OrchestratorRequest.FromString(traced.past()).pastEvents)

        return traced.trace


def _is_workers(state: State, response: pb.OrchestratorResponse) -> bool:
    """Whether a worker makes the spans: it, or one before it, gave the orchestration's span an id that is not ours."""
    given, instance = response.orchestrationTraceContext.spanID.value, state.instance

    if instance.turn_context is None:
        return bool(given)

    given = given or pb.OrchestrationTraceContext.FromString(instance.turn_context).spanID.value

    return given not in {"", OrchestrationTrace.span_id_of(instance.execution_id, maker=_MAKER)}
