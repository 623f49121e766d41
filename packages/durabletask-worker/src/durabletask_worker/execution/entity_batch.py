"""The core of an entity: a batch of operations in, an answer out, no I/O.

Operations run one after the other, each on the state that the one before left. One that fails leaves no trace but its failure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from inspect import isawaitable
from typing import Any, Protocol, TypeAlias
from uuid import uuid4

from durabletask_client.entities import EntityInstanceId
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import TraceContext
from durabletask_protos.tracing.contexts import operation_context
from google.protobuf.wrappers_pb2 import StringValue

from durabletask_worker._entity_definition import EntityDefinition, Operation
from durabletask_worker._failures import wire_failure
from durabletask_worker.entity_context import EntityContext
from durabletask_worker.errors import EntityTaskNotFoundError
from durabletask_worker.execution.host import Host
from durabletask_worker.execution.operation import OperationState

__all__ = [
    "Around",
    "OperationSpan",
    "Proceed",
    "RequestedOperation",
    "RunSync",
    "Spans",
    "requested_operations",
    "run_batch",
]

Proceed: TypeAlias = "Callable[[], Awaitable[object]]"
"""Carries out an operation; waiting for it gives the operation's result or raises what it raised."""

Around: TypeAlias = "Callable[[EntityContext, Proceed], Awaitable[object]]"
"""Wraps an operation: what it gives is the result, what it raises the failure."""

RunSync: TypeAlias = "Callable[[Callable[[], Any]], Awaitable[Any]]"
"""Runs a plain function where it may block, and gives what it returns or raises what it raises."""


class OperationSpan(Protocol):
    """The span in which an operation runs."""

    @property
    def context(self) -> TraceContext:
        """Its place, which goes along with what the operation sends."""
        ...

    def failed(self, failure: pb.TaskFailureDetails) -> None:
        """It failed."""


