"""Our server in this process, which can be restarted under a worker."""

from __future__ import annotations

import grpc
from durabletask_backend.memory import MemoryBackend, MemoryStore
from durabletask_server.service.sidecar import SERVER_OPTIONS, attach
from durabletask_server.taskhub import TaskHubWorker


class Engine:
    """A server on a port of its own."""

    def __init__(self) -> None:
        self._store = MemoryStore()
        self._server: grpc.aio.Server | None = None
        self._hub: TaskHubWorker | None = None
        self.address = "localhost:0"

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._hub = TaskHubWorker(MemoryBackend(self._store))
        await self._hub.start()
        self._server = grpc.aio.server(options=[*SERVER_OPTIONS, ("grpc.so_reuseport", 0)])
        attach(self._server, self._hub)
        self.address = f"localhost:{self._server.add_insecure_port(self.address)}"
        await self._server.start()

    async def stop(self) -> None:
        """End, without a farewell to anybody. What is committed stays."""
        if self._server is not None and self._hub is not None:
            await self._server.stop(None)
            await self._hub.close()
            self._server = self._hub = None
