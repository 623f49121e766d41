"""From work items to their answers: runs user code, and turns whatever it raises into failures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from durabletask_client.entities import EntityInstanceId
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import names
from durabletask_protos.tracing.emission import Ending, emitter
from durabletask_protos.tracing.spans import operation_attributes

from durabletask_worker._activities import Activities
from durabletask_worker._orchestrations import Orchestrations
from durabletask_worker._threads import Threads, is_cancellation
from durabletask_worker.concurrency import ConcurrencyOptions
from durabletask_worker.execution.entity_batch import RequestedOperation, run_batch
from durabletask_worker.execution.host import Host
from durabletask_worker.middleware import Middleware, Pipeline
from durabletask_worker.versioning import VersioningOptions

__all__ = ["Executor"]


class Executor:
    """Runs user code. To be made, and used, on an event loop.

    Args:
        host: The worker, but for its middleware.
        middleware: What stands around user code; the first is the outermost.
        versioning: Which versions of orchestrations to run.
        concurrency: How many threads to have, and how many orchestrations to keep in memory.
        slow_turn_warning: After how many seconds orchestrator code that blocks is reported; None for never.
        turn_timeout: After how many seconds it is given up; None for never.
        logger: Where oddities go.
    """

    def __init__(
        self,
        host: Host,
        *,
        middleware: Sequence[Middleware],
        versioning: VersioningOptions,
        concurrency: ConcurrencyOptions,
        slow_turn_warning: float | None,
        turn_timeout: float | None,
        logger: logging.Logger,
    ) -> None:
        pipeline = Pipeline(middleware, host.converter)
        host = replace(host, begin=pipeline.begin, default_version=versioning.default_version)
        self._host = host
        self._around = pipeline.around
        self._threads = Threads(concurrency.maximum_thread_pool_workers)
        self.activities = Activities(host, pipeline, self._threads, logger)
        self.orchestrations = Orchestrations(
            host,
            versioning=versioning,
            limit=concurrency.maximum_live_executions,
            slow_turn_warning=slow_turn_warning,
            turn_timeout=turn_timeout,
            logger=logger,
        )

    async def entity(self, request: pb.EntityBatchRequest | pb.EntityRequest, token: str) -> pb.EntityBatchResult:
        """Run operations of an entity.

        Args:
            request: The operations.
            token: What to answer under.

        Returns:
            The answer.

        Raises:
            ValueError: There are others than operations of entities in the request.
        """
        result = await run_batch(
            self._host, request, self._threads.run, around=self._around, spans=_span, interrupts=is_cancellation
        )
        result.completionToken = token

        return result

    async def close(self) -> None:
        """Start nothing more, and do not wait for threads that run."""
        self._threads.close()
        await self.orchestrations.close()


@contextmanager
def _span(entity_id: EntityInstanceId, operation: RequestedOperation) -> Iterator[Ending | None]:
    """The span of an operation, if there are to be spans."""
    tracing = emitter()

    if tracing is None:
        yield None

        return

    id_ = str(entity_id)
    attributes = operation_attributes(id_, operation.name)

    with tracing.server(names.entity(id_, operation.name), operation.trace, attributes) as span:
        yield span
