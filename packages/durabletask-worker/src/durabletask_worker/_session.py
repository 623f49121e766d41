"""A worker's time with its server: keeps a stream open, does the work that comes, and drains at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import grpc
from durabletask_client.backoff import Backoff
from durabletask_client.channel import Metadata
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker._executor import Executor
from durabletask_worker._hub import Hub, Kind
from durabletask_worker.concurrency import ConcurrencyOptions

_UNWIND_TIMEOUT = 1.0
"""Seconds that cancelled activities get to unwind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What is fixed for a session. Times are in seconds."""

    open_channel: Callable[[], grpc.aio.Channel]
    """Makes the connection, on the event loop that runs."""
    metadata: Callable[[], Metadata]
    """What goes along with a call."""
    concurrency: ConcurrencyOptions
    """How much work to take on at a time."""
    silence: float | None
    """How long the server may be silent before the stream counts as lost; None for ever."""
    grace: float
    """How long to wait at the end for what runs."""
    backoff: Backoff = field(default_factory=Backoff)
    """How long to pause between attempts."""


class _Held(NamedTuple):
    """A work item that is not answered yet."""

    kind: Kind
    token: str


class Session:
    """One run of a worker, from start to stop.

    Args:
        settings: What is fixed.
        executor: Runs user code; closed at the end.
        logger: Where news go.
    """

    def __init__(self, settings: SessionSettings, executor: Executor, logger: logging.Logger) -> None:
        self._settings = settings
        self._executor = executor
        self._logger = logger
        self._stopping = asyncio.Event()
        self._is_draining = False
        self._activity_slots = asyncio.Semaphore(settings.concurrency.maximum_concurrent_activity_work_items)
        self._failures = 0
        self._running: dict[asyncio.Task[None], _Held] = {}
        self._declined: list[_Held] = []

    def stop(self) -> None:
        """Have `run` drain and return. To be called on the session's event loop."""
        self._is_draining = True
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`, or until cancelled; both drain."""
        async with self._settings.open_channel() as channel:
            hub = Hub(channel, self._settings.metadata, self._logger, self._settings.backoff)
            streaming = asyncio.create_task(self._stream_for_ever(hub))
            stopping = asyncio.create_task(self._stopping.wait())

            try:
                await asyncio.wait((streaming, stopping), return_when=asyncio.FIRST_COMPLETED)
                await self._drain(hub)
            except asyncio.CancelledError:
                await self._drain(hub)

                raise
            finally:
                streaming.cancel()
                stopping.cancel()
                await asyncio.wait((streaming, stopping))
                self._executor.close()

            # It never ends by itself, unless it is broken.
            if not streaming.cancelled():
                streaming.result()

    async def _stream_for_ever(self, hub: Hub) -> NoReturn:
        while True:
            try:
                await self._stream(hub)
                self._logger.info("the server ended the stream of work; opening another one")
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                reason = error.details() if isinstance(error, grpc.aio.AioRpcError) else "the server is silent"
                level = logging.DEBUG if self._failures else logging.WARNING
                self._logger.log(level, "no stream of work: %s; trying again until there is one", reason)
            except Exception:
                # Of the user's function for the metadata, say, which may do better the next time.
                self._logger.exception("no stream of work; trying again until there is one")

            self._failures += 1
            await asyncio.sleep(self._settings.backoff.delay(self._failures))

    async def _stream(self, hub: Hub) -> None:
        silence, concurrency = self._settings.silence, self._settings.concurrency
        request = pb.GetWorkItemsRequest(
            maxConcurrentOrchestrationWorkItems=concurrency.maximum_concurrent_orchestration_work_items,
            maxConcurrentActivityWorkItems=concurrency.maximum_concurrent_activity_work_items,
            capabilities=[pb.WORKER_CAPABILITY_HISTORY_STREAMING],
        )
        now = asyncio.get_running_loop().time

        async with asyncio.timeout(silence) as patience, aclosing(hub.work_items(request)) as items:
            async for item in items:
                self._failures = 0

                if silence is not None:
                    patience.reschedule(now() + silence)

                self._accept(hub, item)

    def _accept(self, hub: Hub, item: pb.WorkItem) -> None:
        name = item.WhichOneof("request")

        # What is not known is no work of ours.
        if name is None or name == "healthPing":
            return

        held = _Held(Kind(name), item.completionToken)

        if self._is_draining:
            # Given back at the end: at once, it would only make room for the next.
            self._declined.append(held)
        else:
            task = asyncio.create_task(self._process(hub, held, item))
            self._running[task] = held
            task.add_done_callback(self._running.pop)

    async def _process(self, hub: Hub, held: _Held, item: pb.WorkItem) -> None:
        try:
            match held.kind:
                case Kind.TURN:
                    await hub.complete(await self._turn(hub, item.orchestratorRequest, held.token))
                case Kind.ACTIVITY:
                    await hub.complete(await self._activity(item.activityRequest, held.token))
                case Kind.ENTITY | Kind.ENTITY_V2:
                    self._logger.warning("this worker has no entities; the work item is given back")
                    await hub.abandon(*held)
        except grpc.aio.AioRpcError as error:
            self._logger.error("a %s is given back: %s: %s", held.kind.value, error.code().name, error.details())
            await hub.abandon(*held)
        except Exception:
            self._logger.exception("a %s is given back", held.kind.value)
            await hub.abandon(*held)

    async def _turn(self, hub: Hub, request: pb.OrchestratorRequest, token: str) -> pb.OrchestratorResponse:
        past_events = await hub.history(request) if request.requiresHistoryStreaming else request.pastEvents

        return self._executor.turn(request, past_events, token)

    async def _activity(self, request: pb.ActivityRequest, token: str) -> pb.ActivityResponse:
        async with self._activity_slots:
            return await self._executor.activity(request, token)

    async def _drain(self, hub: Hub) -> None:
        """Let what runs come to its end, for a while; then give back the rest."""
        self._is_draining = True

        if self._running:
            await asyncio.wait(self._running, timeout=self._settings.grace)

        abandoned = [*self._running.values(), *self._declined]

        if self._running:
            self._logger.warning("%d work items are still running at the end and are given back", len(self._running))

            for task in self._running:
                task.cancel()

            await asyncio.wait(self._running, timeout=_UNWIND_TIMEOUT)

        await asyncio.gather(*(hub.abandon(*held) for held in abandoned))
