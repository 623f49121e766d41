"""A task hub in this process: an engine, a worker and a client, with no socket between them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from os import PathLike, fspath
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import grpc
from durabletask_backend.contract import Backend
from durabletask_backend.location import backend_at
from durabletask_client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
from durabletask_client.serialization import DataConverter
from durabletask_server.observability.metrics import gauged, measures
from durabletask_server.service.sidecar import SERVER_OPTIONS, attach, rpcs
from durabletask_server.settings import Settings
from durabletask_server.taskhub import TaskHubWorker
from durabletask_worker import Registry, TaskHubGrpcWorker, WorkerStatistics

from durabletask_embedded.channel import LocalChannel
from durabletask_embedded.threads import BlockingChannel, LoopThread

__all__ = ["AddressInUseError", "AsyncRunningHub", "RunningHub", "TaskHub"]

T = TypeVar("T")


class AddressInUseError(Exception):
    """The address that the hub is to listen on cannot be had."""


class TaskHub:
    """A task hub in this process, in `async with` or in `with`.

    `async with` runs it on your event loop and gives an `AsyncRunningHub`; `with` and `start` run it on a thread of its own and
    give a `RunningHub`, for plain scripts, notebooks, and frameworks that know no asyncio. What it acknowledges is on disk, and
    survives the process: the next hub on the same location goes on with it.

    Args:
        location: Where everything is kept: the path of a SQLite file, or a URL for any installed backend; empty for SQLite in
            memory. Or a backend of your own, not opened yet.
        registry: What the hub hosts; None for nothing, for a hub that only starts orchestrations or serves remote workers.
        taskhub: The name of the task hub in the location; None for the default one.
        data_converter: Turns values into payloads and back; None for JSON.
        listen: `host:port` to serve other processes at, over gRPC, without TLS; port 0 for any that is free. None for nobody.
        only_registered: Whether the hub leaves to other workers what `registry` does not have. Otherwise it fails, as unknown.
        grace_period: Seconds that what runs has at the end; what is left then goes on with the next start.
        settings: The engine's limits and delays; None for the defaults, and for messages of any size where nobody else is served.
        worker_options: Further arguments of `TaskHubGrpcWorker`, such as `middleware` and `concurrency_options`.
    """

    def __init__(
        self,
        location: str | PathLike[str] | Backend = "",
        registry: Registry | None = None,
        *,
        taskhub: str | None = None,
        data_converter: DataConverter | None = None,
        listen: str | None = None,
        only_registered: bool = False,
        grace_period: float = 5.0,
        settings: Settings | None = None,
        **worker_options: Any,
    ) -> None:
        self._location = location
        self._registry = registry
        self._taskhub = taskhub
        self._data_converter = data_converter
        self._listen = listen
        self._only_registered = only_registered
        self._grace_period = grace_period
        self._settings = settings
        self._worker_options = worker_options
        self._async: AsyncRunningHub | None = None
        self._blocking: RunningHub | None = None
        self._new_id: Callable[[], str] | None = None

    def start(self) -> RunningHub:
        """Run the hub on a thread of its own, until `stop` of what it gives.

        Returns:
            The hub.

        Raises:
            BackendError: The location cannot be opened.
            AddressInUseError: `listen` cannot be had.
        """
        return RunningHub(self)

    def __enter__(self) -> RunningHub:
        self._blocking = self.start()

        return self._blocking

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._blocking is not None:
            self._blocking.stop()

    async def __aenter__(self) -> AsyncRunningHub:
        self._async = AsyncRunningHub()

        return await self._begin(self._async)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._async is not None:
            await self._async.stop()

    async def _begin(self, hub: AsyncRunningHub) -> AsyncRunningHub:
        try:
            await hub.open(self._engine(), self._grace_period)

            if self._taskhub is not None:
                await hub.engine.create_hub(self._taskhub)

            if self._listen is not None:
                hub.address = await hub.listen(self._listen)

            hub.connect(self._taskhub, self._data_converter, self._new_id)

            if self._registry is not None:
                await hub.host(
                    self._registry,
                    self._taskhub,
                    self._data_converter,
                    self._worker_options,
                    only_registered=self._only_registered,
                )
        except BaseException:
            await hub.stop()

            raise

        return hub

    def _engine(self) -> TaskHubWorker:
        location = self._location
        backend = backend_at(fspath(location)) if isinstance(location, (str, PathLike)) else location
        # What passes no socket may be of any size.
        settings = self._settings or (Settings() if self._listen else Settings(message_limit=sys.maxsize))

        return TaskHubWorker(backend, settings=settings, measures=measures())


class AsyncRunningHub:
    """A hub that runs on an event loop. Made by `async with TaskHub(…)`."""

    engine: TaskHubWorker
    """The engine."""
    client: AsyncTaskHubGrpcClient
    """A client of the hub, the same as for a remote one."""
    channel: LocalChannel
    """What the client and the worker call the engine through; for clients of your own."""
    address: str | None = None
    """Where the hub serves other processes; None if it does not."""

    def __init__(self) -> None:
        self._ends = AsyncExitStack()
        self._worker: TaskHubGrpcWorker | None = None

    @property
    def statistics(self) -> WorkerStatistics:
        """How the hub's worker is doing."""
        return WorkerStatistics() if self._worker is None else self._worker.statistics

    async def open(self, engine: TaskHubWorker, grace: float) -> None:
        """Open the engine. For `TaskHub`."""
        await engine.start()
        self.engine = engine
        self.channel = LocalChannel(rpcs(engine))
        self._ends.push_async_callback(engine.close)
        self._ends.push_async_callback(engine.drain, grace)
        await self._ends.enter_async_context(gauged(engine))

    async def listen(self, address: str) -> str:
        """Serve other processes. For `TaskHub`."""
        server = grpc.aio.server(options=SERVER_OPTIONS)
        attach(server, self.engine)

        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise AddressInUseError(f"listen: {address!r} cannot be listened on: {error}") from error

        await server.start()
        # After the drain, which ends the streams of remote workers.
        self._ends.push_async_callback(server.stop, None)

        return f"{address.rpartition(':')[0]}:{port}"

    def connect(
        self, taskhub: str | None, data_converter: DataConverter | None, new_id: Callable[[], str] | None
    ) -> None:
        """Make the client. For `TaskHub`."""
        channel = cast("grpc.aio.Channel", self.channel)
        self.client = AsyncTaskHubGrpcClient(
            channel=channel, taskhub=taskhub, data_converter=data_converter, new_id=new_id
        )
        self._ends.push_async_callback(self.client.close)

    async def host(
        self,
        registry: Registry,
        taskhub: str | None,
        data_converter: DataConverter | None,
        options: dict[str, Any],
        *,
        only_registered: bool = False,
    ) -> None:
        """Host a registry. For `TaskHub`."""
        channel = cast("grpc.aio.Channel", self.channel)
        self._worker = TaskHubGrpcWorker(
            channel=channel, registry=registry, taskhub=taskhub, data_converter=data_converter, **options
        )

        if only_registered:
            self._worker.use_work_item_filters()

        await self._ends.enter_async_context(self._worker)

    async def stop(self) -> None:
        """Stop the worker, then the engine. What is under way goes on with the next start. Without effect the second time.

        Raises:
            LeaseLostError: The location was lost to another engine meanwhile.
        """
        await self._ends.aclose()


