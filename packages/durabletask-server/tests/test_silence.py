"""A worker that falls silent: its connection is not closed, but nothing comes through it any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from durabletask_backend.memory import MemoryBackend
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from durabletask_server.service.sidecar import SERVER_OPTIONS
from durabletask_server.testing import serving

# As the server's own, but sooner.
IMPATIENT = {
    **dict(SERVER_OPTIONS),
    "grpc.keepalive_time_ms": 1000,
    "grpc.keepalive_timeout_ms": 500,
    "grpc.http2.ping_timeout_ms": 500,
}


class Line:
    """A connection between a worker and a server that can be made to swallow everything."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = asyncio.Event()
        self._open.set()
        self._ends: list[asyncio.StreamWriter] = []

    async def start(self) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]

        return port

    def cut(self) -> None:
        """Let nothing more through. Both ends still think that they are connected."""
        self._open.clear()

    async def close(self) -> None:
        self._server.close()

        for end in self._ends:
            end.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends += [writer, far_writer]
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer), return_exceptions=True)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            await self._open.wait()
            target.write(data)


@asynccontextmanager
async def serving_port() -> AsyncIterator[int]:
    async with serving(MemoryBackend(), options=list(IMPATIENT.items())) as served:
        yield int(served.address.rpartition(":")[2])


async def test_what_a_silent_worker_holds_goes_to_another_once_its_keepalive_is_not_answered() -> None:
    async with serving_port() as port:
        line = Line(port)

        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{await line.start()}") as far,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as near,
        ):
            stub = TaskHubSidecarServiceStub(near)
            await stub.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="n"))
            silent = TaskHubSidecarServiceStub(far).GetWorkItems(pb.GetWorkItemsRequest())
            held = await _item(silent)
            line.cut()

            async with asyncio.timeout(30):
                taken = await _item(stub.GetWorkItems(pb.GetWorkItemsRequest()))

        await line.close()

    assert taken.orchestratorRequest.newEvents[1:] == held.orchestratorRequest.newEvents[1:]
    assert taken.completionToken != held.completionToken


async def _item(stream: grpc.aio.UnaryStreamCall[pb.GetWorkItemsRequest, pb.WorkItem]) -> pb.WorkItem:
    """The next item that is no ping."""
    while True:
        item = await stream.read()
        assert isinstance(item, pb.WorkItem)

        if not item.HasField("healthPing"):
            return item
