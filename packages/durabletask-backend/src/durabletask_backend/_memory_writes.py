"""Carrying out a write set on the rows of the reference backend."""

from __future__ import annotations

from bisect import insort
from dataclasses import replace

from durabletask_backend._memory_store import EntityRow, InstanceRow, MemoryStore, Row
from durabletask_backend.plan import WriteSet, entity_turn_applied, turn_applied
from durabletask_backend.values import DueMessage, HistoryChunk, InstanceKey


def write(store: MemoryStore, writes: WriteSet, owner: str) -> None:
    """Write what a batch of this owner comes to."""
    _delete(store, writes)
    _update(store, writes, owner)
    _insert(store, writes, owner)
    store.next_sequence = writes.next_sequence


def changed(writes: WriteSet) -> set[InstanceKey]:
    """The instances and entities whose records or inboxes a write set changes, other than by taking messages."""
    return {
        *writes.reset,
        *writes.entities_deleted,
        *writes.created,
        *writes.entities_created,
        *(turn.key for turn in writes.turns),
        *(turn.key for turn in writes.entity_turns),
        *(row.key for row in writes.inbox),
    }


def _delete(store: MemoryStore, writes: WriteSet) -> None:
    rows = store.rows

    for key in writes.reset:
        del rows[key]

    for key in writes.entities_deleted:
        del store.entities[key]

    for key, old in writes.new_generation.items():
        row = rows[key]
        row.history.clear()
        row.drop_tasks()
        row.inbox = {at: message for at, message in row.inbox.items() if message.execution_id != old}

    for key in writes.history_cleared:
        rows[key].history.clear()

    for key in writes.inbox_cleared & rows.keys():
        rows[key].inbox.clear()

    for key in writes.tasks_cleared & rows.keys():
        rows[key].drop_tasks()

    for task in writes.finished:
        if task.instance in rows:
            rows[task.instance].tasks.pop(task, None)
            rows[task.instance].task_owners.pop(task, None)


def _update(store: MemoryStore, writes: WriteSet, owner: str) -> None:
    for turn in writes.turns:
        row = store.rows[turn.key]
        row.instance = turn_applied(row.instance, turn)
        _take(row, turn.consumed, owner)

    for entity_turn in writes.entity_turns:
        entity_row = store.entities[entity_turn.key]
        entity_row.entity = entity_turn_applied(entity_turn)
        _take(entity_row, entity_turn.consumed, owner)

    for task in writes.out:
        marked = store.rows.get(task.instance)

        if marked is not None and task in marked.tasks:
            marked.tasks[task] = replace(marked.tasks[task], out=True)


def _take(row: Row, consumed: tuple[int, ...], owner: str) -> None:
    row.owner = owner

    for sequence in consumed:
        row.inbox.pop(sequence, None)


def _insert(store: MemoryStore, writes: WriteSet, owner: str) -> None:
    for key, instance in writes.created.items():
        store.rows[key] = InstanceRow(instance=instance, owner=owner)

    for key, entity in writes.entities_created.items():
        store.entities[key] = EntityRow(entity=entity, owner=owner)

    for addition in writes.history:
        store.rows[addition.key].history.append(HistoryChunk(addition.first, addition.length, addition.events))

    for key, message in writes.inbox:
        row = store.find(key)
        assert row is not None, "the plan puts messages only where there is somebody"
        row.inbox[message.sequence] = message

        if message.due_at is not None:
            insort(store.due, DueMessage(message.due_at, message.sequence, key))

    for new in writes.tasks:
        store.rows[new.key.instance].tasks[new.key] = new
        store.rows[new.key.instance].task_owners[new.key] = owner