class RunningHub:
    """A hub that runs on a thread of its own. Made by `with TaskHub(…)` and `TaskHub(…).start()`.

    Args:
        hub: What to run.
        running: What it becomes; None for what `async with` would give.
    """

    client: TaskHubGrpcClient
    """A client of the hub, the same as for a remote one. Safe to share between threads."""

    def __init__(self, hub: TaskHub, running: AsyncRunningHub | None = None) -> None:
        self._loop: LoopThread | None = LoopThread("durabletask-hub")
        self._hub = running or AsyncRunningHub()

        try:
            self._loop.run(hub._begin(self._hub))  # noqa: SLF001 - the other half of `TaskHub`
        except BaseException:
            self._loop.close()

            raise

        channel = cast("grpc.Channel", BlockingChannel(self._hub.channel, self._loop))
        self.client = TaskHubGrpcClient(
            channel=channel,
            taskhub=hub._taskhub,  # noqa: SLF001
            data_converter=hub._data_converter,  # noqa: SLF001
            new_id=hub._new_id,  # noqa: SLF001
        )

    @property
    def address(self) -> str | None:
        """Where the hub serves other processes; None if it does not."""
        return self._hub.address

    @property
    def statistics(self) -> WorkerStatistics:
        """How the hub's worker is doing."""
        return self._hub.statistics

    def stop(self) -> None:
        """Stop the worker, then the engine. What is under way goes on with the next start. Without effect the second time.

        Raises:
            LeaseLostError: The location was lost to another engine meanwhile.
        """
        loop, self._loop = self._loop, None

        if loop is not None:
            self.client.close()

            try:
                loop.run(self._hub.stop())
            finally:
                loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something where the hub runs, and wait for it.

        Raises:
            RuntimeError: The hub has stopped.
        """
        if self._loop is None:
            work.close()

            raise RuntimeError("the hub has stopped")

        return self._loop.run(work)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
