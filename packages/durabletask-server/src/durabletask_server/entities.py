"""What clients ask of entities, for the gRPC service and for whoever embeds the engine."""

from __future__ import annotations

from typing import NamedTuple

from durabletask_backend.contract import Backend
from durabletask_backend.errors import HubMissingError
from durabletask_backend.mutations import AppendMessage, Code, Outcome
from durabletask_backend.values import TERMINAL_STATUSES, Entity, EntityFilter, EntityPage, InstanceKey

from durabletask_server.clock import Clock
from durabletask_server.engine import lifecycle
from durabletask_server.journal import Journal
from durabletask_server.operations import OperationProcessor
from durabletask_server.residency import Residency

_CLEANED = 500
"""Entities looked at in one call of `clean`."""


class Cleaned(NamedTuple):
    """What a call of `clean` did."""

    removed: int
    """Entities deleted."""
    released: int
    """Locks released."""
    next: str | None
    """The id after which the next call is to go on; None at the end."""


class Entities:
    """The entities of all hubs.

    Args:
        backend: For what is to be read.
        journal: For what is to be changed.
        residency: Follows what was committed.
        operations: Sees the turns of entities through.
        clock: The time.
    """

    def __init__(
        self,
        backend: Backend,
        journal: Journal,
        residency: Residency,
        operations: OperationProcessor,
        clock: Clock,
    ) -> None:
        self._backend = backend
        self._journal = journal
        self._residency = residency
        self._operations = operations
        self._clock = clock

    async def send(self, append: AppendMessage) -> None:
        """Put a message in an entity's inbox, durably.

        Raises:
            JournalFullError: Too much is waiting to be committed.
            HubMissingError: There is no such hub.
            BackendError: The store failed; whether the message was taken is not known.
        """
        self._journal.admit()
        outcome = await self._append(append)

        if outcome.code is Code.NO_HUB:
            raise HubMissingError(append.key.hub)

    async def get(self, key: InstanceKey, *, states: bool = True) -> Entity | None:
        """An entity that has a state, a lock or a backlog. None: there is none."""
        entity = await self._backend.entity(key, states=states)

        return entity if entity is not None and not _is_empty(entity) else None

    async def query(self, hub: str, where: EntityFilter, *, after: str | None, limit: int, states: bool) -> EntityPage:
        """A page of the hub's entities; see `Backend.entities`."""
        return await self._backend.entities(hub, where, after=after, limit=limit, states=states)

    async def clean(self, hub: str, *, after: str | None, remove_empty: bool, release_orphaned: bool) -> Cleaned:
        """Delete entities that hold nothing, and release locks whose owners have ended; some in each call.

        Args:
            hub: Of this hub.
            after: Go on behind this id.
            remove_empty: Whether to delete entities that have no state, no lock and no messages, not even delayed ones.
            release_orphaned: Whether to release the locks.
        """
        page = await self._backend.entities(hub, EntityFilter(empty=True), after=after, limit=_CLEANED)
        removed = released = 0

        for entity in page.entities:
            if remove_empty and _is_empty(entity):
                removed += await self._operations.purge(entity.key, only_empty=True)
            elif release_orphaned and await self._is_orphaned(entity):
                released += await self._release(entity)

        return Cleaned(removed, released, page.next)

    async def _is_orphaned(self, entity: Entity) -> bool:
        lock = entity.lock

        if lock is None:
            return False

        owner = await self._backend.get(InstanceKey(entity.key.hub, lock.instance_id), payloads=False)

        return owner is None or owner.status in TERMINAL_STATUSES or owner.execution_id != lock.execution_id

    async def _release(self, entity: Entity) -> bool:
        assert entity.lock is not None
        outcome = await self._append(lifecycle.release_lock(entity.key, entity.lock, self._clock.now()))

        return outcome.code is Code.APPLIED

    async def _append(self, append: AppendMessage) -> Outcome:
        return await self._journal.submit(append, lambda outcome: self._residency.appended(append, outcome))


def _is_empty(entity: Entity) -> bool:
    return not entity.has_state and entity.lock is None and not entity.backlog
