"""Puts the parts together: an opened backend, a journal, the processors, and a dispatcher for workers."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Sequence

from durabletask_backend.contract import Backend
from durabletask_backend.errors import BackendError, StorageFailedError
from durabletask_backend.mutations import Mutation
from durabletask_backend.values import Lease

from durabletask_server.clock import Clock, SystemClock
from durabletask_server.dispatch.dispatcher import Dispatcher
from durabletask_server.engine.ids import NewId, random_id
from durabletask_server.instances import Instances
from durabletask_server.journal import Journal
from durabletask_server.orchestrations import OrchestrationProcessor
from durabletask_server.settings import Settings
from durabletask_server.tokens import TokenSigner
from durabletask_server.waiters import Waiters

log = logging.getLogger(__name__)

DEFAULT_HUB = "default"
"""The hub of callers who name none."""


class TaskHubWorker:
    """The engine on one backend. Start it, connect workers to its `dispatcher`, and ask its `instances`.

    Args:
        backend: Where everything is kept; not opened yet. It is closed with the engine.
        clock: The time.
        new_id: Makes ids.
        settings: Limits and delays.
    """

    instances: Instances
    """What clients ask for; there once started, like the others."""
    orchestrations: OrchestrationProcessor
    dispatcher: Dispatcher
    waiters: Waiters
    signer: TokenSigner
    """Signs the default hub's completion tokens."""

    def __init__(
        self,
        backend: Backend,
        *,
        clock: Clock | None = None,
        new_id: NewId = random_id,
        settings: Settings | None = None,
    ) -> None:
        self.backend = backend
        self.clock = clock or SystemClock()
        self.new_id = new_id
        self.settings = settings or Settings()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Raises when the engine cannot go on: its lease was lost."""
        self._journal: Journal | None = None
        self._alive: asyncio.Task[None] | None = None
        self._started = False

    async def start(self) -> None:
        """Open the backend, take over what is in it, and go on with it.

        Raises:
            BackendError: The backend cannot be opened; it is closed again.
        """
        boot = self.new_id()[:12]

        try:
            lease = await self.backend.open(f"{socket.gethostname()}:{os.getpid()}:{boot}", ttl=self.settings.lease)
            await self._build(lease, boot)
        except BaseException:
            await self.close()
            raise

    async def _build(self, lease: Lease, boot: str) -> None:
        hub = await self.backend.create_hub(DEFAULT_HUB, secrets.token_bytes(32))
        self.signer = TokenSigner(hub.secret)
        self.dispatcher = Dispatcher(self.settings.default_limits)
        self.waiters = waiters = Waiters()
        journal = self._journal = Journal(
            self.backend,
            lease,
            boot,
            self.settings.journal,
            piggyback=self._riders,
        )
        self.orchestrations = OrchestrationProcessor(
            self.backend,
            journal,
            self.dispatcher,
            waiters,
            self.clock,
            self.new_id,
            lambda _: self.signer,
            boot,
            self.settings,
        )
        self.instances = Instances(self.backend, journal, self.orchestrations, waiters)
        journal.start().add_done_callback(self._ended)
        await self.orchestrations.activities.start(self.backend, lease)
        log.info("activity processor waits for work")
        await self.orchestrations.start(lease)
        log.info("orchestration processor waits for work")
        self._started = True
        self._alive = asyncio.create_task(self._stay_alive(lease), name="alive")
        self._alive.add_done_callback(self._ended)

    async def _stay_alive(self, lease: Lease) -> None:
        """Let workers and the backend know, from time to time, that this process lives."""
        while True:
            due = asyncio.Event()
            self.clock.call_at(self.clock.now() + int(self.settings.ping_interval * 1_000_000), due.set)
            await due.wait()
            self.dispatcher.ping()

            try:
                await self.backend.renew(lease)
            except StorageFailedError as error:
                log.warning("the lease could not be renewed: %s", error)

    def _riders(self) -> Sequence[Mutation]:
        return self.orchestrations.activities.riders()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and not self.failed.done():
            self.failed.set_exception(task.exception() or BackendError("the engine ended"))

    async def drain(self, grace: float) -> None:
        """Hand out nothing more, and give what is out some time to be finished; then end streams and waits.

        Args:
            grace: Seconds.
        """
        if self._started:
            left = await self.dispatcher.drain(grace)

            if left:
                log.warning("%d work items were not finished in %g s; they go on after the next start", left, grace)

            self.waiters.close()

    async def close(self) -> None:
        """Commit what was decided, and close the backend. Nothing is lost by not calling it."""
        self._started = False

        if self._alive is not None:
            self._alive.cancel()

        if self._journal is not None:
            self.orchestrations.stop()
            await self._journal.close()

        await self.backend.close()
