"""Executors: what runs work items in the engine's own process. Those in other processes come by gRPC, as `GetWorkItems` streams."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from durabletask_backend.values import InstanceKey
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind, StreamOptions, WorkerStream
from durabletask_server.engine.framing import split
from durabletask_server.live import is_rewinding
from durabletask_server.service.workitems import WorkItemRpcs
from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker
from durabletask_server.waiters import ServerStoppingError

__all__ = ["Executor", "RoutedExecutor", "attach_executor"]

log = logging.getLogger(__name__)


class Executor(Protocol):
    """Runs work items. What raises is offered again, later; a failure of the user's code is an answer like any other."""

    async def orchestrator(self, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
        """Take a turn of an orchestration.

        Args:
            request: The whole history, and what is new.

        Returns:
            What the orchestrator wants.
        """
        ...

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        """Run an activity.

        Args:
            request: Which, and its input.

        Returns:
            Its result, or its failure.
        """
        ...

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        """Run operations of an entity.

        Args:
            request: The entity, its state, and the operations.

        Returns:
            Their results, and the state after them.
        """
        ...


class RoutedExecutor:
    """An executor that leaves the work to others, by the name of the orchestrator, the activity or the entity.

    Args:
        routes: Who does what; names are compared without regard to case.
        otherwise: Who does the rest.
    """

    def __init__(self, routes: Mapping[str, Executor], otherwise: Executor) -> None:
        self._routes = {name.lower(): executor for name, executor in routes.items()}
        self._otherwise = otherwise

    async def orchestrator(self, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
        """See `Executor.orchestrator`."""
        events = (event for part in (request.pastEvents, request.newEvents) for event in part)
        name = next((event.executionStarted.name for event in events if event.HasField("executionStarted")), "")

        return await self._of(name).orchestrator(request)

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        """See `Executor.activity`."""
        return await self._of(request.name).activity(request)

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        """See `Executor.entity`."""
        # `@name@key`
        return await self._of(request.instanceId.split("@")[1]).entity(request)

    def _of(self, name: str) -> Executor:
        return self._routes.get(name.lower(), self._otherwise)


@asynccontextmanager
async def attach_executor(
    hub: TaskHubWorker,
    executor: Executor,
    *,
    taskhub: str = DEFAULT_HUB,
    filters: WorkFilters | None = None,
    limits: Mapping[Kind, int] | None = None,
) -> AsyncIterator[None]:
    """Have an executor do work of a started engine, for as long as the context lasts. Several may be attached, and remote workers
    beside them: each is given what its filters admit, and has room for.

    Args:
        hub: The engine.
        executor: Does the work, on this event loop.
        taskhub: Whose work.
        filters: Which work; None for all.
        limits: How much of each kind at a time; None, or 0, for the engine's default.

    Raises:
        ServerStoppingError: The engine drains.
    """
    if hub.dispatcher.draining:
        raise ServerStoppingError

    options = StreamOptions(
        hub=taskhub,
        limits=limits or {},
        filters=filters or WorkFilters(),
        history_streaming=True,
        batch_entities=True,
    )
    stream = hub.dispatcher.open(options)
    attachment = _Attachment(hub, executor, stream)
    working = asyncio.create_task(attachment.run(), name=f"executor {stream.number}")

    try:
        yield
    finally:
        # What it holds is ready again, for others or for the next start.
        hub.dispatcher.close(stream)
        working.cancel()
        await asyncio.wait([working])


class _Attachment:
    """An executor at work."""

    def __init__(self, hub: TaskHubWorker, executor: Executor, stream: WorkerStream) -> None:
        self._hub = hub
        self._taskhub = stream.options.hub
        self._executor = executor
        self._stream = stream
        self._answers = WorkItemRpcs(hub)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as running:
            while (items := await self._stream.outgoing()) is not None:
                for item in items:
                    running.create_task(self._process(pb.WorkItem.FromString(item)))

    async def _process(self, item: pb.WorkItem) -> None:
        hub, token = self._taskhub, item.completionToken

        try:
            match item.WhichOneof("request"):
                case "orchestratorRequest":
                    turn = await self._executor.orchestrator(await self._whole(item.orchestratorRequest))
                    turn.completionToken = token
                    await self._answers.complete_orchestrator(hub, turn)
                case "activityRequest":
                    result = await self._executor.activity(item.activityRequest)
                    result.completionToken = token
                    await self._answers.complete_activity(hub, result)
                case "entityRequest":
                    batch = await self._executor.entity(item.entityRequest)
                    batch.completionToken = token
                    await self._answers.complete_entity(hub, batch)
                case _:
                    # A health ping.
                    pass
        except Exception:
            log.exception("a work item is given back: its executor, or the commit of its answer, failed")
            await self._abandon(item)

    async def _abandon(self, item: pb.WorkItem) -> None:
        hub, token = self._taskhub, item.completionToken

        match item.WhichOneof("request"):
            case "orchestratorRequest":
                await self._answers.abandon_orchestrator(hub, pb.AbandonOrchestrationTaskRequest(completionToken=token))
            case "activityRequest":
                await self._answers.abandon_activity(hub, pb.AbandonActivityTaskRequest(completionToken=token))
            case _:
                await self._answers.abandon_entity(hub, pb.AbandonEntityTaskRequest(completionToken=token))

    async def _whole(self, request: pb.OrchestratorRequest) -> pb.OrchestratorRequest:
        """The turn with its history, which is left out of an item when it is long."""
        if request.requiresHistoryStreaming:
            key = InstanceKey(self._taskhub, request.instanceId)
            execution_id = request.executionId.value or None

            async for part in self._hub.instances.history(key, execution_id=execution_id):
                for event in split(part.events):
                    if not is_rewinding(event):
                        request.pastEvents.append(pb.HistoryEvent.FromString(event))

            request.requiresHistoryStreaming = False

        return request
