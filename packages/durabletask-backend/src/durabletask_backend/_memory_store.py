"""What the reference backend keeps: instances, entities, owners, and who listens to changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from durabletask_backend.contract import Hint
from durabletask_backend.mutations import Outcome
from durabletask_backend.plan import EntityHead, Head
from durabletask_backend.values import (
    DueMessage,
    Entity,
    HistoryChunk,
    Hub,
    Instance,
    InstanceKey,
    Lease,
    LoadedEntity,
    LoadedInstance,
    Message,
    Micros,
    Task,
    TaskKey,
    WorkNames,
)

_HINTS_KEPT = 1000
"""Hints that wait for one that iterates `changes`; more are dropped."""


def _wall_clock() -> Micros:
    return time.time_ns() // 1000


@dataclass(slots=True, kw_only=True)
class Row:
    """What an instance and an entity have in common."""

    owner: str | None
    inbox: dict[int, Message] = field(default_factory=dict)

    @property
    def backlog(self) -> int:
        """How many messages are to be delivered at once."""
        return sum(message.due_at is None for message in self.inbox.values())

    @property
    def in_order(self) -> tuple[Message, ...]:
        """The inbox, in order of delivery."""
        return tuple(sorted(self.inbox.values(), key=lambda message: (not message.front, message.sequence)))


@dataclass(slots=True, kw_only=True)
class InstanceRow(Row):
    """An instance with all that is its own."""

    instance: Instance
    history: list[HistoryChunk] = field(default_factory=list)
    tasks: dict[TaskKey, Task] = field(default_factory=dict)
    task_owners: dict[TaskKey, str | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """In lower case."""
        return self.instance.name.lower()

    @property
    def loaded(self) -> LoadedInstance:
        """All of it."""
        return LoadedInstance(
            instance=self.instance,
            history=b"".join(chunk.events for chunk in self.history),
            history_count=self.history[-1].first + self.history[-1].length if self.history else 0,
            inbox=self.in_order,
        )

    def drop_tasks(self) -> None:
        """Forget the open tasks."""
        self.tasks.clear()
        self.task_owners.clear()


@dataclass(slots=True, kw_only=True)
class EntityRow(Row):
    """An entity with all that is its own."""

    entity: Entity

    @property
    def name(self) -> str:
        """In lower case."""
        return self.entity.key.entity_name

    @property
    def shown(self) -> Entity:
        """As readers see it."""
        return replace(self.entity, backlog=self.backlog)

    @property
    def loaded(self) -> LoadedEntity:
        """All of it."""
        return LoadedEntity(entity=self.shown, inbox=self.in_order)


@dataclass(slots=True)
class Owner:
    """One that opened the store, by its name."""

    epoch: int = 0
    ttl: Micros = 0
    expires: Micros = 0
    last_batch: str | None = None
    last_outcomes: Sequence[Outcome] = ()


@dataclass(slots=True, eq=False)
class Watcher:
    """One iteration of `changes`; None ends it."""

    lease: Lease
    hints: asyncio.Queue[Hint | None] = field(default_factory=asyncio.Queue)

    def tell(self, hint: Hint) -> None:
        """Pass it on, if there is room."""
        # Hints may be lost, memory may not: who does not listen misses some.
        if self.hints.qsize() < _HINTS_KEPT:
            self.hints.put_nowait(hint)


class MemoryStore:
    """What several `MemoryBackend`s of one process may share.

    Args:
        clock: Tells the time by which leases run out.
    """

    def __init__(self, clock: Callable[[], Micros] = _wall_clock) -> None:
        self.clock = clock
        self.hubs: dict[str, Hub] = {}
        self.rows: dict[InstanceKey, InstanceRow] = {}
        self.entities: dict[InstanceKey, EntityRow] = {}
        self.owners: dict[str, Owner] = {}
        self.due: list[DueMessage] = []
        """Sorted. Those whose message is gone are skipped when they are met."""
        self.watchers: list[Watcher] = []
        self.next_sequence = 1

    def find(self, key: InstanceKey) -> InstanceRow | EntityRow | None:
        """The instance or the entity of this key."""
        return self.entities.get(key) if key.is_entity else self.rows.get(key)

    def head(self, row: InstanceRow) -> Head:
        """What conditions ask about."""
        instance = row.instance

        return Head(
            instance.execution_id, instance.status, instance.turn, self.live(row.owner), instance.first_execution_id
        )

    def entity_head(self, row: EntityRow, *, waiting: bool) -> EntityHead:
        """What conditions ask about; `waiting`: they ask about the inbox, too."""
        entity = row.entity
        held = entity.has_state or entity.lock is not None

        return EntityHead(entity.turn, held, self.live(row.owner), frozenset(row.inbox if waiting else ()))

    def live(self, owner: str | None) -> str | None:
        """The owner, if its lease has not run out."""
        if owner is None or self.owners[owner].expires <= self.clock():
            return None

        return owner

    def claim(self, row: Row, claimant: str) -> bool:
        """Make the claimant the owner, unless another one lives."""
        if not self.claimable(row.owner, claimant):
            return False

        row.owner = claimant

        return True

    def claimable(self, holder: str | None, claimant: str) -> bool:
        """Whether the claimant may take what the holder has. A holder that is taken over loses its lease by it."""
        if holder is None or holder == claimant:
            return True

        if self.live(holder) is not None:
            return False

        self.owners[holder].epoch += 1

        return True

    def hint(self, key: InstanceKey) -> Hint:
        """The word that this instance or entity has changed, as it is now."""
        row = self.find(key)

        return Hint(key) if row is None else Hint(key, self.live(row.owner), row.name)

    def tell_others(self, owner: str, hints: Iterable[Hint]) -> None:
        """Pass hints to all but the owner that gave rise to them."""
        others = [watcher for watcher in self.watchers if watcher.lease.owner != owner]

        # The hints are made only when somebody listens.
        if others:
            for hint in hints:
                for watcher in others:
                    watcher.tell(hint)


def is_wanted(row: InstanceRow | EntityRow, names: WorkNames) -> bool:
    """Whether it is of a name that there are workers for."""
    wanted = names.orchestrations if isinstance(row, InstanceRow) else names.entities

    return wanted is None or row.name in wanted
