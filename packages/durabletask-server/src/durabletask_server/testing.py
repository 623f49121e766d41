"""Doubles for those who test what is built on the engine."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from inspect import isawaitable
from itertools import count
from typing import TYPE_CHECKING, TypeVar

import grpc
from durabletask_backend.contract import Backend
from durabletask_backend.values import Micros
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub

from durabletask_server.clock import Clock
from durabletask_server.measures import Measures
from durabletask_server.service.sidecar import SERVER_OPTIONS, attach
from durabletask_server.settings import Settings
from durabletask_server.taskhub import TaskHubWorker

if TYPE_CHECKING:
    from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceAsyncStub

__all__ = ["ExecutorDouble", "ManualAlarm", "ManualClock", "Served", "serving"]

T = TypeVar("T")


class ManualClock:
    """A clock that stands still until it is told to move.

    Args:
        now: What time it starts at.
    """

    def __init__(self, now: Micros = 1_700_000_000_000_000) -> None:
        self._now = now
        self._alarms: list[tuple[Micros, int, ManualAlarm]] = []
        self._order = count()

    def now(self) -> Micros:
        """The time."""
        return self._now

    def call_at(self, at: Micros, callback: Callable[[], None]) -> ManualAlarm:
        """Call back when the clock is moved to `at` or beyond."""
        alarm = ManualAlarm(callback)
        heapq.heappush(self._alarms, (at, next(self._order), alarm))

        return alarm

    def advance(self, micros: Micros) -> None:
        """Move on, ringing on the way every alarm when it is due."""
        until = self._now + micros

        while self._alarms and self._alarms[0][0] <= until:
            at, _, alarm = heapq.heappop(self._alarms)
            self._now = max(self._now, at)
            alarm.ring()

        self._now = until


class ManualAlarm:
    """A call that is to come.

    Args:
        callback: The call.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not call."""
        self._callback = None

    def ring(self) -> None:
        """Call, unless it was cancelled."""
        if self._callback is not None:
            self._callback()


class ExecutorDouble:
    """An executor that does what a test says, and remembers what it was asked. It is a `durabletask_server.executor.Executor`.

    Each of its answers is a function of the request, which may be an `async def` and may raise: then the work is offered again.

    Args:
        orchestrator: Takes turns; None to end each orchestration at once, without a result.
        activity: Runs activities; None to give back the input.
        entity: Runs operations; None for results that are empty, and the state as it is.
    """

    def __init__(
        self,
        *,
        orchestrator: Callable[[pb.OrchestratorRequest], pb.OrchestratorResponse | Awaitable[pb.OrchestratorResponse]]
        | None = None,
        activity: Callable[[pb.ActivityRequest], pb.ActivityResponse | Awaitable[pb.ActivityResponse]] | None = None,
        entity: Callable[[pb.EntityBatchRequest], pb.EntityBatchResult | Awaitable[pb.EntityBatchResult]] | None = None,
    ) -> None:
        self.turns: list[pb.OrchestratorRequest] = []
        """The turns it was asked to take, in order."""
        self.activities: list[pb.ActivityRequest] = []
        """The activities it was asked to run, in order."""
        self.batches: list[pb.EntityBatchRequest] = []
        """The operations it was asked to run, in order."""
        self._orchestrator = orchestrator or _ended
        self._activity = activity or _echoed
        self._entity = entity or _unchanged

    async def orchestrator(self, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
        """See `Executor.orchestrator`."""
        self.turns.append(request)

        return await _awaited(self._orchestrator(request))

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        """See `Executor.activity`."""
        self.activities.append(request)

        return await _awaited(self._activity(request))

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        """See `Executor.entity`."""
        self.batches.append(request)

        return await _awaited(self._entity(request))


async def _awaited(answer: T | Awaitable[T]) -> T:
    return await answer if isawaitable(answer) else answer


def _ended(request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
    response = pb.OrchestratorResponse(instanceId=request.instanceId)
    response.actions.add(id=-1).completeOrchestration.orchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED

    return response


def _echoed(request: pb.ActivityRequest) -> pb.ActivityResponse:
    return pb.ActivityResponse(
        instanceId=request.orchestrationInstance.instanceId,
        taskId=request.taskId,
        result=request.input if request.HasField("input") else None,
    )


def _unchanged(request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
    return pb.EntityBatchResult(
        results=[pb.OperationResult(success=pb.OperationResultSuccess()) for _ in request.operations],
        entityState=request.entityState if request.HasField("entityState") else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An engine behind a gRPC port, in the process of a test."""

    hub: TaskHubWorker
    """The engine."""
    address: str
    """`host:port`."""
    channel: grpc.aio.Channel
    """A connection to it."""
    stub: TaskHubSidecarServiceAsyncStub
    """Calls it, by gRPC."""


@asynccontextmanager
async def serving(
    backend: Backend,
    *,
    clock: Clock | None = None,
    settings: Settings | None = None,
    measures: Measures | None = None,
    options: Sequence[tuple[str, int]] = SERVER_OPTIONS,
) -> AsyncIterator[Served]:
    """Serve an engine on a free port, for as long as the context lasts. It stops without a drain, as if nothing were under way.

    Args:
        backend: Where everything is kept; not opened yet.
        clock: Its time; None for the system's.
        settings: Its limits and delays; None for the defaults.
        measures: Is told of what happens.
        options: The gRPC server's.
    """
    hub = TaskHubWorker(backend, clock=clock, settings=settings, measures=measures)
    await hub.start()
    server = grpc.aio.server(options=options)
    attach(server, hub)
    address = f"localhost:{server.add_insecure_port('localhost:0')}"
    await server.start()

    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Served(hub=hub, address=address, channel=channel, stub=TaskHubSidecarServiceStub(channel))
    finally:
        await hub.drain(0)
        await server.stop(None)
        await hub.close()
