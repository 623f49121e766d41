"""The RPCs of workers: getting work, and saying what became of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator

from durabletask_backend.values import InstanceKey
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty

from durabletask_server.activities import Answer
from durabletask_server.dispatch.encoding import HEALTH_PING
from durabletask_server.dispatch.filters import filters_of
from durabletask_server.dispatch.stream import Kind, StreamOptions
from durabletask_server.engine import events
from durabletask_server.engine.lifecycle import InvalidRequestError
from durabletask_server.service.rpc import Context
from durabletask_server.taskhub import TaskHubWorker
from durabletask_server.tokens import OPERATIONS, TURN, Token
from durabletask_server.waiters import ServerStoppingError

log = logging.getLogger(__name__)


STICKY = "x-durabletask-sticky"
"""Metadata of a `GetWorkItems` call, `1`: the worker keeps live executions, and needs no history with their next turns."""
BATCH_ENTITIES = "x-durabletask-entity-batches"
"""Likewise: the worker wants the operations of entities as `EntityBatchRequest`."""


class WorkItemRpcs:
    """Each method answers the RPC of its name.

    Args:
        hub: The engine.
    """

    def __init__(self, hub: TaskHubWorker) -> None:
        self._hub = hub
        self._orchestrations = hub.orchestrations
        self._activities = hub.activities
        self._operations = hub.operations

    async def hello(self, hub: str, request: Empty) -> Empty:
        """`Hello`: whether somebody is there."""
        return Empty()

    async def get_work_items(
        self, hub: str, request: pb.GetWorkItemsRequest, context: Context
    ) -> AsyncGenerator[bytes, None]:
        """`GetWorkItems`: work, until the worker or the server goes; a health ping first, and when there is none."""
        dispatcher = self._hub.dispatcher

        if dispatcher.draining:
            raise ServerStoppingError

        metadata = dict(context.invocation_metadata() or ())
        stream = dispatcher.open(
            StreamOptions(
                hub=hub,
                limits={
                    Kind.ORCHESTRATION: _limit(request, "maxConcurrentOrchestrationWorkItems"),
                    Kind.ACTIVITY: _limit(request, "maxConcurrentActivityWorkItems"),
                    Kind.ENTITY: _limit(request, "maxConcurrentEntityWorkItems"),
                },
                filters=filters_of(request),
                history_streaming=pb.WORKER_CAPABILITY_HISTORY_STREAMING in request.capabilities,
                sticky=metadata.get(STICKY) == "1",
                batch_entities=metadata.get(BATCH_ENTITIES) == "1",
            )
        )
        log.info("worker stream %d connected from %s", stream.number, context.peer())

        try:
            yield HEALTH_PING

            while (items := await stream.outgoing()) is not None:
                for item in items:
                    yield item
        finally:
            dispatcher.close(stream)
            log.info("worker stream %d ended", stream.number)

    async def complete_activity(self, hub: str, request: pb.ActivityResponse) -> pb.CompleteTaskResponse:
        """`CompleteActivityTask`. Answered once the result is durable; a late one is answered, too, without effect."""
        if request.completionToken:
            token = self._token(hub, request.completionToken)
            key = None if token is None or token.task.task_id < 0 else token.task
        else:
            key = self._activities.task_key(InstanceKey(hub, _instance_id(request)), request.taskId)

        if key is None:
            log.info("nobody waits for the result of task %d of instance %s", request.taskId, request.instanceId)
        elif request.HasField("failureDetails"):
            await self._activities.complete(key, Answer(failure=request.failureDetails))
        else:
            await self._activities.complete(key, Answer(result=events.optional(request, "result")))

        return pb.CompleteTaskResponse()

    async def complete_orchestrator(self, hub: str, request: pb.OrchestratorResponse) -> pb.CompleteTaskResponse:
        """`CompleteOrchestratorTask`. Answered once the turn is durable; a late one is answered, too, without effect."""
        if request.completionToken:
            token = self._token(hub, request.completionToken)

            if token is None or token.task.task_id != TURN:
                log.info("nobody waits for the turn of instance %s", request.instanceId)
                return pb.CompleteTaskResponse()

            await self._orchestrations.complete(token.task.instance, token.attempt, request)
        else:
            await self._orchestrations.complete(InstanceKey(hub, _instance_id(request)), "", request)

        return pb.CompleteTaskResponse()

    async def abandon_activity(
        self, hub: str, request: pb.AbandonActivityTaskRequest
    ) -> pb.AbandonActivityTaskResponse:
        """`AbandonTaskActivityWorkItem`: it is offered again, later."""
        token = self._token(hub, request.completionToken)

        if token is not None and token.task.task_id >= 0:
            self._activities.abandon(token.task, token.attempt)

        return pb.AbandonActivityTaskResponse()

    async def abandon_orchestrator(
        self, hub: str, request: pb.AbandonOrchestrationTaskRequest
    ) -> pb.AbandonOrchestrationTaskResponse:
        """`AbandonTaskOrchestratorWorkItem`: it is offered again, later."""
        token = self._token(hub, request.completionToken)

        if token is not None and token.task.task_id == TURN:
            self._orchestrations.abandon(token.task.instance, token.attempt)

        return pb.AbandonOrchestrationTaskResponse()

    async def complete_entity(self, hub: str, request: pb.EntityBatchResult) -> pb.CompleteTaskResponse:
        """`CompleteEntityTask`. Answered once the operations are durable; a late one is answered, too, without effect."""
        token = self._token(hub, request.completionToken)

        if token is None or token.task.task_id != OPERATIONS:
            log.info("nobody waits for the results of these operations of an entity; the completion token is not one")
        else:
            await self._operations.complete(token.task.instance, token.attempt, request)

        return pb.CompleteTaskResponse()

    async def abandon_entity(self, hub: str, request: pb.AbandonEntityTaskRequest) -> pb.AbandonEntityTaskResponse:
        """`AbandonTaskEntityWorkItem`: they are offered again, later."""
        token = self._token(hub, request.completionToken)

        if token is not None and token.task.task_id == OPERATIONS:
            self._operations.abandon(token.task.instance, token.attempt)

        return pb.AbandonEntityTaskResponse()

    def _token(self, hub: str, text: str) -> Token | None:
        token = self._hub.signer_of(hub).read(text)

        # A hub's secret signs for that hub alone.
        return token if token is not None and token.task.hub == hub else None


def _limit(request: pb.GetWorkItemsRequest, field: str) -> int:
    value: int = getattr(request, field)

    if value < 0:
        raise InvalidRequestError(
            field, f"is {value}; give the number of items to hold at a time, or 0 for the default"
        )

    return value


def _instance_id(request: pb.ActivityResponse | pb.OrchestratorResponse) -> str:
    if not request.instanceId:
        raise InvalidRequestError("completionToken", "must not be empty; give back the token of the work item")

    return request.instanceId
