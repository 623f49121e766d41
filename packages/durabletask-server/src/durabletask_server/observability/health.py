"""Whether the engine can do its work: for the standard gRPC health service, and for `/readyz`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from durabletask_backend.errors import BackendError
from durabletask_backend.values import InstanceKey
from grpc_health.v1.health import OVERALL_HEALTH
from grpc_health.v1.health import aio as health
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker

log = logging.getLogger(__name__)

SERVICE = "TaskHubSidecarService"
_LOOKED_EVERY = 2.0
"""Seconds between two looks at the backend."""
_PATIENCE = 5.0
"""Seconds that it may take to answer."""
# No instance has it; to look for one is to ask the store.
_NOBODY = InstanceKey(DEFAULT_HUB, "@health@")


class Health:
    """Looks at an engine and its backend now and then, and knows how they were.

    Args:
        hub: The engine.
    """

    def __init__(self, hub: TaskHubWorker) -> None:
        self.problem: str | None = "it is starting"
        """Why no work can be done; None: it can. May be read from any thread."""
        self._hub = hub
        self._service = health.HealthServicer()

    def attach(self, server: grpc.aio.Server) -> None:
        """Put the health service on a server, which has not started."""
        add_HealthServicer_to_server(self._service, server)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look for as long as the context lasts; the engine has started."""
        await self.look()
        looking = asyncio.create_task(self._look_for_ever(), name="health")

        try:
            yield
        finally:
            looking.cancel()
            await self._set("it has stopped")

    async def look(self) -> None:
        """Look now."""
        problem = await self._found()

        if problem is None and self.problem is not None:
            log.info("ready")
        elif problem != self.problem:
            log.warning("not ready: %s", problem)

        await self._set(problem)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_LOOKED_EVERY)
            await self.look()

    async def _found(self) -> str | None:
        if self._hub.failed.done():
            return "the engine cannot go on"

        if self._hub.dispatcher.draining:
            return "it is stopping"

        if self._hub.is_storage_failing:
            return "the backend does not take commits"

        try:
            async with asyncio.timeout(_PATIENCE):
                await self._hub.backend.get(_NOBODY, payloads=False)
        except TimeoutError:
            return f"the backend did not answer within {_PATIENCE:g} s"
        except BackendError as error:
            return f"the backend does not answer: {error}"

        return None

    async def _set(self, problem: str | None) -> None:
        self.problem = problem
        status = HealthCheckResponse.SERVING if problem is None else HealthCheckResponse.NOT_SERVING

        for service in (OVERALL_HEALTH, SERVICE):
            await self._service.set(service, status)
