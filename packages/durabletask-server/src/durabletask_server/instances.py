"""What clients ask of instances, for the gRPC service and for whoever embeds the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from durabletask_backend.contract import Backend
from durabletask_backend.mutations import AppendMessage, Code, CreateInstance, Outcome, PurgeInstance
from durabletask_backend.values import (
    TERMINAL_STATUSES,
    Cursor,
    HistoryChunk,
    Instance,
    InstanceFilter,
    InstanceKey,
    InstancePage,
    QueryOrder,
    RuntimeStatus,
)

from durabletask_server.journal import Journal
from durabletask_server.orchestrations import OrchestrationProcessor
from durabletask_server.waiters import Waiters

_PURGE_PAGE = 200
"""Instances purged in one batch."""


def has_started(instance: Instance) -> bool:
    """Whether the first turn is committed."""
    return instance.status is not RuntimeStatus.PENDING


def has_ended(instance: Instance) -> bool:
    """Whether the status is a terminal one."""
    return instance.status in TERMINAL_STATUSES


class Instances:
    """The instances of all hubs.

    Args:
        backend: For what is not in memory.
        journal: For what is to be changed.
        orchestrations: For what is in memory.
        waiters: For who waits.
    """

    def __init__(
        self, backend: Backend, journal: Journal, orchestrations: OrchestrationProcessor, waiters: Waiters
    ) -> None:
        self._backend = backend
        self._journal = journal
        self._orchestrations = orchestrations
        self._waiters = waiters

    async def create(self, create: CreateInstance) -> Outcome:
        """Create an instance, durably.

        Raises:
            JournalFullError: Too much is waiting to be committed.
            BackendError: The store failed; whether it was created is not known. Ask again with the same execution id.
        """
        self._journal.admit()

        return await self._journal.submit(create, lambda outcome: self._orchestrations.created(create, outcome))

    async def send(self, append: AppendMessage) -> Outcome:
        """Put a message in an instance's inbox, durably. Raises as `create`."""
        self._journal.admit()

        return await self._journal.submit(append, lambda outcome: self._orchestrations.appended(append, outcome))

    async def get(self, key: InstanceKey, *, payloads: bool = True) -> Instance | None:
        """An instance as committed."""
        state = self._orchestrations.state(key)

        if state is not None:
            return state.instance

        return await self._backend.get(key, payloads=payloads)

    async def wait(self, key: InstanceKey, done: Callable[[Instance], bool]) -> Instance | None:
        """Wait until an instance is as `done` wants it. One that does not exist may still come.

        Returns:
            Its record; None if it was purged meanwhile. Cancel the call to stop waiting.
        """
        committed = self._waiters.add(key, done)

        try:
            instance = await self.get(key)

            return instance if instance is not None and done(instance) else await committed
        finally:
            committed.cancel()

    async def query(
        self,
        hub: str,
        where: InstanceFilter,
        *,
        order: QueryOrder = QueryOrder.CREATED,
        after: Cursor | None = None,
        limit: int,
        payloads: bool = False,
    ) -> InstancePage:
        """A page of the hub's instances."""
        return await self._backend.query(hub, where, order=order, after=after, limit=limit, payloads=payloads)

    def history(self, key: InstanceKey, *, execution_id: str | None = None) -> AsyncIterator[HistoryChunk]:
        """The history of an instance's current generation, if it is `execution_id` or none is given."""
        return self._backend.history(key, execution_id=execution_id)

    async def purge(self, keys: Sequence[InstanceKey], *, recursive: bool) -> int:
        """Delete those of the instances that have ended.

        Args:
            keys: Which; what does not exist or has not ended is left alone.
            recursive: Whether to delete their descendants, too, as far as they have ended.

        Returns:
            How many were deleted.
        """
        doomed = dict.fromkeys(keys)

        if recursive:
            unseen = list(keys)

            while unseen:
                for child in await self._backend.children(unseen.pop()):
                    if child not in doomed:
                        doomed[child] = None
                        unseen.append(child)

        outcomes = [self._journal.submit(PurgeInstance(key=key), self._purging(key)) for key in doomed]

        return sum([(await outcome).code is Code.APPLIED for outcome in outcomes])

    async def purge_where(
        self, hub: str, where: InstanceFilter, *, recursive: bool, enough: Callable[[], bool]
    ) -> tuple[int, bool]:
        """Delete all instances that match and have ended; see `purge`.

        Args:
            hub: Of this hub.
            where: Which.
            recursive: Whether with their descendants.
            enough: Asked from time to time whether to stop early.

        Returns:
            How many were deleted, and whether those are all.
        """
        ended = where.statuses & TERMINAL_STATUSES if where.statuses else TERMINAL_STATUSES

        if not ended:
            return 0, True

        narrowed = InstanceFilter(
            statuses=ended, created_from=where.created_from, created_to=where.created_to, id_prefix=where.id_prefix
        )
        deleted = 0
        after: Cursor | None = None

        while True:
            page = await self._backend.query(hub, narrowed, after=after, limit=_PURGE_PAGE)
            deleted += await self.purge([instance.key for instance in page.instances], recursive=recursive)
            after = page.next

            if after is None or enough():
                return deleted, after is None

    def _purging(self, key: InstanceKey) -> Callable[[Outcome], None]:
        def applied(outcome: Outcome) -> None:
            if outcome.code is Code.APPLIED:
                self._orchestrations.purged(key)

        return applied
