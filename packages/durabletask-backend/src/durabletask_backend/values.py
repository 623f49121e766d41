"""The values a backend stores and gives back.

Everything is a small immutable value or opaque bytes: a backend never looks into an event, a task or a payload. Times are
whole microseconds since 1970-01-01 UTC (`Micros`), so that they sort, compare and travel the same everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, TypeAlias

Micros: TypeAlias = int
"""Microseconds since 1970-01-01 00:00 UTC."""


class RuntimeStatus(IntEnum):
    """Where an orchestration stands. The numbers are those of the protocol's `OrchestrationStatus`."""

    RUNNING = 0
    COMPLETED = 1
    FAILED = 3
    CANCELED = 4
    TERMINATED = 5
    PENDING = 6
    SUSPENDED = 7


TERMINAL_STATUSES = frozenset(
    {RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.CANCELED, RuntimeStatus.TERMINATED}
)
"""The statuses an instance never leaves by itself."""


class InstanceKey(NamedTuple):
    """Names one instance of one hub: an orchestration, or an entity."""

    hub: str
    instance_id: str

    @property
    def is_entity(self) -> bool:
        """Whether it is an entity's: the ids of entities, and of nothing else, begin with `@`."""
        return self.instance_id.startswith("@")

    @property
    def entity_name(self) -> str:
        """Of an entity's id, `@name@key`, the name in lower case."""
        return self.instance_id[1:].partition("@")[0].lower()


