"""The stand-alone server: an engine behind a gRPC port, from start to drain."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import grpc
from durabletask_backend.contract import Backend

from durabletask_server.observability.health import Health
from durabletask_server.observability.http import http_endpoints
from durabletask_server.observability.metrics import gauged, measures
from durabletask_server.observability.reflection import reflect
from durabletask_server.service.sidecar import SERVER_OPTIONS, attach
from durabletask_server.settings import Settings
from durabletask_server.taskhub import TaskHubWorker

log = logging.getLogger(__name__)

_FAREWELL = 1.0
"""Seconds for calls that are being answered, once all work is drained."""


class AddressInUseError(Exception):
    """The address cannot be listened on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How `/livez`, `/readyz` and `/metrics` are served, on the host of the server."""

    port: int
    """0 for any that is free, which is logged."""
    exposition: Callable[[], tuple[str, bytes]] | None = None
    """Gives the content type and the text of the metrics; None: there are none."""


async def serve(
    backend: Backend, *, host: str, port: int, grace: float, settings: Settings, http: HttpOptions | None = None
) -> None:
    """Serve a backend until SIGINT or SIGTERM, then drain.

    Args:
        backend: Where everything is kept; not opened yet.
        host: The name or address to listen on.
        port: The port; 0 for any that is free, which is logged.
        grace: Seconds that work in flight has to be finished when the server is told to stop.
        settings: The engine's.
        http: What to serve over HTTP, too; None for nothing.

    Raises:
        BackendError: The backend cannot be opened, or was lost to another server.
        AddressInUseError: The address cannot be listened on.
        PortInUseError: That for HTTP cannot.
    """
    hub = TaskHubWorker(backend, settings=settings, measures=measures())
    stopped = asyncio.create_task(_signalled(), name="signals")
    log.info("opening %s", backend.description)
    await hub.start()

    try:
        server = grpc.aio.server(options=SERVER_OPTIONS)
        attach(server, hub)
        health = Health(hub)
        health.attach(server)
        reflect(server)

        async with AsyncExitStack() as watching:
            await watching.enter_async_context(health.watched())
            await watching.enter_async_context(gauged(hub))

            if http is not None:
                endpoints = http_endpoints(host, http.port, lambda: health.problem, http.exposition)
                log.info("HTTP on port %d", watching.enter_context(endpoints))

            address = await _listen(server, host, port)
            log.info("listening on %s", address)
            await asyncio.wait([stopped, hub.failed], return_when=asyncio.FIRST_COMPLETED)

        if stopped.done():
            log.info("stopping: work in flight has %g s", grace)
            again = asyncio.create_task(_signalled(), name="signals")
            drained = asyncio.create_task(hub.drain(grace), name="drain")
            await asyncio.wait([drained, again], return_when=asyncio.FIRST_COMPLETED)
            again.cancel()
            drained.cancel()

        # From here on a signal ends the process at once, should the store not let it go.
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)

        await server.stop(_FAREWELL)
    finally:
        stopped.cancel()
        await hub.close()

    if hub.failed.done():
        hub.failed.result()

    log.info("stopped")


async def _listen(server: grpc.aio.Server, host: str, port: int) -> str:
    address = f"[{host}]" if ":" in host else host

    try:
        bound = server.add_insecure_port(f"{address}:{port}")
    except RuntimeError as error:
        raise AddressInUseError(f"cannot listen on {address}:{port}: {error}") from error

    await server.start()

    return f"{address}:{bound}"


async def _signalled() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)

    await told.wait()
