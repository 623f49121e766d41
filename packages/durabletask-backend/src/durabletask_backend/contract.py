"""The storage contract of the engine.

A backend keeps instances, their histories and inboxes, and open tasks. It decides nothing about orchestrations: the engine
hands it batches of mutations, and it applies each batch atomically, in order, with one outcome a mutation. The rules of that
are written once, in `durabletask_backend.plan`; a backend reads the few rows they need, and writes what they say.

**Framed events.** A history is a run of frames, each the byte 0x1a, the length of the event as a base-128 varint, and the
serialized event; so runs are joined by concatenation and can be sent as they are. A backend may split between `CompleteTurn`s,
never within one.

**One owner or many.** Each process that decides turns holds a `Lease`. A backend for one owner refuses a second process when it
opens; a backend for many fences: an instance belongs to the owner that created or claimed it, and a turn by another is STALE.

A third party's backend registers a factory `(location: str) -> Backend` under the entry-point group `durabletask.backends`, named
after its URL scheme, and passes `durabletask_backend.conformance`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from durabletask_backend.mutations import Batch, Outcome
from durabletask_backend.values import (
    ANY_WORK,
    Cursor,
    DueMessage,
    Entity,
    EntityFilter,
    EntityPage,
    HistoryChunk,
    Hub,
    Instance,
    InstanceFilter,
    InstanceKey,
    InstancePage,
    Lease,
    LoadedEntity,
    LoadedInstance,
    QueryOrder,
    RuntimeStatus,
    Task,
    TaskKey,
    WorkNames,
)


class Hint(NamedTuple):
    """A lossy word from another owner about what it changed."""

    key: InstanceKey | None
    """This instance: its inbox or its status. None: tasks were left free, to be claimed."""
    owner: str | None = None
    """Whose the instance is; None: nobody's, to be claimed if it has something to do."""
    name: str | None = None
    """The name of the instance or the tasks, in lower case, as far as known."""


