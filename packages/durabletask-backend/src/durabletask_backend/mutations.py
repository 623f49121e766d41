"""What can be asked of a backend in one commit, and what it answers.

A batch is applied in the order of its mutations, all in one transaction. A mutation whose condition does not hold changes
nothing and says so in its outcome; its neighbours stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from durabletask_backend.values import EntityLock, Instance, InstanceKey, Lease, Micros, RuntimeStatus, Task, TaskKey


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendMessage:
    """Put a message in the inbox of a live instance, or of an entity, which comes to be if there is none.

    Outcomes: APPLIED with the message's sequence; MISSING, TERMINAL or SUPERSEDED (another generation is live): dropped; NO_HUB:
    an entity cannot come to be.
    """

    key: InstanceKey
    payload: bytes
    execution_id: str | None = None
    """Deliver only to this generation, and drop the message with it. None: to whichever generation is live, or to an entity."""
    due_at: Micros | None = None
    front: bool = False
    at: Micros = 0
    """The time from which an entity is dated that comes to be by this."""
    otherwise: tuple[AppendMessage, ...] = ()
    """Appended instead when this message is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInstance:
    """Create an instance with its start message in its inbox.

    Outcomes: APPLIED (there was none) or REPLACED, with the start message's sequence; UNCHANGED: the instance exists with this
    very `execution_id`, or began with it, so this is a retry; EXISTS with the status of the instance that stands in the way; NO_HUB.
    """

    instance: Instance
    start: bytes
    due_at: Micros | None = None
    """When the start message may be delivered; None: at once."""
    replace: frozenset[RuntimeStatus] = frozenset()
    """The statuses in which an existing instance of that id gives way, with its history, inbox and tasks."""
    on_conflict: AppendMessage | None = None
    """Applied instead when the outcome is EXISTS: how a parent learns that its child's id is taken."""
    on_replaced: tuple[AppendMessage, ...] = ()
    """Applied, too, when the outcome is REPLACED: how a parent learns that its child is gone, and entities that their lock's owner is."""


Effect: TypeAlias = AppendMessage | CreateInstance
"""What a turn does to other instances, or to its own inbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextGeneration:
    """What continue-as-new changes in the instance's record. History, tasks and bound messages of the old one go."""

    execution_id: str
    input: str | None
    version: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteTurn:
    """Commit what one turn decided: all of it, or nothing.

    With a terminal `status` the rest of the inbox goes, and on any but COMPLETED the open tasks too. `effects` apply after the
    turn itself, in order, so that one on the instance itself meets its new generation and status.

    Outcomes: APPLIED, with one outcome for each of `effects`; STALE: the instance is gone, of another generation or turn, or
    owned by another; nothing was changed.
    """

    key: InstanceKey
    execution_id: str
    """The generation it was decided on."""
    turn: int
    """`Instance.turn` as it was when the turn was decided; the commit makes it one more."""
    status: RuntimeStatus
    updated_at: Micros
    completed_at: Micros | None = None
    output: str | None = None
    custom_status: str | None = None
    failure: bytes | None = None
    turn_context: bytes | None = None
    history: bytes = b""
    """Framed events to append; with `generation` they are dropped, for history begins anew."""
    history_first: int = 0
    """The position of the first of them."""
    history_count: int = 0
    consumed: tuple[int, ...] = ()
    """The sequences of the messages the turn took."""
    tasks: tuple[Task, ...] = ()
    effects: tuple[Effect, ...] = ()
    generation: NextGeneration | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RewindInstances:
    """Let instances that have FAILED go on from before they did: all of them, or none.

    Each of `turns` is decided on the instance as it failed. Its history takes the place of the one that is there; the rest is as for
    any turn; effects apply after all of them. Whoever owned the instance when it failed, it is the batch's owner's now.

    Outcomes: APPLIED, with an outcome for each of `turns`; STALE: one of them is gone, has not failed, or is of another generation or
    turn; nothing was changed.
    """

    turns: tuple[CompleteTurn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteEntityTurn:
    """Commit what became of an entity's messages: all of it, or nothing.

    Outcomes: APPLIED, with one outcome for each of `effects`, which apply after the turn itself, in order; STALE: the entity is
    gone, of another turn, or owned by another; nothing was changed.
    """

    key: InstanceKey
    turn: int
    """`Entity.turn` as it was when the turn was decided; the commit makes it one more."""
    state: str | None
    """What the entity's state is now; None: it has none."""
    lock: EntityLock | None
    """Whose it is now."""
    modified_at: Micros
    consumed: tuple[int, ...] = ()
    """The sequences of the messages the turn took."""
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeEntity:
    """Delete an entity with its inbox. Outcomes: APPLIED; MISSING; NOT_EMPTY: only an empty one was to be deleted, and it is not."""

    key: InstanceKey
    only_empty: bool = False
    """Only if it has no state, no lock, and nothing in its inbox, not even a delayed message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteTask:
    """Close an open task and deliver its answer.

    Outcomes: APPLIED with the sequence of the message; MISSING: the task is not open (answered before, or dropped);
    TERMINAL: the task is closed now, but nobody waits for its answer any more.
    """

    task: TaskKey
    payload: bytes
    """The message: a serialized `TaskCompleted` or `TaskFailed` event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkTasksOut:
    """Note that workers hold these tasks, so that the next owner gives them time to answer. Always APPLIED."""

    tasks: tuple[TaskKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeInstance:
    """Delete a terminal instance with its history. Outcomes: APPLIED; MISSING; NOT_TERMINAL with its status."""

    key: InstanceKey


Mutation: TypeAlias = (
    CreateInstance
    | AppendMessage
    | CompleteTurn
    | RewindInstances
    | CompleteEntityTurn
    | CompleteTask
    | MarkTasksOut
    | PurgeInstance
    | PurgeEntity
)


class Code(IntEnum):
    """What became of a mutation; each mutation's documentation says which codes it can have."""

    APPLIED = 0
    REPLACED = 1
    UNCHANGED = 2
    EXISTS = 3
    MISSING = 4
    TERMINAL = 5
    SUPERSEDED = 6
    STALE = 7
    NOT_TERMINAL = 8
    NOT_EMPTY = 9
    NO_HUB = 10


class Outcome(NamedTuple):
    """What became of one mutation."""

    code: Code
    sequence: int = 0
    """The sequence of the message that was appended, 0 where there was none."""
    status: RuntimeStatus | None = None
    """The status of the instance that stood in the way."""
    effects: tuple[Outcome, ...] = ()
    """One for each effect of a turn; for a CreateInstance that met EXISTS, that of its `on_conflict`, for one that REPLACED, those of its
    `on_replaced`; for a message that was dropped, those of its `otherwise`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Mutations to be applied together."""

    id: str
    """Unique over all batches. A batch is never applied twice: a repeat gets the stored outcomes."""
    lease: Lease
    mutations: Sequence[Mutation] = field(default_factory=tuple)
