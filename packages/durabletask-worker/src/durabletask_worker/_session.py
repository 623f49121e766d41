"""A worker's time with its server: keeps a stream open, does the work that comes, and drains at the end."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn, TypeAlias

import grpc
from durabletask_client.backoff import Backoff
from durabletask_client.channel import CallMetadata
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import Span
from durabletask_protos.tracing.emission import emit

from durabletask_worker._answers import Answer
from durabletask_worker._executor import Executor
from durabletask_worker._hub import Hub, Kind
from durabletask_worker._orchestrations import RejectedError
from durabletask_worker._turns import TurnTimeoutError
from durabletask_worker.concurrency import ConcurrencyOptions
from durabletask_worker.filters import WorkItemFilters
from durabletask_worker.statistics import WorkerStatistics

_PATIENCE_LEFT = 0.9
"""Which share of the patience with a silent server is left when a sign of life renews it."""
_Answered: TypeAlias = tuple[Answer, Sequence[Span]]

_UNWIND_TIMEOUT = 1.0
"""Seconds that cancelled activities get to unwind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """What is fixed for a session. Times are in seconds."""

    open_channel: Callable[[], AbstractAsyncContextManager[grpc.aio.Channel]]
    """Makes the connection, on the event loop that runs."""
    metadata: CallMetadata
    """What goes along with a call."""
    concurrency: ConcurrencyOptions
    """How much work to take on at a time."""
    filters: WorkItemFilters | None
    """Which work to ask for; None for all."""
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
        make_executor: Makes what runs user code, on the event loop. It is closed at the end.
        logger: Where news go.
    """

    def __init__(
        self, settings: SessionSettings, make_executor: Callable[[], Executor], logger: logging.Logger
    ) -> None:
        self._settings = settings
        self._make_executor = make_executor
        self._logger = logger
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._is_draining = False
        self._is_connected = False
        concurrency = settings.concurrency
        self._activity_slots = asyncio.Semaphore(concurrency.maximum_concurrent_activity_work_items)
        self._entity_slots = asyncio.Semaphore(concurrency.maximum_concurrent_entity_work_items)
        self._failures = 0
        self._running: dict[asyncio.Task[None], _Held] = {}
        self._declined: list[_Held] = []
        self._executor: Executor | None = None
        self._completed = self._abandoned = 0

    def stop(self) -> None:
        """Have `run` drain and return; at the second call, without waiting for what runs. To be called on the event loop."""
        if self._is_draining:
            self._hurrying.set()

        self._is_draining = True
        self._stopping.set()

    def statistics(self) -> WorkerStatistics:
        """Say how it is. May be called from any thread."""
        running = Counter(held.kind for held in list(self._running.values()))
        orchestrations = None if self._executor is None else self._executor.orchestrations

        return WorkerStatistics(
            is_connected=self._is_connected,
            running_orchestrations=running[Kind.TURN],
            running_activities=running[Kind.ACTIVITY],
            running_entities=running[Kind.ENTITY] + running[Kind.ENTITY_V2],
            live_executions=0 if orchestrations is None else orchestrations.live,
            replays=0 if orchestrations is None else orchestrations.replays,
            completed=self._completed,
            abandoned=self._abandoned,
            blocked_turns=0 if orchestrations is None else orchestrations.blocked,
        )

    async def run(self) -> None:
        """Work until `stop`, or until cancelled; both drain."""
        async with self._settings.open_channel() as channel:
            hub = Hub(channel, self._settings.metadata, self._logger, self._settings.backoff)
            self._executor = executor = self._make_executor()
            streaming = asyncio.create_task(self._stream_for_ever(hub, executor))
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
                await executor.close()

            # It never ends by itself, unless it is broken.
            if not streaming.cancelled():
                streaming.result()

    async def _stream_for_ever(self, hub: Hub, executor: Executor) -> NoReturn:
        while True:
            try:
                await self._stream(hub, executor)
                self._logger.info("the server ended the stream of work; opening another one")
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                reason = error.details() if isinstance(error, grpc.aio.AioRpcError) else "the server is silent"
                level = logging.DEBUG if self._failures else logging.WARNING
                self._logger.log(level, "no stream of work: %s; trying again until there is one", reason)
            except Exception:
                # Of the user's function for the metadata, say, which may do better the next time.
                self._logger.exception("no stream of work; trying again until there is one")
            finally:
                self._is_connected = False

            self._failures += 1
            await asyncio.sleep(self._settings.backoff.delay(self._failures))

    async def _stream(self, hub: Hub, executor: Executor) -> None:
        silence, concurrency, filters = self._settings.silence, self._settings.concurrency, self._settings.filters
        request = pb.GetWorkItemsRequest(
            maxConcurrentOrchestrationWorkItems=concurrency.maximum_concurrent_orchestration_work_items,
            maxConcurrentActivityWorkItems=concurrency.maximum_concurrent_activity_work_items,
            maxConcurrentEntityWorkItems=concurrency.maximum_concurrent_entity_work_items,
            capabilities=[pb.WORKER_CAPABILITY_HISTORY_STREAMING],
            workItemFilters=None if filters is None else filters.to_proto(),
        )
        await hub.hello()
        self._is_connected = True

        # Else it is said with the first item: a stream may be refused where a greeting is not.
        if not self._failures:
            self._logger.info("connected")

        items = hub.work_items(request, is_sticky=concurrency.maximum_live_executions > 0)
        now = asyncio.get_running_loop().time

        async with asyncio.timeout(silence) as patience, aclosing(items):
            async for item in items:
                if self._failures:
                    self._failures = 0
                    self._logger.info("connected again")

                # Not with each item: it makes a new timer each time.
                if silence is not None and (patience.when() or 0.0) - now() < silence * _PATIENCE_LEFT:
                    patience.reschedule(now() + silence)

                self._accept(hub, executor, item)

    def _accept(self, hub: Hub, executor: Executor, item: pb.WorkItem) -> None:
        name = item.WhichOneof("request")

        # What is not known is no work of ours.
        if name is None or name == "healthPing":
            return

        held = _Held(Kind(name), item.completionToken)

        if self._is_draining:
            # Given back at the end: at once, it would only make room for the next.
            self._declined.append(held)
        else:
            task = asyncio.create_task(self._process(hub, executor, held, item))
            self._running[task] = held
            task.add_done_callback(self._running.pop)

    async def _process(self, hub: Hub, executor: Executor, held: _Held, item: pb.WorkItem) -> None:
        try:
            answer, spans = await self._answer(hub, executor, held, item)
            await hub.complete(answer)
            self._completed += 1
            emit(spans)

            return
        except RejectedError as error:
            self._logger.info(
                "a %s of %r is given back: %s", held.kind.value, item.orchestratorRequest.instanceId, error
            )
        except TurnTimeoutError:
            # Reported already, with the stack.
            pass
        except grpc.aio.AioRpcError as error:
            self._logger.error("a %s is given back: %s: %s", held.kind.value, error.code().name, error.details())
        except Exception:
            self._logger.exception("a %s is given back", held.kind.value)

        if held.kind is Kind.TURN:
            executor.orchestrations.forget(item.orchestratorRequest.instanceId)

        await self._abandon(hub, held)

    async def _answer(self, hub: Hub, executor: Executor, held: _Held, item: pb.WorkItem) -> _Answered:
        """The answer, and the spans to make once it is delivered."""
        match held.kind:
            case Kind.TURN:
                return await executor.orchestrations.turn(item.orchestratorRequest, hub.history, held.token)
            case Kind.ACTIVITY:
                async with self._activity_slots:
                    return await executor.activities.run(item.activityRequest, held.token), ()
            case Kind.ENTITY:
                async with self._entity_slots:
                    return await executor.entity(item.entityRequest, held.token), ()
            case Kind.ENTITY_V2:
                async with self._entity_slots:
                    return await executor.entity(item.entityRequestV2, held.token), ()

    async def _abandon(self, hub: Hub, held: _Held) -> None:
        self._abandoned += 1
        await hub.abandon(*held)

    async def _drain(self, hub: Hub) -> None:
        """Let what runs come to its end, for a while; then give back the rest."""
        self._is_draining = True

        if self._running:
            await self._wait_for_running()

        abandoned = [*self._running.values(), *self._declined]

        if self._running:
            self._logger.warning("%d work items are still running at the end and are given back", len(self._running))

            for task in self._running:
                task.cancel()

            await asyncio.wait(self._running, timeout=_UNWIND_TIMEOUT)

        await asyncio.gather(*(self._abandon(hub, held) for held in abandoned))

    async def _wait_for_running(self) -> None:
        ended = asyncio.create_task(asyncio.wait(list(self._running)))
        hurrying = asyncio.create_task(self._hurrying.wait())

        try:
            await asyncio.wait((ended, hurrying), timeout=self._settings.grace, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            hurrying.cancel()
            await asyncio.wait((ended, hurrying))
