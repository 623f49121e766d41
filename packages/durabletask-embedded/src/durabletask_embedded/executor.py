"""The code of a registry as an executor of an engine in this process."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from durabletask_client import DataConverter, JsonDataConverter
from durabletask_client.failures import DefaultFailureConverter, FailureConverter
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing.emission import emit
from durabletask_worker import ConcurrencyOptions, Middleware, Registry, RetryPolicy, VersioningOptions
from durabletask_worker._executor import Executor
from durabletask_worker.execution.host import Host
from durabletask_worker.nondeterminism.guard import guard

__all__ = ["RegistryExecutor"]


class RegistryExecutor:
    """Runs the orchestrators, activities and entities of a registry. It is a `durabletask_server.executor.Executor`, to be attached to an
    engine, alone or as a route of a `RoutedExecutor`, for as long as it is in its `async with`.

    `TaskHub` needs none: it hosts its registry by a worker, which drains and says how it is doing, too.

    Args:
        registry: The code.
        data_converter: Turns values into payloads and back; None for JSON.
        failure_converter: Turns exceptions into failures and back.
        default_retry_policy: For activities and sub-orchestrations that are called without one.
        versioning: Which versions of orchestrations to run.
        concurrency: How many threads to have, and how many orchestrations to keep in memory.
        middleware: What stands around user code; the first is the outermost.
        slow_turn_warning: After how many seconds orchestrator code that blocks is reported; None for never.
        turn_timeout: After how many seconds it is given up; None for never.
        logger: Where oddities go.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        data_converter: DataConverter | None = None,
        failure_converter: FailureConverter | None = None,
        default_retry_policy: RetryPolicy | None = None,
        versioning: VersioningOptions | None = None,
        concurrency: ConcurrencyOptions | None = None,
        middleware: Sequence[Middleware] = (),
        slow_turn_warning: float | None = 1.0,
        turn_timeout: float | None = 30.0,
        logger: logging.Logger | None = None,
    ) -> None:
        self._logger = logger or logging.getLogger("durabletask_worker")
        self._host = Host(
            registry=registry,
            converter=data_converter or JsonDataConverter(),
            failures=failure_converter or DefaultFailureConverter(),
            logger=self._logger,
            default_retry_policy=default_retry_policy,
            guard=guard,
        )
        self._versioning = versioning or VersioningOptions()
        self._concurrency = concurrency or ConcurrencyOptions()
        self._middleware = middleware
        self._slow_turn_warning = slow_turn_warning
        self._turn_timeout = turn_timeout
        self._executor: Executor | None = None

    async def orchestrator(self, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
        """See `durabletask_server.executor.Executor.orchestrator`."""
        response, spans = await self._running().orchestrations.turn(request, _has_come_along, "")
        emit(spans)

        return response

    async def activity(self, request: pb.ActivityRequest) -> pb.ActivityResponse:
        """See `durabletask_server.executor.Executor.activity`."""
        return await self._running().activities.run(request, "")

    async def entity(self, request: pb.EntityBatchRequest) -> pb.EntityBatchResult:
        """See `durabletask_server.executor.Executor.entity`."""
        return await self._running().entity(request, "")

    async def __aenter__(self) -> Self:
        self._executor = Executor(
            self._host,
            middleware=self._middleware,
            versioning=self._versioning,
            concurrency=self._concurrency,
            slow_turn_warning=self._slow_turn_warning,
            turn_timeout=self._turn_timeout,
            logger=self._logger,
        )

        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            await self._executor.close()
            self._executor = None

    def _running(self) -> Executor:
        if self._executor is None:
            raise RuntimeError("a RegistryExecutor runs nothing outside of its `async with`")

        return self._executor


async def _has_come_along(request: pb.OrchestratorRequest) -> Sequence[pb.HistoryEvent]:
    """The history of a turn that an engine has put in."""
    return request.pastEvents
