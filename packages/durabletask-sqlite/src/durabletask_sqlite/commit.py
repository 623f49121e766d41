"""A commit: what the conditions of a batch ask about, the plan, and the statements that carry it out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from durabletask_backend.mutations import Batch, Outcome
from durabletask_backend.plan import Head, RowsRead, Stored, WriteSet, plan, rows_read
from durabletask_backend.values import InstanceKey, RuntimeStatus, TaskKey

from durabletask_sqlite import entities, rows


def commit(connection: sqlite3.Connection, batch: Batch) -> Sequence[Outcome]:
    """Apply a batch; inside a transaction.

    Args:
        connection: The one that writes.
        batch: What to apply.

    Returns:
        An outcome a mutation; those of the first time for a repeat of the last batch.
    """
    cursor = connection.cursor()
    last, next_sequence = cursor.execute("SELECT batch, next_sequence FROM owner").fetchone()

    if last == batch.id:
        return stored_outcomes(connection, batch.id) or ()

    numbers: dict[InstanceKey, int] = {}
    outcomes, writes = plan(batch, _stored(cursor, rows_read(batch), numbers), next_sequence)
    _number_created(cursor, writes, numbers)

    if writes.entities_created:
        entities.number_created(cursor, writes, numbers)

    for sql, parameters in _statements(writes, numbers):
        cursor.executemany(sql, parameters)

    cursor.execute(
        "UPDATE owner SET batch = ?, outcomes = ?, next_sequence = ?",
        (batch.id, rows.outcomes_text(outcomes), writes.next_sequence),
    )

    return outcomes


def stored_outcomes(connection: sqlite3.Connection, batch_id: str) -> Sequence[Outcome] | None:
    """The outcomes of the last batch, if it has this id."""
    row = connection.execute("SELECT outcomes FROM owner WHERE batch = ?", (batch_id,)).fetchone()

    return None if row is None else rows.outcomes(row[0])


# A look-up a key: one joined with json_each would be a little faster for large batches, slower for small ones, and wrong for a key
# with a NUL in it, which SQLite's JSON does not keep.
def _stored(cursor: sqlite3.Cursor, read: RowsRead, numbers: dict[InstanceKey, int]) -> Stored:
    return Stored(
        instances=_heads(cursor, read.instances, numbers),
        entities=entities.heads(cursor, read.entities, read.inboxes, numbers) if read.entities else {},
        tasks=_open(cursor, read.tasks),
        hubs={hub for hub in read.hubs if cursor.execute("SELECT 1 FROM hubs WHERE name = ?", (hub,)).fetchone()},
    )


def _heads(
    cursor: sqlite3.Cursor, keys: Iterable[InstanceKey], numbers: dict[InstanceKey, int]
) -> dict[InstanceKey, Head]:
    heads: dict[InstanceKey, Head] = {}
    sql = (
        "SELECT number, execution_id, first_execution_id, status, turn FROM instances WHERE hub = ? AND instance_id = ?"
    )

    for key in keys:
        row = cursor.execute(sql, key).fetchone()

        if row is not None:
            numbers[key], execution_id, first, status, turn = row
            heads[key] = Head(execution_id, RuntimeStatus(status), turn, first_execution_id=first)

    return heads


def _open(cursor: sqlite3.Cursor, keys: Iterable[TaskKey]) -> set[TaskKey]:
    sql = "SELECT 1 FROM tasks WHERE hub = ? AND instance_id = ? AND execution_id = ? AND task_id = ?"

    return {key for key in keys if cursor.execute(sql, key).fetchone() is not None}


def _number_created(cursor: sqlite3.Cursor, writes: WriteSet, numbers: dict[InstanceKey, int]) -> None:
    """Replaced instances keep their number; new ones are numbered on."""
    created = [key for key in writes.created if key not in numbers]

    if created:
        (last,) = cursor.execute("SELECT coalesce(max(number), 0) FROM instances").fetchone()
        numbers.update((key, last + place) for place, key in enumerate(created, start=1))


def _statements(writes: WriteSet, numbers: dict[InstanceKey, int]) -> Iterator[rows.Statement]:
    """At most one for each kind of change, whatever the size of the batch: deletions, then updates, then insertions."""
    generations = {turn.key: turn.generation for turn in writes.turns if turn.generation is not None}

    yield from _deletions(writes, numbers)

    if writes.turns:
        yield (
            (
                "UPDATE instances SET status = ?, updated_at = ?, completed_at = ?, output = ?, custom_status = ?, failure = ?, "
                "turn_context = ?, turn = ? WHERE number = ?"
            ),
            [
                (
                    turn.status,
                    turn.updated_at,
                    turn.completed_at,
                    turn.output,
                    turn.custom_status,
                    turn.failure,
                    turn.turn_context,
                    turn.turn + 1,
                    numbers[turn.key],
                )
                for turn in writes.turns
            ],
        )

    if generations:
        yield (
            (
                "UPDATE instances SET first_execution_id = coalesce(first_execution_id, execution_id), execution_id = ?, "
                "version = ?, tags = ? WHERE number = ?"
            ),
            [
                (each.execution_id, each.version, rows.tags_text(each.tags), numbers[key])
                for key, each in generations.items()
            ],
        )

    if writes.out:
        yield (
            "UPDATE tasks SET out = 1 WHERE hub = ? AND instance_id = ? AND execution_id = ? AND task_id = ?",
            writes.out,
        )

    yield from entities.updates(writes, numbers)
    yield from _insertions(writes, numbers)
    yield from entities.insertions(writes, numbers)

    inputs = [
        *((numbers[key], each.input) for key, each in generations.items() if each.input is not None),
        *((numbers[key], each.input) for key, each in writes.created.items() if each.input is not None),
    ]

    if inputs:
        yield "INSERT INTO inputs (instance, input) VALUES (?, ?)", inputs


def _deletions(writes: WriteSet, numbers: dict[InstanceKey, int]) -> Iterator[rows.Statement]:
    generations = writes.new_generation

    yield from entities.deletions(writes, numbers)

    if writes.reset:
        yield "DELETE FROM instances WHERE number = ?", [(numbers[key],) for key in writes.reset]

    if writes.reset or generations:
        begun = [(numbers[key],) for key in (*writes.reset, *generations)]
        yield "DELETE FROM inputs WHERE instance = ?", begun
        yield "DELETE FROM history WHERE instance = ?", begun

    if writes.history_cleared:
        yield "DELETE FROM history WHERE instance = ?", [(numbers[key],) for key in writes.history_cleared]

    if generations:
        yield (
            "DELETE FROM inbox WHERE hub = ? AND instance_id = ? AND execution_id = ?",
            [(*key, old) for key, old in generations.items()],
        )

    if writes.reset or writes.inbox_cleared:
        yield "DELETE FROM inbox WHERE hub = ? AND instance_id = ?", [*writes.reset, *writes.inbox_cleared]

    if writes.reset or generations or writes.tasks_cleared:
        yield (
            "DELETE FROM tasks WHERE hub = ? AND instance_id = ?",
            [*writes.reset, *generations, *writes.tasks_cleared],
        )

    if writes.consumed:
        yield "DELETE FROM inbox WHERE sequence = ?", [(sequence,) for sequence in writes.consumed]

    if writes.finished:
        yield (
            "DELETE FROM tasks WHERE hub = ? AND instance_id = ? AND execution_id = ? AND task_id = ?",
            writes.finished,
        )


def _insertions(writes: WriteSet, numbers: dict[InstanceKey, int]) -> Iterator[rows.Statement]:
    if writes.created:
        yield (
            (
                "INSERT INTO instances (number, hub, instance_id, execution_id, name, version, status, created_at, updated_at, "
                "completed_at, scheduled_at, output, custom_status, failure, tags, parent_id, turn, turn_context, "
                "first_execution_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            ),
            [
                (
                    numbers[each.key],
                    *each.key,
                    each.execution_id,
                    each.name,
                    each.version,
                    each.status,
                    each.created_at,
                    each.updated_at,
                    each.completed_at,
                    each.scheduled_at,
                    each.output,
                    each.custom_status,
                    each.failure,
                    rows.tags_text(each.tags),
                    each.parent_id,
                    each.turn,
                    each.turn_context,
                    each.first_execution_id,
                )
                for each in writes.created.values()
            ],
        )

    if writes.history:
        yield (
            "INSERT INTO history (instance, first, length, events) VALUES (?, ?, ?, ?)",
            [(numbers[row.key], row.first, row.length, row.events) for row in writes.history],
        )

    if writes.inbox:
        yield (
            (
                "INSERT INTO inbox (sequence, hub, instance_id, execution_id, due_at, front, payload) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)"
            ),
            [
                (each.sequence, *key, each.execution_id, each.due_at, each.front, each.payload)
                for key, each in writes.inbox
            ],
        )

    if writes.tasks:
        yield (
            (
                "INSERT INTO tasks (hub, instance_id, execution_id, task_id, name, version, caller_version, out, payload) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            ),
            [
                (*each.key, each.name, each.version, each.caller_version, each.out, each.payload)
                for each in writes.tasks
            ],
        )
