"""What clients ask of instances, for the gRPC service and for whoever embeds the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from durabletask_backend.contract import Backend
from durabletask_backend.mutations import (
    AppendMessage,
    Code,
    CreateInstance,
    Outcome,
    PurgeInstance,
)
from durabletask_backend.values import (
    TERMINAL_STATUSES,
    Cursor,
    HistoryChunk,
    Instance,
    InstanceFilter,
    InstanceKey,
    InstancePage,
    Micros,
    QueryOrder,
    RuntimeStatus,
)
from google.protobuf.message import DecodeError

from durabletask_server.engine import lifecycle, locks
from durabletask_server.engine.ids import NewId
from durabletask_server.engine.state import State, fold
from durabletask_server.journal import Journal
from durabletask_server.live import LiveOrchestration
from durabletask_server.operations import OperationProcessor
from durabletask_server.orchestrations import OrchestrationProcessor
from durabletask_server.residency import Residency
from durabletask_server.rewinding import Rewinder, find
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
        residency: Follows what was committed.
        orchestrations: For what is in memory.
        operations: Purges entities.
        waiters: For who waits.
    """

    def __init__(
        self,
        backend: Backend,
        journal: Journal,
        residency: Residency,
        orchestrations: OrchestrationProcessor,
        operations: OperationProcessor,
        waiters: Waiters,
    ) -> None:
        self._backend = backend
        self._journal = journal
        self._residency = residency
        self._orchestrations = orchestrations
        self._operations = operations
        self._waiters = waiters
        self._rewinder = Rewinder(backend, journal, residency, waiters)

    async def create(self, create: CreateInstance) -> Outcome:
        """Create an instance, durably. The parent of a live one that gives way to it is told.

        Raises:
            JournalFullError: Too much is waiting to be committed.
            BackendError: The store failed; whether it was created is not known. Ask again with the same execution id.
        """
        self._journal.admit()

        if not create.replace <= TERMINAL_STATUSES:
            create = await self._taking_leave(create)

        return await self._journal.submit(create, lambda outcome: self._residency.created(create, outcome))

    async def _taking_leave(self, create: CreateInstance) -> CreateInstance:
        """Have the parent told of a live instance that gives way, and its locks released."""
        key, now = create.instance.key, create.instance.created_at
        state = await self._state(key)

        if state is None:
            return create

        told = [] if state.parent is None else [lifecycle.replaced(state.parent, key, now)]
        released = locks.leave(key, state.instance.execution_id, state.sections, now)

        return replace(create, on_replaced=(*told, *released))

    async def _state(self, key: InstanceKey) -> State | None:
        """An instance with its start, also if that is not taken yet."""
        resident = self._residency.get(key)

        if not isinstance(resident, LiveOrchestration):
            return await self._stored(key)

        started = (letter.event.executionStarted for letter in resident.letters() if letter.kind == "executionStarted")
        start = resident.state.start or next(started, None)

        return resident.state if start is None else replace(resident.state, start=start)

    async def _stored(self, key: InstanceKey) -> State | None:
        """An instance as the store has it. None: there is none, or its history cannot be read."""
        found = await find(self._backend, key, whole=True)

        try:
            return None if found is None else fold(found.instance, found.history)
        except DecodeError:
            return None

    async def send(self, append: AppendMessage) -> Outcome:
        """Put a message in an instance's inbox, durably. Raises as `create`."""
        self._journal.admit()

        return await self._journal.submit(append, lambda outcome: self._residency.appended(append, outcome))

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

    async def holds_locks(self, key: InstanceKey) -> bool:
        """Whether an instance is in a critical section, and has entities for itself."""
        state = self._orchestrations.state(key) or await self._stored(key)

        return state is not None and state.holds_locks

    async def rewind(self, key: InstanceKey, reason: str | None, *, now: Micros, new_id: NewId) -> bool:
        """Let an instance that has failed go on from before it did, durably.

        Args:
            key: The instance.
            reason: Why, for the history.
            now: The clock's time.
            new_id: Makes ids.

        Returns:
            Whether there is such an instance.

        Raises:
            NotAllowedError: It has not failed.
            TurnRefusedError: It, or a child of it, does not stop changing, or is another server's.
            JournalFullError: Too much is waiting to be committed.
            BackendError: The store failed; whether it was rewound is not known.
        """
        return await self._rewinder.rewind(key, reason, now=now, new_id=new_id)

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
                key = unseen.pop()
                instance = None if key.is_entity else await self._backend.get(key, payloads=False)

                # What goes on keeps its children.
                if instance is None or not has_ended(instance):
                    continue

                for child in await self._backend.children(key):
                    if child not in doomed:
                        doomed[child] = None
                        unseen.append(child)

        purged = await asyncio.gather(*(self._purge(key) for key in doomed))

        return sum(purged)

    async def _purge(self, key: InstanceKey) -> bool:
        if key.is_entity:
            return await self._operations.purge(key)

        return (await self._journal.submit(PurgeInstance(key=key), self._purging(key))).code is Code.APPLIED

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
                self._residency.purged(key)

        return applied
