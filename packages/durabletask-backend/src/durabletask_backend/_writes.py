"""What a batch comes to: the rows to delete, to update and to insert."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from durabletask_backend.mutations import CompleteEntityTurn, CompleteTurn
from durabletask_backend.values import Entity, Instance, InstanceKey, Message, Task, TaskKey


class HistoryRow(NamedTuple):
    """Events to append to a history."""

    key: InstanceKey
    execution_id: str
    first: int
    length: int
    events: bytes


class InboxRow(NamedTuple):
    """A message to insert, of an instance or an entity."""

    key: InstanceKey
    message: Message


@dataclass(slots=True)
class WriteSet:
    """What a backend has to write for a batch: deletions first, then updates, then insertions.

    Deletions and updates name what was there before the batch. Of an instance that is reset, some may be gone already.
    """

    reset: set[InstanceKey] = field(default_factory=set)
    """Delete the instance (its record, history, inbox, tasks): it was purged or replaced."""
    new_generation: dict[InstanceKey, str] = field(default_factory=dict)
    """Delete the history and the tasks of the instance, and the messages bound to this, its old, generation."""
    history_cleared: set[InstanceKey] = field(default_factory=set)
    """Delete the history of the instance: it was rewound."""
    inbox_cleared: set[InstanceKey] = field(default_factory=set)
    """Delete all messages of the instance."""
    tasks_cleared: set[InstanceKey] = field(default_factory=set)
    """Delete all open tasks of the instance."""
    entities_deleted: set[InstanceKey] = field(default_factory=set)
    """Delete the entity and all messages to it."""
    consumed: list[int] = field(default_factory=list)
    """Delete these messages, by sequence. Some may be gone already."""
    finished: list[TaskKey] = field(default_factory=list)
    """Delete these tasks. Some may be gone already."""
    created: dict[InstanceKey, Instance] = field(default_factory=dict)
    """Insert these instances, owned by the batch's owner, as the turns of this batch left them."""
    turns: list[CompleteTurn] = field(default_factory=list)
    """Update the records of these instances, in this order (with `generation`: also what that says); owner is the batch's."""
    entities_created: dict[InstanceKey, Entity] = field(default_factory=dict)
    """Insert these entities, owned by the batch's owner, as the turns of this batch left them."""
    entity_turns: list[CompleteEntityTurn] = field(default_factory=list)
    """Update the records of these entities, in this order; owner is the batch's."""
    history: list[HistoryRow] = field(default_factory=list)
    inbox: list[InboxRow] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    """Insert these open tasks, owned by the batch's owner."""
    out: list[TaskKey] = field(default_factory=list)
    """Mark these tasks as held by a worker; some may be gone."""
    next_sequence: int = 0
    """The first sequence that the batch left unused."""


def turn_applied(instance: Instance, turn: CompleteTurn) -> Instance:
    """The record of an instance after a turn of it was applied."""
    generation = turn.generation or instance

    # Spelled out: `dataclasses.replace` would take four times as long, and every turn passes here.
    return Instance(
        key=instance.key,
        execution_id=generation.execution_id,
        name=instance.name,
        version=generation.version,
        status=turn.status,
        created_at=instance.created_at,
        updated_at=turn.updated_at,
        completed_at=turn.completed_at,
        scheduled_at=instance.scheduled_at,
        input=generation.input,
        output=turn.output,
        custom_status=turn.custom_status,
        failure=turn.failure,
        tags=generation.tags,
        parent_id=instance.parent_id,
        turn=turn.turn + 1,
        turn_context=turn.turn_context,
        first_execution_id=instance.first_execution_id
        if turn.generation is None
        else instance.first_execution_id or instance.execution_id,
    )


def entity_turn_applied(turn: CompleteEntityTurn) -> Entity:
    """The record of an entity after a turn of it was applied."""
    return Entity(
        key=turn.key,
        state=turn.state,
        has_state=turn.state is not None,
        modified_at=turn.modified_at,
        lock=turn.lock,
        turn=turn.turn + 1,
    )
