"""The stand-alone server: an engine behind a gRPC port, from start to drain."""

from __future__ import annotations

import asyncio
import logging
import signal

import grpc
from durabletask_backend.contract import Backend

from durabletask_server.service.sidecar import SERVER_OPTIONS, attach
from durabletask_server.settings import Settings
from durabletask_server.taskhub import TaskHubWorker

log = logging.getLogger(__name__)

_FAREWELL = 1.0
"""Seconds for calls that are being answered, once all work is drained."""


class AddressInUseError(Exception):
    """The address cannot be listened on."""


async def serve(backend: Backend, *, host: str, port: int, grace: float, settings: Settings) -> None:
    """Serve a backend until SIGINT or SIGTERM, then drain.

    Args:
        backend: Where everything is kept; not opened yet.
        host: The name or address to listen on.
        port: The port; 0 for any that is free, which is logged.
        grace: Seconds that work in flight has to be finished when the server is told to stop.
        settings: The engine's.

    Raises:
        BackendError: The backend cannot be opened, or was lost to another server.
        AddressInUseError: The address cannot be listened on.
    """
    hub = TaskHubWorker(backend, settings=settings)
    stopped = asyncio.create_task(_signalled(), name="signals")
    log.info("opening %s", backend.description)
    await hub.start()

    try:
        server = grpc.aio.server(options=SERVER_OPTIONS)
        attach(server, hub)
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
