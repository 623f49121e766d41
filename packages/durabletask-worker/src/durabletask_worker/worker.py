"""The worker: hosts orchestrators and activities, and connects them to a task hub."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import grpc
from durabletask_client.channel import (
    ChannelOptions,
    MetadataSource,
    call_metadata,
    create_async_channel,
    create_channel,
)
from durabletask_client.serialization import DataConverter, JsonDataConverter

from durabletask_worker._executor import Executor
from durabletask_worker._session import Session, SessionSettings
from durabletask_worker.concurrency import ConcurrencyOptions
from durabletask_worker.registry import Registry

__all__ = ["TaskHubGrpcWorker"]

_SILENCE = 120.0
"""Four of the pings that a server sends on an idle stream may be lost."""

_SETTLE = 0.01
"""Seconds for which the thread's event loop outlives the connection. gRPC has one queue for all event loops of a process, and an
event of a cancelled call that comes for a loop which is closed holds up those of the others."""


class TaskHubGrpcWorker:
    """Hosts orchestrators and activities for a task hub.

    It runs in a thread of its own, between `start` and `stop`; `with` stops it at the end. Or it runs on the caller's event
    loop: `async with` starts and stops it, or `await worker.run()` does both. It reconnects for as long as it takes, and
    delivers what it has done across restarts of the server.

    Args:
        host_address: `host:port` of the server, with `https://` before it for TLS if you like; None for `localhost:4001`.
        metadata: What goes along with each call, or a function that gives it anew each time.
        taskhub: The task hub to work for; None for the server's default hub.
        secure_channel: Whether to use TLS.
        credentials: Certificates and tokens for TLS; None for the system's root certificates.
        channel_options: How the connection behaves; None for the defaults.
        data_converter: Turns values into payloads and back; None for JSON. Clients must agree.
        concurrency_options: How much work to take on at a time; None for the defaults.
        registry: Orchestrators and activities to host; `add_orchestrator` and `add_activity` add to it. None for a new one.
        grace_period: How long stopping waits for what runs, in seconds. What is left then is given back to the server.
        silent_disconnect_timeout: After how many seconds without a sign of life the stream of work is opened anew; 0 for never.
        logger: Where the worker logs; None for `durabletask_worker`.

    Raises:
        InvalidRequestError: `host_address` names no host, or contradicts the arguments for TLS.
        ValueError: A time is negative.
    """

    def __init__(
        self,
        *,
        host_address: str | None = None,
        metadata: MetadataSource | None = None,
        taskhub: str | None = None,
        secure_channel: bool = False,
        credentials: grpc.ChannelCredentials | None = None,
        channel_options: ChannelOptions | None = None,
        data_converter: DataConverter | None = None,
        concurrency_options: ConcurrencyOptions | None = None,
        registry: Registry | None = None,
        grace_period: float = 5.0,
        silent_disconnect_timeout: float = _SILENCE,
        logger: logging.Logger | None = None,
    ) -> None:
        for name, seconds in (("grace_period", grace_period), ("silent_disconnect_timeout", silent_disconnect_timeout)):
            if seconds < 0:
                raise ValueError(f"{name} is {seconds}; it must be 0 or more seconds")

        # The connection is made on the event loop, later; what is wrong with the arguments is said now.
        create_channel(
            host_address, secure_channel=secure_channel, credentials=credentials, options=channel_options
        ).close()

        self._registry = Registry() if registry is None else registry
        self._converter = JsonDataConverter() if data_converter is None else data_converter
        self._logger = logger or logging.getLogger("durabletask_worker")
        self._settings = SessionSettings(
            open_channel=lambda: create_async_channel(
                host_address, secure_channel=secure_channel, credentials=credentials, options=channel_options
            ),
            metadata=call_metadata(metadata, taskhub=taskhub),
            concurrency=concurrency_options or ConcurrencyOptions(),
            silence=silent_disconnect_timeout or None,
            grace=grace_period,
        )
        self._session: Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None

    def add_orchestrator(self, function: Callable[..., Any], /, *, name: str | None = None) -> str:
        """Register an orchestrator. See `Registry.add_orchestrator`.

        Args:
            function: The orchestrator.
            name: Its name; None for its own.

        Returns:
            The name.

        Raises:
            RegistrationError: The name is taken or cannot be told, or the parameters do not fit.
        """
        return self._registry.add_orchestrator(function, name=name)

    def add_activity(self, function: Callable[..., Any], /, *, name: str | None = None) -> str:
        """Register an activity. See `Registry.add_activity`.

        Args:
            function: The activity.
            name: Its name; None for its own.

        Returns:
            The name.

        Raises:
            RegistrationError: The name is taken or cannot be told, or the parameters do not fit.
        """
        return self._registry.add_activity(function, name=name)

    def start(self) -> None:
        """Start working, in a thread of its own. Returns at once; the server need not be up yet.

        Raises:
            RuntimeError: It runs already.
        """
        self._require_stopped()
        loop = asyncio.new_event_loop()
        session = self._begin(loop)

        def work() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._work(session))
                runner.run(asyncio.sleep(_SETTLE))

        self._thread = threading.Thread(target=work, name="durabletask-worker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop working. Waits for what runs, for as long as `grace_period` says; with nothing running it is done at once.

        What still runs then is given back to the server, which hands it out again. An activity in a thread cannot be ended, and
        Python does not exit before it returns. A worker that runs on your event loop is only told to stop: `run` returns when it
        has. Without effect on one that does not run.

        Raises:
            RuntimeError: Called by an activity of this worker that runs on its event loop, which cannot wait for itself.
        """
        thread, loop, session = self._thread, self._loop, self._session

        if thread is threading.current_thread():
            raise RuntimeError("a worker cannot be stopped by its own async activity; stop it from another thread")

        if loop is not None and session is not None:
            # Closed if the worker has come to its end in the meantime.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(session.stop)

        if thread is not None:
            thread.join()
            self._thread = None

    async def run(self) -> None:
        """Work on this event loop until `stop` is called or the caller is cancelled, which both wait as `stop` says.

        Raises:
            RuntimeError: It runs already.
        """
        await self._work(self._begin(asyncio.get_running_loop()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work(self._begin(asyncio.get_running_loop())))

        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

        if self._task is not None:
            await self._task

    def _require_stopped(self) -> None:
        if self._session is not None:
            raise RuntimeError("the worker runs already; stop it before it is started again")

    def _begin(self, loop: asyncio.AbstractEventLoop) -> Session:
        self._require_stopped()
        threads = self._settings.concurrency.maximum_thread_pool_workers
        executor = Executor(self._registry, self._converter, threads, self._logger)
        self._loop, self._session = loop, Session(self._settings, executor, self._logger)

        return self._session

    async def _work(self, session: Session) -> None:
        try:
            await session.run()
        finally:
            self._loop = self._session = None
