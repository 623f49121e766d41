"""What the conditions of a batch ask about, and the form in which a backend answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from durabletask_backend.mutations import (
    AppendMessage,
    Batch,
    CompleteEntityTurn,
    CompleteTask,
    CompleteTurn,
    CreateInstance,
    Effect,
    MarkTasksOut,
    PurgeEntity,
    PurgeInstance,
    RewindInstances,
)
from durabletask_backend.values import InstanceKey, RuntimeStatus, TaskKey


class Head(NamedTuple):
    """The part of a stored instance that conditions ask about."""

    execution_id: str
    status: RuntimeStatus
    turn: int
    owner: str | None = None
    """The live owner, None when it has none; a backend with one owner may leave it None."""
    first_execution_id: str | None = None


class EntityHead(NamedTuple):
    """The part of a stored entity that conditions ask about."""

    turn: int
    held: bool
    """Whether it has a state or a lock."""
    owner: str | None = None
    """As that of `Head`."""
    waiting: frozenset[int] = frozenset()
    """The sequences of all messages in its inbox. Only for those that `RowsRead.inboxes` names."""


@dataclass(slots=True)
class RowsRead:
    """What to read for a batch, in the transaction that writes it."""

    instances: set[InstanceKey] = field(default_factory=set)
    """For their `Head`."""
    entities: set[InstanceKey] = field(default_factory=set)
    """For their `EntityHead`."""
    inboxes: set[InstanceKey] = field(default_factory=set)
    """Those among `entities` whose `EntityHead.waiting` is asked about."""
    tasks: set[TaskKey] = field(default_factory=set)
    """For whether they are open."""
    hubs: set[str] = field(default_factory=set)
    """For whether they exist: something may come to be in them."""


@dataclass(slots=True, kw_only=True)
class Stored:
    """What was there of all that `RowsRead` names. What does not exist is left out."""

    instances: Mapping[InstanceKey, Head] = field(default_factory=dict)
    entities: Mapping[InstanceKey, EntityHead] = field(default_factory=dict)
    tasks: AbstractSet[TaskKey] = frozenset()
    """Those that are open."""
    hubs: AbstractSet[str] = frozenset()


def rows_read(batch: Batch) -> RowsRead:
    """What the conditions of a batch ask about."""
    read = RowsRead()

    for mutation in batch.mutations:
        match mutation:
            case CompleteTurn():
                _read_turn(mutation, read)

            case CompleteEntityTurn():
                read.entities.add(mutation.key)
                _read_effects(mutation.effects, read)

            case CompleteTask():
                read.tasks.add(mutation.task)
                read.instances.add(mutation.task.instance)

            case CreateInstance() | AppendMessage():
                _read_effects((mutation,), read)

            case RewindInstances():
                for turn in mutation.turns:
                    _read_turn(turn, read)

            case PurgeInstance():
                read.instances.add(mutation.key)

            case PurgeEntity():
                read.entities.add(mutation.key)

                if mutation.only_empty:
                    read.inboxes.add(mutation.key)

            case MarkTasksOut():
                pass

    return read


def _read_turn(turn: CompleteTurn, into: RowsRead) -> None:
    into.instances.add(turn.key)
    _read_effects(turn.effects, into)


def _read_effects(effects: Iterable[Effect], into: RowsRead) -> None:
    for effect in effects:
        if isinstance(effect, CreateInstance):
            into.instances.add(effect.instance.key)
            into.hubs.add(effect.instance.key.hub)

            if effect.on_conflict is not None:
                _read_effects((effect.on_conflict,), into)

            if effect.on_replaced:
                _read_effects(effect.on_replaced, into)
        else:
            if effect.key.is_entity:
                into.entities.add(effect.key)
                into.hubs.add(effect.key.hub)
            else:
                into.instances.add(effect.key)

            if effect.otherwise:
                _read_effects(effect.otherwise, into)