Spans: TypeAlias = "Callable[[EntityInstanceId, RequestedOperation], AbstractContextManager[OperationSpan | None]]"
"""Makes the span of an operation, for as long as the context lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedOperation:
    """One operation, in whatever form it came."""

    name: str
    """What to do."""
    request_id: str
    """Tells the request from others."""
    input: str | None
    """The payload of the input; None for none."""
    caller: pb.OrchestrationInstance | None
    """The orchestration that waits for the result; None for a signal, and where the form does not say."""
    trace: TraceContext | None
    """The span of who asked for it; None if there is none, or the engine does not say."""


def requested_operations(request: pb.EntityBatchRequest | pb.EntityRequest) -> list[RequestedOperation]:
    """Read the operations of a batch, in either form.

    Args:
        request: The batch.

    Returns:
        The operations, in their order.

    Raises:
        ValueError: There are events among them that are no operations.
    """
    if isinstance(request, pb.EntityRequest):
        return [_from_event(event) for event in request.operationRequests]

    return [
        RequestedOperation(
            name=each.operation,
            request_id=each.requestId,
            input=each.input.value if each.HasField("input") else None,
            caller=None,
            trace=TraceContext.of(each.traceContext),
        )
        for each in request.operations
    ]


async def run_batch(
    host: Host,
    request: pb.EntityBatchRequest | pb.EntityRequest,
    run_sync: RunSync,
    *,
    around: Around | None = None,
    spans: Spans = lambda _id, _operation: nullcontext(),
    interrupts: Callable[[BaseException], bool] = lambda error: not isinstance(error, Exception),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: uuid4().hex,
) -> pb.EntityBatchResult:
    """Run a batch of operations.

    Args:
        host: The worker.
        request: The batch, in either form.
        run_sync: Runs operations that are plain functions.
        around: Wraps each operation; None for nothing.
        spans: Makes the span of each operation.
        interrupts: Whether an exception is no failure of the operation, but ends the batch: a cancellation from outside, say.
        now: The clock; aware, in UTC.
        new_id: Makes ids of orchestrations that operations start.

    Returns:
        The answer, without the token that it is sent under.

    Raises:
        InvalidRequestError: The batch is for something that is no entity.
        ValueError: There are events in the batch that are no operations.
    """
    entity_id = EntityInstanceId.parse(request.instanceId)
    definition = host.registry.find_entity(entity_id.entity)
    state = request.entityState if request.HasField("entityState") else None
    answer = pb.EntityBatchResult()

    for requested in requested_operations(request):
        running = OperationState(
            entity_id=entity_id,
            operation=requested.name,
            request_id=requested.request_id,
            caller_id=None if requested.caller is None else requested.caller.instanceId,
            state=state,
            converter=host.converter,
            now=now,
            new_id=new_id,
        )
        context, result = EntityContext(running), answer.results.add()
        started_at = now()

        with spans(entity_id, requested) as span:
            try:
                proceed = partial(_perform, definition, running, context, requested.input, run_sync)
                value = await (proceed() if around is None else around(context, proceed))
                result.success.CopyFrom(pb.OperationResultSuccess(result=running.payload(value)))
            except BaseException as error:
                if interrupts(error):
                    raise

                _log(host, running, error)
                failure = (
                    error.details.to_proto()
                    if isinstance(error, EntityTaskNotFoundError)
                    else wire_failure(host, error)
                )
                result.failure.failureDetails.CopyFrom(failure)

                if span is not None:
                    span.failed(failure)
            else:
                state = running.state

                if span is not None:
                    _travel(span.context, running.actions)

                answer.actions.extend(running.actions)

        ended = result.success if result.HasField("success") else result.failure
        ended.startTimeUtc.FromDatetime(started_at)
        ended.endTimeUtc.FromDatetime(now())

        if isinstance(request, pb.EntityRequest):
            answer.operationInfos.add(requestId=requested.request_id, responseDestination=requested.caller)

    for position, action in enumerate(answer.actions):
        action.id = position

    if state is not None:
        answer.entityState.CopyFrom(state)

    return answer


def _travel(context: TraceContext, actions: Sequence[pb.OperationAction]) -> None:
    for action in actions:
        if action.HasField("sendSignal"):
            context.write(action.sendSignal.parentTraceContext)
        else:
            context.write(action.startNewOrchestration.parentTraceContext)


def _from_event(event: pb.HistoryEvent) -> RequestedOperation:
    kind = event.WhichOneof("eventType")

    if kind == "entityOperationSignaled":
        signal = event.entityOperationSignaled

        return RequestedOperation(
            name=signal.operation,
            request_id=signal.requestId,
            input=_text(signal, "input"),
            caller=None,
            trace=operation_context(signal),
        )

    if kind == "entityOperationCalled":
        call = event.entityOperationCalled
        execution_id = _text(call, "parentExecutionId")

        return RequestedOperation(
            name=call.operation,
            request_id=call.requestId,
            input=_text(call, "input"),
            caller=pb.OrchestrationInstance(
                instanceId=call.parentInstanceId.value,
                executionId=None if execution_id is None else StringValue(value=execution_id),
            ),
            trace=operation_context(call),
        )

    raise ValueError(f"there is a {kind} among the operations of an entity; the batch cannot be answered")


def _text(message: pb.EntityOperationSignaledEvent | pb.EntityOperationCalledEvent, field: Any) -> str | None:
    value: str = getattr(message, field).value

    return value if message.HasField(field) else None


async def _perform(
    definition: EntityDefinition | None,
    running: OperationState,
    context: EntityContext,
    payload: str | None,
    run_sync: RunSync,
) -> object:
    if definition is None:
        raise EntityTaskNotFoundError(
            f"entity {running.entity_id.entity!r} is not registered with this worker; register it before the worker starts"
        )

    operation = definition.find(running.operation)
    step = _Step(definition=definition, operation=operation, running=running, context=context, payload=payload)
    restore = running.savepoint()

    try:
        if operation.signature.is_async:
            step.begin()
        else:
            await run_sync(step.begin)

        if isawaitable(step.result):
            step.result = await step.result
            step.end()
    except BaseException:
        # What is around it may forgive the failure, or try again.
        restore()

        raise

    return step.result


@dataclass(slots=True, kw_only=True)
class _Step:
    """An operation from its call to its result, which may come in a thread or later."""

    definition: EntityDefinition
    operation: Operation
    running: OperationState
    context: EntityContext
    payload: str | None
    target: object = None
    result: object = None

    def begin(self) -> None:
        """Call the operation. If it is done thereby, its state is kept."""
        self.target = self.definition.enter(self.operation, self.context, self.running)
        self.result = self.operation.call(self.target, self.context, self.running, self.payload)

        if not isawaitable(self.result):
            self.end()

    def end(self) -> None:
        """Keep the state."""
        self.definition.leave(self.target, self.running)


def _log(host: Host, running: OperationState, error: BaseException) -> None:
    # Nobody is told about the failure of a signal.
    if running.caller_id is None:
        host.logger.warning("%r of entity %r failed", running.operation, str(running.entity_id), exc_info=error)
    else:
        host.logger.debug("%r of entity %r failed", running.operation, str(running.entity_id), exc_info=error)
