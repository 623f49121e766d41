"""Puts the parts together: an opened backend, a journal, the processors, and a dispatcher for workers."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Sequence

from durabletask_backend.contract import Backend
from durabletask_backend.errors import BackendError, HubMissingError, StorageFailedError
from durabletask_backend.mutations import Mutation
from durabletask_backend.values import Instance, Lease, LoadedEntity, LoadedInstance

from durabletask_server.activities import ActivityProcessor
from durabletask_server.clock import Clock, SystemClock
from durabletask_server.descent import Descent
from durabletask_server.dispatch.dispatcher import Dispatcher
from durabletask_server.dispatch.stream import Kind
from durabletask_server.engine.ids import NewId, random_id
from durabletask_server.entities import Entities
from durabletask_server.instances import Instances
from durabletask_server.journal import Journal
from durabletask_server.measures import Measures
from durabletask_server.operations import OperationProcessor
from durabletask_server.orchestrations import OrchestrationProcessor
from durabletask_server.residency import Residency
from durabletask_server.resident import Resident
from durabletask_server.settings import Settings
from durabletask_server.sharing import Sharing
from durabletask_server.tokens import TokenSigner
from durabletask_server.turns import Turns
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
        measures: Is told of what happens; None for nobody.
    """

    instances: Instances
    """What clients ask for; there once started, like the others."""
    orchestrations: OrchestrationProcessor
    operations: OperationProcessor
    entities: Entities
    activities: ActivityProcessor
    residency: Residency
    turns: Turns
    dispatcher: Dispatcher
    waiters: Waiters

    def __init__(
        self,
        backend: Backend,
        *,
        clock: Clock | None = None,
        new_id: NewId = random_id,
        settings: Settings | None = None,
        measures: Measures | None = None,
    ) -> None:
        self.backend = backend
        self.clock = clock or SystemClock()
        self.new_id = new_id
        self.settings = settings or Settings()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Raises when the engine cannot go on: its lease was lost."""
        self.measures = measures or Measures()
        """Are told of what happens."""
        self._signers: dict[str, TokenSigner] = {}
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
        await self.create_hub(DEFAULT_HUB)

        for hub in await self.backend.hubs():
            self._signers[hub.name] = TokenSigner(hub.secret)

        backend, clock, new_id, settings = self.backend, self.clock, self.new_id, self.settings
        measures = self.measures
        self.dispatcher = dispatcher = Dispatcher(settings.default_limits, measures)
        self.waiters = waiters = Waiters()
        journal = self._journal = Journal(
            backend, lease, boot, settings.journal, piggyback=self._riders, measures=measures
        )
        self.activities = activities = ActivityProcessor(journal, dispatcher, clock, self.signer_of, boot, settings)
        self.residency = residency = Residency(backend, lease, clock, waiters, activities, settings)
        self._sharing = sharing = Sharing(backend, lease, residency, activities, dispatcher, waiters, settings)
        self._descent = descent = Descent(backend, journal, residency)
        self.turns = turns = Turns(dispatcher, clock, self.signer_of, boot, settings, sharing.unserved)
        self.orchestrations = OrchestrationProcessor(
            residency, turns, journal, activities, waiters, clock, new_id, settings
        )
        self.operations = operations = OperationProcessor(residency, turns, journal, clock, new_id, settings)
        activities.bind(residency.deliver, sharing.spare)
        residency.bind(_Hosts(self.orchestrations, operations), descent.descend, dispatcher.fits, dispatcher.free)
        dispatcher.on_hungry = self._hungry
        self.entities = Entities(backend, journal, residency, operations, clock)
        self.instances = Instances(backend, journal, residency, self.orchestrations, operations, waiters)
        journal.start().add_done_callback(self._ended)
        await sharing.start()
        self._started = True
        self._alive = asyncio.create_task(self._stay_alive(lease), name="alive")
        self._alive.add_done_callback(self._ended)

    # Hubs.

    def signer_of(self, hub: str) -> TokenSigner:
        """What signs a hub's completion tokens.

        Raises:
            HubMissingError: There is no such hub.
        """
        try:
            return self._signers[hub]
        except KeyError:
            raise HubMissingError(hub) from None

    async def find_hub(self, hub: str) -> bool:
        """Whether a hub exists; another server may have created it."""
        if hub not in self._signers and self.backend.shared:
            found = await self.backend.get_hub(hub)

            if found is not None:
                self._signers[hub] = TokenSigner(found.secret)

        return hub in self._signers

    async def create_hub(self, name: str, *, recreate: bool = False) -> None:
        """Create a hub, unless there is one of that name.

        Args:
            name: Its name.
            recreate: Whether to delete the one that there is, with everything in it.
        """
        if recreate:
            await self.delete_hub(name)

        hub = await self.backend.create_hub(name, secrets.token_bytes(32))
        self._signers[name] = TokenSigner(hub.secret)

    async def delete_hub(self, name: str) -> bool:
        """Delete a hub and everything in it. The streams of its workers end, and what they still answer has no effect.

        Returns:
            Whether there was one.
        """
        existed = await self.backend.delete_hub(name)
        self._signers.pop(name, None)
        self.dispatcher.close_hub(name)
        self.residency.close_hub(name)
        self.activities.close_hub(name)
        self.waiters.close_hub(name)

        if name == DEFAULT_HUB:
            await self.create_hub(name)

        return existed

    async def _stay_alive(self, lease: Lease) -> None:
        """Let workers and the backend know, from time to time, that this process lives."""
        while True:
            due = asyncio.Event()
            self.clock.call_at(self.clock.now() + int(self.settings.ping_interval * 1_000_000), due.set)
            await due.wait()
            self.dispatcher.ping()
            self.turns.report_slow()
            self._sharing.sweep()

            try:
                await self.backend.renew(lease)
            except StorageFailedError as error:
                log.warning("the lease could not be renewed: %s", error)

    def _hungry(self) -> None:
        """Workers have room, and there is nothing for them."""
        self.residency.unpark()
        self._sharing.hungry()

    def _riders(self) -> Sequence[Mutation]:
        return self.activities.riders()

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

    def is_quiet(self, *, but: int = 0) -> bool:
        """Whether only time, or somebody outside, makes the engine do something.

        Args:
            but: How many items that workers have are not to count.
        """
        dispatcher, journal = self.dispatcher, self._journal
        is_committed = journal is None or journal.is_idle

        return is_committed and dispatcher.out == but and not any(map(dispatcher.ready, Kind))

    @property
    def is_storage_failing(self) -> bool:
        """Whether the backend refused a commit a moment ago, and has taken none since."""
        return self._journal is not None and self._journal.is_failing

    def abort(self) -> None:
        """Stop at once, as if the process had been killed: nothing more is committed, and the lease is left to run out."""
        self._started = False

        if self._alive is not None:
            self._alive.cancel()

        if self._journal is not None:
            self._stop()
            self._journal.abort()

    async def close(self) -> None:
        """Commit what was decided, and close the backend. Nothing is lost by not calling it."""
        self._started = False

        if self._alive is not None:
            self._alive.cancel()

        if self._journal is not None:
            self._stop()
            await self._journal.close()

        await self.backend.close()

    def _stop(self) -> None:
        """Start nothing more."""
        self._sharing.stop()
        self._descent.stop()
        self.residency.stop()
        self.activities.stop()


class _Hosts:
    """Makes orchestrations and entities of what the store had."""

    def __init__(self, orchestrations: OrchestrationProcessor, entities: OperationProcessor) -> None:
        self._orchestrations = orchestrations
        self._entities = entities

    def begin(self, instance: Instance) -> Resident:
        return self._orchestrations.begin(instance)

    def revive(self, loaded: LoadedInstance | LoadedEntity) -> Resident | None:
        if isinstance(loaded, LoadedEntity):
            return self._entities.revive(loaded)

        return self._orchestrations.revive(loaded)