@runtime_checkable
class Backend(Protocol):
    """Where a task hub's state lives. All methods may raise `StorageFailedError`; none is called before `open`."""

    @property
    def description(self) -> str:
        """What it is and where it keeps its data, for the log: `SQLite file /data/hub.sqlite3`."""
        ...

    @property
    def shared(self) -> bool:
        """Whether several processes may own instances of the store at the same time."""
        ...

    async def open(self, owner: str, *, ttl: float = 30.0) -> Lease:
        """Make the store ready: create or migrate it, and become an owner.

        Args:
            owner: A name for this process; a name that is used again gets a higher epoch.
            ttl: Seconds for which the lease holds unless renewed; without meaning for a backend with one owner.

        Returns:
            The lease that this process puts in its batches.

        Raises:
            NotADatabaseError: What is there is something else; nothing was written.
            SchemaTooNewError: A newer version wrote it; nothing was written.
            AlreadyOwnedError: Another live process has it, and it takes only one.
        """
        ...

    async def close(self) -> None:
        """Give up ownership and release every resource. Safe to call twice, and after a failed `open`."""
        ...

    async def renew(self, lease: Lease) -> None:
        """Extend the lease by its time to live.

        Raises:
            LeaseLostError: It ran out and was taken over.
        """
        ...

    async def release(self, lease: Lease, keys: Collection[InstanceKey] = (), tasks: Collection[TaskKey] = ()) -> None:
        """Give up these instances and open tasks, so that any owner may claim them; the others are told by a hint.

        What is owned by others is left alone.
        """
        ...

    def changes(self) -> AsyncIterator[Hint]:
        """Hints of what other owners did, lossy and without order. On a backend with one owner it ends at once."""
        ...

    async def create_hub(self, hub: str, secret: bytes) -> Hub:
        """Create a hub, or return the one that is there, with the secret it has."""
        ...

    async def get_hub(self, hub: str) -> Hub | None:
        """The hub of that name, None where there is none."""
        ...

    async def delete_hub(self, hub: str) -> bool:
        """Delete a hub and everything in it, at once. Returns whether there was one."""
        ...

    async def commit(self, batch: Batch) -> Sequence[Outcome]:
        """Apply a batch: all mutations whose conditions hold, in order, in one durable transaction.

        Returns:
            One outcome a mutation. When a batch of this id was the owner's last one, nothing is applied again and the stored
            outcomes are returned.

        Raises:
            LeaseLostError: The lease is not the owner's current one; nothing was applied.
            StorageFailedError: The store failed; whether the batch was applied is for `outcomes` to tell.
        """
        ...

    async def outcomes(self, lease: Lease, batch_id: str) -> Sequence[Outcome] | None:
        """The outcomes of the owner's last batch if it has this id, None otherwise: then that batch was never applied."""
        ...

    async def load(
        self, lease: Lease, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, LoadedInstance | LoadedEntity]:
        """Become the owner of instances, and read them with history and inbox, all as of one moment.

        Those that do not exist, and those that another live owner has, are left out.
        """
        ...

    def history(
        self, key: InstanceKey, *, after: int = 0, execution_id: str | None = None
    ) -> AsyncIterator[HistoryChunk]:
        """The history of the instance's current generation, in chunks, from the event at position `after` or before it.

        Yields nothing where the instance does not exist or is of another generation than `execution_id`.
        """
        ...

    async def due(self, *, after: DueMessage | None, limit: int) -> Sequence[DueMessage]:
        """The delayed messages that come next, of all hubs, sorted by due time, then sequence.

        Args:
            after: Only those that sort behind this one; None: from the first.
            limit: At most so many.
        """
        ...

    async def claim_instances(
        self,
        lease: Lease,
        *,
        names: WorkNames = ANY_WORK,
        mine: bool = True,
        after: InstanceKey | None = None,
        limit: int = 1000,
    ) -> Sequence[InstanceKey]:
        """Become the owner of instances and entities that have messages to deliver at once and no live owner (or this one).

        Args:
            lease: The owner's.
            names: Only what it has workers for. A backend for one owner may leave that aside, and `mine`.
            mine: Whether to name those, too, that this owner has already.
            after: Only keys that sort behind this.
            limit: At most so many.

        Returns:
            The keys, sorted; fewer than `limit` only when there are no more.
        """
        ...

    async def claim_tasks(
        self,
        lease: Lease,
        *,
        names: WorkNames = ANY_WORK,
        mine: bool = True,
        after: TaskKey | None = None,
        limit: int = 1000,
    ) -> Sequence[Task]:
        """Become the owner of open tasks that have no live owner (or this one). Otherwise as `claim_instances`."""
        ...

    async def get(self, key: InstanceKey, *, payloads: bool = True) -> Instance | None:
        """One instance, None where it does not exist.

        Args:
            key: Which.
            payloads: Whether to read input and output, which can be large.
        """
        ...

    async def query(
        self,
        hub: str,
        where: InstanceFilter,
        *,
        order: QueryOrder = QueryOrder.CREATED,
        after: Cursor | None = None,
        limit: int = 100,
        payloads: bool = False,
    ) -> InstancePage:
        """A page of the instances that match, stable while others are written.

        Args:
            hub: Of this hub.
            where: Which.
            order: Sorted how.
            after: Start behind this; None: at the first.
            limit: At most so many; 1 or more.
            payloads: Whether to read input and output.
        """
        ...

    async def counts(self, hub: str) -> Mapping[RuntimeStatus, int]:
        """How many instances of a hub have which status; those that none has may be left out. For metrics, so now and then."""
        ...

    async def children(self, key: InstanceKey) -> Sequence[InstanceKey]:
        """The instances that name this one as their parent, in any status."""
        ...

    async def entity(self, key: InstanceKey, *, states: bool = True) -> Entity | None:
        """One entity, None where it does not exist.

        Args:
            key: Which.
            states: Whether to read its state.
        """
        ...

    async def entities(
        self,
        hub: str,
        where: EntityFilter,
        *,
        after: str | None = None,
        limit: int = 100,
        states: bool = False,
    ) -> EntityPage:
        """A page of the entities that match, by id.

        Args:
            hub: Of this hub.
            where: Which.
            after: Only ids that sort behind this.
            limit: At most so many; 1 or more.
            states: Whether to read their states.
        """
        ...

    async def hubs(self) -> Sequence[Hub]:
        """All hubs, by name."""
        ...