class TaskKey(NamedTuple):
    """Names one scheduled activity of one generation of an instance."""

    hub: str
    instance_id: str
    execution_id: str
    task_id: int

    @property
    def instance(self) -> InstanceKey:
        """The instance that scheduled the task."""
        return InstanceKey(self.hub, self.instance_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An orchestration instance as its readers see it."""

    key: InstanceKey
    execution_id: str
    """The generation; a new one with each start over the same id and each continue-as-new."""
    first_execution_id: str | None = None
    """The generation that was started, once another has followed it: by it a start that is repeated is known."""
    name: str
    version: str | None = None
    status: RuntimeStatus
    created_at: Micros
    updated_at: Micros
    completed_at: Micros | None = None
    """Set exactly when `status` is terminal."""
    scheduled_at: Micros | None = None
    """When it was asked to start, if that was in the future."""
    input: str | None = None
    """None where the caller asked for no payloads, too; likewise `output`."""
    output: str | None = None
    custom_status: str | None = None
    failure: bytes | None = None
    """A serialized `TaskFailureDetails`, opaque here."""
    tags: Mapping[str, str] = field(default_factory=dict)
    parent_id: str | None = None
    """The id of the instance, in the same hub, that started this one as its child."""
    turn: int = 0
    """Turns committed since creation. A turn says which count it was decided on, and is refused on another."""
    turn_context: bytes | None = None
    """What the worker wants back with the next turn (a serialized `OrchestrationTraceContext`), opaque here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message in an instance's inbox, not yet taken by a turn."""

    sequence: int
    """Unique in the backend, rising in commit order."""
    payload: bytes
    """A serialized history event, opaque here."""
    execution_id: str | None = None
    """The generation it is for; it goes with that generation. None: for whichever generation is live."""
    due_at: Micros | None = None
    """Not to be delivered before; None: at once. Timers and scheduled starts are delayed messages."""
    front: bool = False
    """Delivered before all messages that are not `front`: a generation's start and the events it carries over."""


class DueMessage(NamedTuple):
    """A delayed message, as the timer heap keeps it: everything but its payload."""

    due_at: Micros
    sequence: int
    key: InstanceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An activity that is scheduled and not yet answered."""

    key: TaskKey
    name: str
    version: str | None = None
    caller_version: str | None = None
    """The version of the orchestration that scheduled it."""
    payload: bytes
    """A serialized `ActivityRequest`, opaque here."""
    out: bool = False
    """Whether a worker is known to have held it (`MarkTasksOut`); says nothing after a crash within the mark's delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityLock:
    """Which critical section has an entity for itself."""

    instance_id: str
    """The orchestration, of the same hub, whose section it is."""
    execution_id: str
    section_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """An entity as its readers see it. It comes to be with the first message to it."""

    key: InstanceKey
    state: str | None = None
    """None: it has none. Also where the caller asked for no states; see `has_state`."""
    has_state: bool = False
    modified_at: Micros
    """When operations were last done on it; before that, when it came to be."""
    lock: EntityLock | None = None
    turn: int = 0
    """Turns committed since it came to be. A turn says which count it was decided on, and is refused on another."""
    backlog: int = 0
    """How many messages wait in its inbox, without the delayed ones. Only readers fill it in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedInstance:
    """What an owner needs to go on with an instance: its record, its history and its inbox."""

    instance: Instance
    history: bytes
    """The framed events of the current generation, in order (see `durabletask_backend.contract`)."""
    history_count: int
    inbox: tuple[Message, ...]
    """In order of delivery: `front` messages first, then by sequence. Delayed ones too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedEntity:
    """What an owner needs to go on with an entity."""

    entity: Entity
    inbox: tuple[Message, ...]
    """As that of an instance."""


class HistoryChunk(NamedTuple):
    """Some consecutive events of an instance's history."""

    first: int
    """The position of the first event, from 0."""
    length: int
    """How many events."""
    events: bytes
    """Framed events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right of one process to decide turns. Every batch names the lease it was made under."""

    owner: str
    """The name of the process, unique over all that ever opened the backend."""
    epoch: int
    """Rises whenever an owner of that name opens the backend or is taken over; a batch of an older epoch is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A task hub: a name space of instances with a secret of its own."""

    name: str
    secret: bytes
    """Signs the hub's completion tokens. Lives as long as the hub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkNames:
    """Which work a server has workers for, by its names in lower case. None: whatever the name."""

    orchestrations: frozenset[str] | None = None
    activities: frozenset[str] | None = None
    entities: frozenset[str] | None = None


ANY_WORK = WorkNames()
"""Work of all names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFilter:
    """Which instances a query wants. An empty filter means all of the hub."""

    statuses: frozenset[RuntimeStatus] = frozenset()
    """Empty: any."""
    created_from: Micros | None = None
    """Inclusive."""
    created_to: Micros | None = None
    """Exclusive."""
    completed_from: Micros | None = None
    """Inclusive; excludes instances that are not completed."""
    completed_to: Micros | None = None
    """Exclusive; excludes instances that are not completed."""
    id_prefix: str | None = None
    """Compared case-sensitively."""


class QueryOrder(IntEnum):
    """How a query's result is sorted. The cursor of one order means nothing to the other."""

    CREATED = 0
    """By creation time, then id."""
    COMPLETED = 1
    """By completion time, then id; instances that are not completed are left out."""
    ID = 2
    """By id. `Cursor.at` is 0."""


class Cursor(NamedTuple):
    """The place in a sorted result after which the next page starts: the sort key of the last row given."""

    at: Micros
    instance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancePage:
    """One page of a query."""

    instances: tuple[Instance, ...]
    next: Cursor | None
    """Where the next page starts; None when this was the last one. A page can be short, and still not be the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityFilter:
    """Which entities a query wants. An empty filter means all of the hub that have a state, a lock or a backlog."""

    id_prefix: str | None = None
    """Compared case-sensitively."""
    modified_from: Micros | None = None
    """Inclusive."""
    modified_to: Micros | None = None
    """Exclusive."""
    transient: bool = True
    """Whether those without a state, too."""
    empty: bool = False
    """Whether also those that have no state, no lock and no backlog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityPage:
    """One page of a query for entities, by id."""

    entities: tuple[Entity, ...]
    next: str | None
    """The id after which the next page starts; None when this was the last one. Other pages can be short, too."""
