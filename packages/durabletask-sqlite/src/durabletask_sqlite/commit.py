"""From a write set to statements: at most one for each kind of change, whatever the size of the batch."""

from __future__ import annotations

import json
from collections.abc import Iterator

from durabletask_backend.mutations import Batch
from durabletask_backend.plan import Head, WriteSet, rows_read
from durabletask_backend.values import InstanceKey, RuntimeStatus, TaskKey

from durabletask_sqlite.connection import Database, Statement
from durabletask_sqlite.rows import tags_text

# CROSS JOIN keeps the order: the few keys first, each looked up in the table's own index.
_READ = """
SELECT 0, i.hub, i.instance_id, i.execution_id, i.status, i.turn
FROM json_each(?1) AS k CROSS JOIN instances AS i
    ON i.hub = json_extract(k.value, '$[0]') AND i.instance_id = json_extract(k.value, '$[1]')
UNION ALL
SELECT 1, t.hub, t.instance_id, t.execution_id, t.task_id, 0
FROM json_each(?2) AS k CROSS JOIN tasks AS t
    ON t.hub = json_extract(k.value, '$[0]') AND t.instance_id = json_extract(k.value, '$[1]')
    AND t.execution_id = json_extract(k.value, '$[2]') AND t.task_id = json_extract(k.value, '$[3]')
"""


async def read_conditions(database: Database, batch: Batch) -> tuple[dict[InstanceKey, Head], set[TaskKey]]:
    """What the conditions of a batch ask about; inside the transaction."""
    instances, tasks = rows_read(batch)
    heads: dict[InstanceKey, Head] = {}
    open_tasks: set[TaskKey] = set()

    if not instances and not tasks:
        return heads, open_tasks

    for kind, hub, instance_id, execution_id, number, turn in await database.read_own(
        _READ, (json.dumps(list(instances)), json.dumps(list(tasks)))
    ):
        if kind:
            open_tasks.add(TaskKey(hub, instance_id, execution_id, number))
        else:
            heads[InstanceKey(hub, instance_id)] = Head(execution_id, RuntimeStatus(number), turn)

    return heads, open_tasks


def statements(writes: WriteSet) -> Iterator[Statement]:
    """The statements that carry out a write set: deletions, then updates, then insertions."""
    yield from _deletions(writes)

    if writes.turns:
        yield (
            (
                "UPDATE instances SET status = ?, updated_at = ?, completed_at = ?, output = ?, custom_status = ?, failure = ?, "
                "turn_context = ?, turn = ? WHERE hub = ? AND instance_id = ?"
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
                    *turn.key,
                )
                for turn in writes.turns
            ],
        )

    generations = [(turn.key, turn.generation) for turn in writes.turns if turn.generation is not None]

    if generations:
        yield (
            "UPDATE instances SET execution_id = ?, version = ?, tags = ? WHERE hub = ? AND instance_id = ?",
            [(next_.execution_id, next_.version, tags_text(dict(next_.tags)), *key) for key, next_ in generations],
        )

    if writes.out:
        yield (
            "UPDATE tasks SET out = 1 WHERE hub = ? AND instance_id = ? AND execution_id = ? AND task_id = ?",
            writes.out,
        )

    yield from _insertions(writes)

    inputs = [
        *((*key, next_.input) for key, next_ in generations if next_.input is not None),
        *((*key, created.input) for key, created in writes.created.items() if created.input is not None),
    ]

    if inputs:
        yield "INSERT INTO inputs (hub, instance_id, input) VALUES (?, ?, ?)", inputs


def _deletions(writes: WriteSet) -> Iterator[Statement]:
    generations = list(writes.new_generation)

    for table, keys in (
        ("instances", [*writes.reset]),
        ("inputs", [*writes.reset, *generations]),
        ("history", [*writes.reset, *generations]),
        ("inbox", [*writes.reset, *writes.inbox_cleared]),
        ("tasks", [*writes.reset, *generations, *writes.tasks_cleared]),
    ):
        if keys:
            yield f"DELETE FROM {table} WHERE hub = ? AND instance_id = ?", keys

    if writes.new_generation:
        yield (
            "DELETE FROM inbox WHERE hub = ? AND instance_id = ? AND execution_id = ?",
            [(*key, old) for key, old in writes.new_generation.items()],
        )

    consumed = [
        (sequence,) for turn in writes.turns if turn.key not in writes.inbox_cleared for sequence in turn.consumed
    ]

    if consumed:
        yield "DELETE FROM inbox WHERE sequence = ?", consumed

    if writes.finished:
        yield (
            "DELETE FROM tasks WHERE hub = ? AND instance_id = ? AND execution_id = ? AND task_id = ?",
            writes.finished,
        )


def _insertions(writes: WriteSet) -> Iterator[Statement]:
    if writes.created:
        yield (
            (
                "INSERT INTO instances (hub, instance_id, execution_id, name, version, status, created_at, updated_at, "
                "completed_at, scheduled_at, output, custom_status, failure, tags, parent_id, turn, turn_context) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            ),
            [
                (
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
                    tags_text(dict(each.tags)),
                    each.parent_id,
                    each.turn,
                    each.turn_context,
                )
                for each in writes.created.values()
            ],
        )

    if writes.history:
        yield (
            "INSERT INTO history (hub, instance_id, first, length, events) VALUES (?, ?, ?, ?, ?)",
            [(*row.key, row.first, row.length, row.events) for row in writes.history],
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
                "INSERT INTO tasks (hub, instance_id, execution_id, task_id, name, version, out, payload) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            ),
            [(*each.key, each.name, each.version, each.out, each.payload) for each in writes.tasks],
        )
