"""The spans of an orchestration, turn by turn. Pure: from events and answers to spans.

Its own span has an id that follows from its generation, unless a worker gave it another before, and is made once, at the end. The wait
for an activity, a child, an operation or a timer is made when that has answered: its id went along with the question. So replays make
none, and a turn that is done again makes the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import names
from durabletask_protos.tracing.contexts import TraceContext, derived_id, mixed_id, operation_context, travel_with
from durabletask_protos.tracing.spans import (
    Attributes,
    Kind,
    Nanos,
    Span,
    SpanEvent,
    nanos,
    operation_attributes,
    task_attributes,
)

__all__ = ["OrchestrationTrace"]

_MOST_EVENTS = 128
"""Of a span, as OpenTelemetry limits them by itself."""
_STATUS = {
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "ContinuedAsNew",
    pb.ORCHESTRATION_STATUS_CANCELED: "Canceled",
}


_ANSWERS: Mapping[str, tuple[str, str, bool]] = {
    "taskCompleted": ("task", "taskScheduledId", False),
    "taskFailed": ("task", "taskScheduledId", True),
    "subOrchestrationInstanceCompleted": ("child", "taskScheduledId", False),
    "subOrchestrationInstanceFailed": ("child", "taskScheduledId", True),
    "timerFired": ("timer", "timerId", False),
    "entityOperationCompleted": ("call", "requestId", False),
    "entityOperationFailed": ("call", "requestId", True),
}
"""By the event: what it answers, which of its fields has the number or the id of that, and whether it tells of a failure."""


_Key: TypeAlias = "tuple[str, int | str]"
"""What an answer is known by: a kind, and the number or the id of what was asked."""


_Open: TypeAlias = tuple[str, Kind, TraceContext, Nanos, Attributes]
"""Something that the orchestration waits for: its span's name, kind, place, start and attributes."""


