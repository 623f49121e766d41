"""The worker: hosts orchestrators, activities and entities, and connects them to a task hub."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import Any, Self

import grpc
from durabletask_client.channel import ChannelOptions, MetadataSource, TokenSource
from durabletask_client.connection import ConnectionSettings
from durabletask_client.failures import DefaultFailureConverter, FailureConverter
from durabletask_client.serialization import DataConverter, JsonDataConverter
from durabletask_client.tls import TlsOptions

from durabletask_worker._executor import Executor
from durabletask_worker._session import Session, SessionSettings
from durabletask_worker._signals import stopped_by_signals
from durabletask_worker.concurrency import ConcurrencyOptions
from durabletask_worker.execution.host import Host
from durabletask_worker.filters import WorkItemFilters
from durabletask_worker.middleware import Middleware
from durabletask_worker.nondeterminism.guard import guard
from durabletask_worker.registry import Registry
from durabletask_worker.retry import RetryPolicy
from durabletask_worker.statistics import WorkerStatistics
from durabletask_worker.versioning import VersioningOptions

__all__ = ["TaskHubGrpcWorker"]

_NO_RETRIES = ("grpc.enable_retries", 0)
"""The worker tries again itself, for as long as it takes. That gRPC were ready to would cost a few percent of its CPU."""
_SILENCE = 120.0
"""Four of the pings that a server sends on an idle stream may be lost."""

_SETTLE = 0.01
"""Seconds for which the thread's event loop outlives the connection. gRPC has one queue for all event loops of a process, and an
event of a cancelled call that comes for a loop which is closed holds up those of the others."""


class TaskHubGrpcWorker:
    """Hosts orchestrators, activities and entities for a task hub.

    It runs in a thread of its own, between `start` and `stop`; `with` stops it at the end. Or it runs on the caller's event
    loop: `async with` starts and stops it, or `await worker.run()` does both. It reconnects for as long as it takes, and
    delivers what it has done across restarts of the server.

    Code of orchestrators runs on a thread of its own, one turn at a time. A turn takes less than a millisecond, unless its code
    blocks, which it must not: then the others wait. After `slow_turn_warning` the worker logs where the code is; after
    `turn_timeout` it gives the turn back to the server, raises `OrchestratorBlocked` in the code, and goes on with the others
    without it.

    Args:
        host_address: `host:port` of the server, with `https://` before it for TLS if you like; None for `localhost:4001`.
        metadata: What goes along with each call, or a function that gives it anew each time.
        taskhub: The task hub to work for; None for the server's default hub.
        token: A bearer token, or a function that gives it anew for each call; None for none.
        tls: TLS with certificates of your own.
        secure_channel: Whether to use TLS.
        credentials: TLS as gRPC itself describes it, in place of `tls`.
        channel_options: How the connection behaves; None for the defaults. gRPC's own retries are off unless its `extra`
            turns them on: the worker tries again itself.
        connection: All of the above as one value; the others are left out then.
        channel: A channel to use instead, made for the event loop that the worker runs on; it is not closed with the worker.
        data_converter: Turns values into payloads and back; None for JSON. Clients must agree.
        failure_converter: Turns exceptions into failures and back; None for plain ones: what waits raises `TaskFailedError`.
        concurrency_options: How much work to take on at a time; None for the defaults.
        registry: What to host; `add_orchestrator`, `add_activity` and `add_entity` add to it. None for a new one.
        middleware: What stands around all that runs; the first is the outermost.
        default_retry_policy: The policy of activities and sub-orchestrations that are called without one; None for no retries.
        detect_nondeterminism: Whether orchestrator code that does what no replay can repeat, as reading the clock, fails at once.
        grace_period: How long stopping waits for what runs, in seconds. What is left then is given back to the server.
        silent_disconnect_timeout: After how many seconds without a sign of life the stream of work is opened anew; 0 for never.
        slow_turn_warning: After how many seconds orchestrator code that blocks is reported; 0 for never.
        turn_timeout: After how many seconds orchestrator code that blocks is given up; 0 for never.
        logger: Where the worker logs; None for `durabletask_worker`.

    Raises:
        InvalidRequestError: `host_address` names no host, or what is said of the connection contradicts itself.
        ValueError: A time is negative.
    """

    def __init__(
        self,
        *,
        host_address: str | None = None,
        metadata: MetadataSource | None = None,
        taskhub: str | None = None,
        token: TokenSource | None = None,
        tls: TlsOptions | None = None,
        secure_channel: bool = False,
        credentials: grpc.ChannelCredentials | None = None,
        channel_options: ChannelOptions | None = None,
        connection: ConnectionSettings | None = None,
        channel: grpc.aio.Channel | None = None,
        data_converter: DataConverter | None = None,
        failure_converter: FailureConverter | None = None,
        concurrency_options: ConcurrencyOptions | None = None,
        registry: Registry | None = None,
        middleware: Sequence[Middleware] = (),
        default_retry_policy: RetryPolicy | None = None,
        detect_nondeterminism: bool = True,
        grace_period: float = 5.0,
        silent_disconnect_timeout: float = _SILENCE,
        slow_turn_warning: float = 1.0,
        turn_timeout: float = 30.0,
        logger: logging.Logger | None = None,
    ) -> None:
        for name, seconds in (
            ("grace_period", grace_period),
            ("silent_disconnect_timeout", silent_disconnect_timeout),
            ("slow_turn_warning", slow_turn_warning),
            ("turn_timeout", turn_timeout),
        ):
            if seconds < 0:
                raise ValueError(f"{name} is {seconds}; it must be 0 or more seconds")

        # The connection is made on the event loop, later; what is wrong with the arguments is said now.
        self._connection = ConnectionSettings.of(
            connection,
            host_address=host_address,
            metadata=metadata,
            taskhub=taskhub,
            token=token,
            tls=tls,
            secure_channel=secure_channel,
            credentials=credentials,
            channel_options=channel_options,
        )
        self._channel = channel
        self._registry = Registry() if registry is None else registry
        self._logger = logger or logging.getLogger("durabletask_worker")
        self._host = Host(
            registry=self._registry,
            converter=JsonDataConverter() if data_converter is None else data_converter,
            failures=DefaultFailureConverter() if failure_converter is None else failure_converter,
            logger=self._logger,
            default_retry_policy=default_retry_policy,
            guard=guard if detect_nondeterminism else None,
        )
        self._middleware = tuple(middleware)
        self._concurrency = concurrency_options or ConcurrencyOptions()
        self._versioning = VersioningOptions()
        self._filters: Callable[[], WorkItemFilters | None] = lambda: None
        self._silence = silent_disconnect_timeout or None
        self._grace = grace_period
        self._slow_turn_warning = slow_turn_warning or None
        self._turn_timeout = turn_timeout or None
        self._session: Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def from_connection_string(cls, connection_string: str, **options: Any) -> Self:
        """Make a worker for the task hub that a connection string describes.

        Args:
            connection_string: As in `Endpoint=https://hub.example:4001;TaskHub=orders`; see `ConnectionSettings.parse`.
            options: Further arguments of the worker, but for those about the connection.

        Returns:
            The worker.

        Raises:
            InvalidRequestError: The text is no connection string, or the options say something about the connection.
        """
        return cls(connection=ConnectionSettings.parse(connection_string), **options)

    @property
    def registry(self) -> Registry:
        """What the worker hosts."""
        return self._registry

    @property
    def statistics(self) -> WorkerStatistics:
        """How the worker is doing now. May be asked for from any thread."""
        session = self._session

        return WorkerStatistics() if session is None else session.statistics()

    def add_orchestrator(
        self, function: Callable[..., Any], /, *, name: str | None = None, version: str | None = None
    ) -> str:
        """Register an orchestrator. See `Registry.add_orchestrator`.

        Args:
            function: The orchestrator.
            name: Its name; None for its own.
            version: The version of the orchestrations that it is for; None for all that no other is for.

        Returns:
            The name.

        Raises:
            RegistrationError: The name is taken or cannot be told, or the parameters do not fit.
        """
        return self._registry.add_orchestrator(function, name=name, version=version)

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

    def add_entity(self, entity: Callable[..., Any], /, *, name: str | None = None) -> str:
        """Register an entity. See `Registry.add_entity`.

        Args:
            entity: The entity's class or function.
            name: Its name; None for its own.

        Returns:
            The name, in lower case.

        Raises:
            RegistrationError: The name is taken or cannot be told, or there is no way to call it.
        """
        return self._registry.add_entity(entity, name=name)

    def use_versioning(self, options: VersioningOptions) -> None:
        """Have the worker mind the versions of orchestrations, from its next start on.

        Args:
            options: How.

        Raises:
            RuntimeError: The worker runs.
        """
        self._require_stopped("before it starts")
        self._versioning = options

    def use_work_item_filters(self, filters: WorkItemFilters | None = None) -> None:
        """Have the worker ask for certain work only, from its next start on. Without this it asks for all there is.

        Args:
            filters: What to ask for; None for what is registered when it starts.

        Raises:
            RuntimeError: The worker runs.
        """
        self._require_stopped("before it starts")
        self._filters = lambda: filters or WorkItemFilters.of(self._registry, self._versioning)

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
        has; told twice, it does not wait for what runs. Without effect on one that does not run.

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

    async def run(self, *, handle_signals: bool = False) -> None:
        """Work on this event loop until `stop` is called or the caller is cancelled, which both wait as `stop` says.

        Args:
            handle_signals: Whether SIGTERM and SIGINT stop the worker, too; a second one has it not wait for what runs. In the
                main thread only.

        Raises:
            RuntimeError: It runs already.
            ValueError: `handle_signals` in another thread.
        """
        session = self._begin(asyncio.get_running_loop())

        with stopped_by_signals(session.stop, self._logger) if handle_signals else nullcontext():
            await self._work(session)

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

    def _require_stopped(self, when: str = "before it is started again") -> None:
        if self._session is not None:
            raise RuntimeError(f"the worker runs already; stop it {when}")

    def _begin(self, loop: asyncio.AbstractEventLoop) -> Session:
        self._require_stopped()
        channel = self._channel
        settings = SessionSettings(
            open_channel=lambda: (
                self._connection.open_async_channel(_NO_RETRIES) if channel is None else nullcontext(channel)
            ),
            metadata=self._connection.call_metadata(),
            concurrency=self._concurrency,
            filters=self._filters(),
            silence=self._silence,
            grace=self._grace,
        )
        self._loop, self._session = loop, Session(settings, self._make_executor, self._logger)

        return self._session

    def _make_executor(self) -> Executor:
        return Executor(
            self._host,
            middleware=self._middleware,
            versioning=self._versioning,
            concurrency=self._concurrency,
            slow_turn_warning=self._slow_turn_warning,
            turn_timeout=self._turn_timeout,
            logger=self._logger,
        )

    async def _work(self, session: Session) -> None:
        try:
            await session.run()
        finally:
            self._loop = self._session = None
