"""Reading: instances by key, histories, inboxes, what is due and what is open."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

from durabletask_backend.values import (
    DueMessage,
    HistoryChunk,
    Instance,
    InstanceKey,
    LoadedEntity,
    LoadedInstance,
    Message,
    Task,
    TaskKey,
)

from durabletask_sqlite import entities, rows
from durabletask_sqlite.instance_queries import record_sql

_CHUNKS_BYTES = 1 << 20
"""History is read so much at a time, and whatever one turn has appended over that."""


def get(connection: sqlite3.Connection, key: InstanceKey, *, payloads: bool) -> Instance | None:
    """See `Backend.get`."""
    row = connection.execute(f"{record_sql(payloads)} WHERE i.hub = ? AND i.instance_id = ?", key).fetchone()

    return None if row is None else rows.instance(row)


def load(
    connection: sqlite3.Connection, keys: Collection[InstanceKey]
) -> Mapping[InstanceKey, LoadedInstance | LoadedEntity]:
    """See `Backend.load`."""
    cursor = connection.cursor()
    loaded: dict[InstanceKey, LoadedInstance | LoadedEntity] = {}

    for key in keys:
        if key.is_entity:
            entity = entities.get(connection, key, states=True)

            if entity is not None:
                loaded[key] = LoadedEntity(entity=entity, inbox=_inbox(cursor, key))

            continue

        instance = get(connection, key, payloads=True)

        if instance is None:
            continue

        history = cursor.execute(
            "SELECT length, events FROM history "
            "WHERE instance = (SELECT number FROM instances WHERE hub = ? AND instance_id = ?) ORDER BY first",
            key,
        ).fetchall()
        loaded[key] = LoadedInstance(
            instance=instance,
            history=b"".join(events for _, events in history),
            history_count=sum(length for length, _ in history),
            inbox=_inbox(cursor, key),
        )

    return loaded


def _inbox(cursor: sqlite3.Cursor, key: InstanceKey) -> tuple[Message, ...]:
    found = cursor.execute(
        "SELECT sequence, execution_id, due_at, front, payload FROM inbox "
        "WHERE hub = ? AND instance_id = ? ORDER BY front DESC, sequence",
        key,
    )

    return tuple(map(rows.message, found))


def history(
    connection: sqlite3.Connection, key: InstanceKey, *, after: int, execution_id: str | None
) -> tuple[Sequence[HistoryChunk], str | None]:
    """Some of an instance's history.

    Args:
        connection: Where to read.
        key: Whose.
        after: From the event at this position, or before it.
        execution_id: Of this generation; None: of whichever is current.

    Returns:
        The chunks, none at the end, and the generation they are of.
    """
    chunks: list[HistoryChunk] = []
    live = connection.execute(
        "SELECT number, execution_id FROM instances WHERE hub = ? AND instance_id = ?", key
    ).fetchone()

    if live is None or execution_id not in (None, live[1]):
        return chunks, execution_id

    number, execution_id = live
    size = 0

    # The bound on `first` is for the index: what the chunk that holds the position begins with.
    for row in connection.execute(
        "SELECT first, length, events FROM history WHERE instance = ? AND first + length > ? "
        "AND first >= (SELECT coalesce(max(first), 0) FROM history WHERE instance = ? AND first <= ?) ORDER BY first",
        (number, after, number, after),
    ):
        chunks.append(HistoryChunk(*row))
        size += len(row[2])

        if size >= _CHUNKS_BYTES:
            break

    return chunks, execution_id


def due(connection: sqlite3.Connection, *, after: DueMessage | None, limit: int) -> Sequence[DueMessage]:
    """See `Backend.due`."""
    behind, place = ("", ()) if after is None else ("AND (due_at, sequence) > (?, ?)", after[:2])
    found = connection.execute(
        f"SELECT due_at, sequence, hub, instance_id FROM inbox WHERE due_at IS NOT NULL {behind} "
        "ORDER BY due_at, sequence LIMIT ?",
        (*place, limit),
    )

    return [DueMessage(at, sequence, InstanceKey(hub, instance_id)) for at, sequence, hub, instance_id in found]


def instances_with_messages(
    connection: sqlite3.Connection, *, after: InstanceKey | None, limit: int
) -> Sequence[InstanceKey]:
    """The instances that have messages to deliver at once."""
    found = connection.execute(
        "SELECT DISTINCT hub, instance_id FROM inbox WHERE due_at IS NULL AND (hub, instance_id) > (?, ?) "
        "ORDER BY hub, instance_id LIMIT ?",
        (*(after or ("", "")), limit),
    )

    return [InstanceKey(*row) for row in found]


def open_tasks(connection: sqlite3.Connection, *, after: TaskKey | None, limit: int) -> Sequence[Task]:
    """The tasks that are not answered."""
    found = connection.execute(
        "SELECT hub, instance_id, execution_id, task_id, name, version, caller_version, out, payload FROM tasks "
        "WHERE (hub, instance_id, execution_id, task_id) > (?, ?, ?, ?) "
        "ORDER BY hub, instance_id, execution_id, task_id LIMIT ?",
        (*(after or ("", "", "", -1)), limit),
    )

    return [rows.task(row) for row in found]


def children(connection: sqlite3.Connection, key: InstanceKey) -> Sequence[InstanceKey]:
    """See `Backend.children`."""
    found = connection.execute("SELECT hub, instance_id FROM instances WHERE hub = ? AND parent_id = ?", key)

    return [InstanceKey(*row) for row in found]