class OrchestrationTrace:
    """Follows one generation of an orchestration.

    Args:
        instance_id: The orchestration.
        execution_id: Its generation; empty where the server does not say.
        is_sampled: Whether a trace that begins here is recorded, by its id.
        maker: Tells the ids of spans apart that several would make for one orchestration; empty for workers.
        adopts: Whether spans are made under the ids that went along with questions. Otherwise they went for spans of somebody else.
    """

    def __init__(
        self,
        instance_id: str,
        execution_id: str,
        *,
        is_sampled: Callable[[int], bool],
        maker: str = "",
        adopts: bool = True,
    ) -> None:
        self._instance_id = instance_id
        self._seed = (maker, execution_id or instance_id)
        self._execution_id = execution_id
        self._is_sampled = is_sampled
        self._adopts = adopts
        self._name = self._version = ""
        self._parent: TraceContext | None = None
        self._given = 0
        self._own: TraceContext | None = None
        self._to_carry = b""
        self._start: Nanos = 0
        self._now: Nanos = 0
        self._open: dict[_Key, _Open] = {}
        self._events: list[SpanEvent] = []

    @staticmethod
    def span_id_of(execution_id: str, *, maker: str = "") -> str:
        """The id that an orchestration's span has if nobody gave another, in hexadecimal digits."""
        return f"{derived_id(maker, execution_id):016x}"

    def begin(self, carried: pb.OrchestrationTraceContext) -> None:
        """Take over the span as earlier turns made it.

        Args:
            carried: As the engine carried it, which may be empty.
        """
        if self._own is not None:
            return

        with suppress(ValueError):
            self._given = int(carried.spanID.value or "0", 16)

        if self._given and carried.HasField("spanStartTime"):
            self._start = nanos(carried.spanStartTime)

    def follow(self, events: Iterable[pb.HistoryEvent]) -> list[Span]:
        """See what happened.

        Args:
            events: The history in its order, past and new.

        Returns:
            The spans that end with them; for what is past, they have been made already.
        """
        made: list[Span] = []

        for event in events:
            kind = event.WhichOneof("eventType") or ""

            at = nanos(event.timestamp)

            if kind in _ANSWERS:
                self._answered(kind, getattr(event, kind), at, made)
            elif kind == "orchestratorStarted":
                self._now = at
                self._start = self._start or at
            else:
                self._happened(kind, event, at)

        return made

    def answer(self, response: pb.OrchestratorResponse, now: Nanos, *, is_carried: bool = False) -> list[Span]:
        """See what a turn came to, and have the contexts travel with it, unless others are there.

        Args:
            response: The answer to the turn, which gets the contexts.
            now: The time.
            is_carried: Whether the engine carries the orchestration's own already, and goes on to.

        Returns:
            The spans that end with it. They are to be made when the answer has been taken.
        """
        made: list[Span] = []
        own, now = self._own or self._context(), max(now, self._now)

        if not is_carried and not response.HasField("orchestrationTraceContext"):
            response.orchestrationTraceContext.MergeFromString(self._carried())

        for action in response.actions:
            self._act(action, own, now, made)

        return made

    def end(self, status: int, failure: pb.TaskFailureDetails | None, at: Nanos) -> Span:
        """The span of the orchestration itself.

        Args:
            status: What became of it.
            failure: Why it failed.
            at: When.
        """
        return Span(
            name=names.orchestration(self._name, self._version),
            kind=Kind.SERVER,
            context=self._context(),
            parent=self._parent,
            start=self._start or at,
            end=max(at, self._now, self._start),
            attributes={
                **task_attributes(names.ORCHESTRATION, self._name, self._instance_id, version=self._version),
                **({names.EXECUTION_ID: self._execution_id} if self._execution_id else {}),
                names.STATUS: _STATUS.get(pb.OrchestrationStatus.ValueType(status), "Unknown"),
            },
            failure=failure,
            events=tuple(self._events),
        )

    # What happened.

    def _happened(self, kind: str, event: pb.HistoryEvent, at: Nanos) -> None:
        match kind:
            case "executionStarted":
                started = event.executionStarted
                self._name, self._version = started.name, started.version.value
                self._parent = _given(started)
            case "taskScheduled":
                self._asked_activity(event.eventId, event.taskScheduled, at)
            case "subOrchestrationInstanceCreated":
                self._asked_child(event.eventId, event.subOrchestrationInstanceCreated, at)
            case "timerCreated":
                self._asked_timer(event.eventId, event.timerCreated.fireAt.ToJsonString(), at)
            case "entityOperationCalled":
                self._asked_entity(event.eventId, event.entityOperationCalled, at)
            case "eventRaised":
                raised = event.eventRaised
                self._note(names.RECEIVED, at, {"name": raised.name, "size": len(raised.input.value.encode())})
            case "executionSuspended":
                self._note(names.SUSPENDED, at, {"reason": event.executionSuspended.input.value})
            case "executionResumed":
                self._note(names.RESUMED, at, {"reason": event.executionResumed.input.value})

    def _answered(self, kind: str, answer: Any, at: Nanos, made: list[Span]) -> None:
        asked, number, has_failed = _ANSWERS[kind]
        found = self._open.pop((asked, getattr(answer, number)), None)

        if found is not None:
            failure = answer.failureDetails if has_failed else None
            name, span_kind, context, start, attributes = found
            made.append(
                Span(name, span_kind, context, self._own or self._context(), start, max(at, start), attributes, failure)
            )

    def _note(self, name: str, at: Nanos, attributes: Attributes) -> None:
        if len(self._events) < _MOST_EVENTS:
            self._events.append(SpanEvent(name=name, at=at, attributes=attributes))

    # What is asked, by what the history has of it or by the action.

    def _asked_activity(
        self, number: int, task: pb.TaskScheduledEvent | pb.ScheduleTaskAction, at: Nanos
    ) -> TraceContext:
        name, version = task.name, task.version.value if task.HasField("version") else ""
        attributes = task_attributes(names.ACTIVITY, name, self._instance_id, version=version, task_id=number)

        return self._ask(
            ("task", number), number, names.activity(name, version), Kind.CLIENT, _given(task), at, attributes
        )

    def _asked_child(
        self,
        number: int,
        child: pb.SubOrchestrationInstanceCreatedEvent | pb.CreateSubOrchestrationAction,
        at: Nanos,
    ) -> TraceContext:
        name, version = child.name, child.version.value if child.HasField("version") else ""
        instance_id = child.instanceId or self._instance_id
        attributes = task_attributes(names.ORCHESTRATION, name, instance_id, version=version, task_id=number)

        return self._ask(
            ("child", number), number, names.orchestration(name, version), Kind.CLIENT, _given(child), at, attributes
        )

    def _asked_timer(self, number: int, fire_at: str, at: Nanos) -> None:
        attributes = task_attributes(names.TIMER, self._name, self._instance_id, task_id=number)
        attributes[names.FIRE_AT] = fire_at
        self._ask(("timer", number), number, names.timer(self._name), Kind.INTERNAL, None, at, attributes)

    def _asked_entity(self, number: int, called: pb.EntityOperationCalledEvent, at: Nanos) -> TraceContext:
        entity_id = called.targetInstanceId.value
        name, attributes = names.call_entity(entity_id, called.operation), self._operation(entity_id, called.operation)

        return self._ask(
            ("call", called.requestId), number, name, Kind.CLIENT, operation_context(called), at, attributes
        )

    def _ask(
        self,
        key: _Key,
        number: int,
        name: str,
        kind: Kind,
        given: TraceContext | None,
        at: Nanos,
        attributes: Attributes,
    ) -> TraceContext:
        own, parent = self._own or self._context(), self._parent

        # An SDK that makes no spans may still hand the context on that it was given.
        if given is None or not self._adopts or given.span_id in {own.span_id, parent.span_id if parent else 0}:
            context = own.child(mixed_id(own.span_id, self._now, number))
        else:
            context = given

        self._open[key] = (name, kind, context, at, attributes)

        return context

    # What a turn came to.

    def _act(self, action: pb.OrchestratorAction, own: TraceContext, now: Nanos, made: list[Span]) -> None:
        match action.WhichOneof("orchestratorActionType"):
            case "scheduleTask":
                self._travel(self._asked_activity(action.id, action.scheduleTask, now), action.scheduleTask)
            case "createSubOrchestration":
                child = action.createSubOrchestration
                self._travel(self._asked_child(action.id, child, now), child)
            case "createTimer":
                self._asked_timer(action.id, action.createTimer.fireAt.ToJsonString(), now)
            case "sendEvent":
                made.append(self._sent_event(action.id, action.sendEvent, own, now))
            case "sendEntityMessage":
                self._sent_to_entity(action.id, action.sendEntityMessage, own, now, made)
            case "completeOrchestration":
                completed = action.completeOrchestration
                failure = completed.failureDetails if completed.HasField("failureDetails") else None
                made.append(self.end(completed.orchestrationStatus, failure, now))

    def _travel(self, context: TraceContext, action: pb.ScheduleTaskAction | pb.CreateSubOrchestrationAction) -> None:
        if self._adopts or not action.HasField("parentTraceContext"):
            context.write(action.parentTraceContext)

    def _sent_event(self, number: int, sent: pb.SendEventAction, own: TraceContext, now: Nanos) -> Span:
        return self._sent(
            number,
            names.orchestration_event(sent.name),
            {
                **task_attributes(names.EVENT, sent.name, self._instance_id),
                names.TARGET: sent.instance.instanceId,
            },
            own,
            now,
        )

    def _sent_to_entity(
        self, number: int, message: pb.SendEntityMessageAction, own: TraceContext, now: Nanos, made: list[Span]
    ) -> None:
        if message.HasField("entityOperationCalled"):
            called = message.entityOperationCalled
            context = self._asked_entity(number, called, now)

            if operation_context(called) is None:
                travel_with(called, context)
        elif message.HasField("entityOperationSignaled"):
            signal = message.entityOperationSignaled
            entity_id = signal.targetInstanceId.value
            name, attributes = (
                names.signal_entity(entity_id, signal.operation),
                self._operation(entity_id, signal.operation),
            )
            sent = self._sent(number, name, attributes, own, now)

            if operation_context(signal) is None:
                travel_with(signal, sent.context)

            made.append(sent)

    def _sent(self, number: int, name: str, attributes: Attributes, own: TraceContext, now: Nanos) -> Span:
        return Span(
            name=name,
            kind=Kind.PRODUCER,
            context=own.child(mixed_id(own.span_id, self._now, number)),
            parent=own,
            start=now,
            end=now,
            attributes=attributes,
        )

    def _context(self) -> TraceContext:
        """Where the orchestration's own span is."""
        if self._own is None:
            span_id = self._given or derived_id(*self._seed)

            if self._parent is not None:
                self._own = self._parent.child(span_id)
            else:
                trace_id = derived_id(*self._seed, "trace", size=16)
                self._own = TraceContext(trace_id, span_id, int(self._is_sampled(trace_id)))

        return self._own

    def _carried(self) -> bytes:
        """Where the own span is, and when it started, as the engine is to carry it. It does not change."""
        if not self._to_carry:
            carried = pb.OrchestrationTraceContext()
            carried.spanID.value = f"{self._context().span_id:016x}"
            carried.spanStartTime.FromNanoseconds(self._start)
            self._to_carry = carried.SerializeToString()

        return self._to_carry

    def _operation(self, entity_id: str, operation: str) -> Attributes:
        return {**operation_attributes(entity_id, operation), names.INSTANCE_ID: self._instance_id}


def _given(
    carrier: pb.ExecutionStartedEvent
    | pb.TaskScheduledEvent
    | pb.ScheduleTaskAction
    | pb.SubOrchestrationInstanceCreatedEvent
    | pb.CreateSubOrchestrationAction,
) -> TraceContext | None:
    return TraceContext.of(carrier.parentTraceContext) if carrier.HasField("parentTraceContext") else None
