"""Reading: instances by key and by filter, histories, inboxes, what is due and what is open."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence

from durabletask_backend.values import (
    Cursor,
    DueMessage,
    HistoryChunk,
    Instance,
    InstanceFilter,
    InstanceKey,
    InstancePage,
    LoadedInstance,
    Micros,
    QueryOrder,
    Task,
    TaskKey,
)

from durabletask_sqlite import rows
from durabletask_sqlite.connection import Database, Row

_ROWS_A_READ = 50
"""History rows fetched at a time."""
_KEYS = "json_each(?) AS k CROSS JOIN {table} AS {name} ON {name}.hub = json_extract(k.value, '$[0]') AND {name}.instance_id = json_extract(k.value, '$[1]')"
_WITH_INPUT = "LEFT JOIN inputs AS p ON p.hub = i.hub AND p.instance_id = i.instance_id"


async def get(database: Database, key: InstanceKey, *, payloads: bool) -> Instance | None:
    """See `Backend.get`."""
    select = _select(payloads)

    for row in await database.read(f"{select} WHERE i.hub = ? AND i.instance_id = ?", key):
        return rows.instance(row)

    return None


async def load(database: Database, keys: Collection[InstanceKey], now: Micros) -> Mapping[InstanceKey, LoadedInstance]:
    """See `Backend.load`."""
    wanted = json.dumps(list(keys))
    instances, histories, inboxes = await database.read_together(
        (
            (
                f"SELECT {rows.INSTANCE_COLUMNS}, i.output, p.input "
                f"FROM {_KEYS.format(table='instances', name='i')} {_WITH_INPUT}"
            ),
            (wanted,),
        ),
        (
            (
                "SELECT h.hub, h.instance_id, h.length, h.events "
                f"FROM {_KEYS.format(table='history', name='h')} ORDER BY h.hub, h.instance_id, h.first"
            ),
            (wanted,),
        ),
        (
            (
                "SELECT m.sequence, m.execution_id, m.due_at, m.front, m.payload, m.hub, m.instance_id "
                f"FROM {_KEYS.format(table='inbox', name='m')} WHERE m.due_at IS NULL OR m.due_at <= ? "
                "ORDER BY m.front DESC, m.sequence"
            ),
            (wanted, now),
        ),
    )
    chunks: dict[tuple[str, str], list[tuple[int, bytes]]] = {}
    messages: dict[tuple[str, str], list[Row]] = {}

    for row in histories:
        chunks.setdefault((row[0], row[1]), []).append((row[2], row[3]))

    for row in inboxes:
        messages.setdefault((row[5], row[6]), []).append(row)

    loaded = {}

    for row in instances:
        instance = rows.instance(row)
        history = chunks.get(instance.key, [])
        loaded[instance.key] = LoadedInstance(
            instance=instance,
            history=b"".join(events for _, events in history),
            history_count=sum(length for length, _ in history),
            inbox=tuple(map(rows.message, messages.get(instance.key, ()))),
        )

    return loaded


async def history(
    database: Database, key: InstanceKey, after: int, execution_id: str | None
) -> AsyncIterator[HistoryChunk]:
    """See `Backend.history`. Ends early when the history is replaced while it is read."""
    instance = await get(database, key, payloads=False)

    if instance is None or execution_id not in (None, instance.execution_id):
        return

    while True:
        page = list(
            await database.read(
                "SELECT h.first, h.length, h.events FROM history AS h JOIN instances AS i USING (hub, instance_id) "
                "WHERE h.hub = ? AND h.instance_id = ? AND h.first + h.length > ? AND i.execution_id = ? "
                "ORDER BY h.first LIMIT ?",
                (*key, after, instance.execution_id, _ROWS_A_READ),
            )
        )

        for first, length, events in page:
            yield HistoryChunk(first, length, events)
            after = first + length

        if len(page) < _ROWS_A_READ:
            return


async def due(database: Database, after: DueMessage | None, limit: int) -> Sequence[DueMessage]:
    """See `Backend.due`."""
    at, sequence = (-1, -1) if after is None else (after.due_at, after.sequence)
    found = await database.read(
        "SELECT due_at, sequence, hub, instance_id FROM inbox "
        "WHERE due_at IS NOT NULL AND (due_at, sequence) > (?, ?) ORDER BY due_at, sequence LIMIT ?",
        (at, sequence, limit),
    )

    return [DueMessage(row[0], row[1], InstanceKey(row[2], row[3])) for row in found]


async def instances_with_messages(database: Database, after: InstanceKey | None, limit: int) -> Sequence[InstanceKey]:
    """The instances that have messages to deliver at once."""
    found = await database.read(
        "SELECT DISTINCT hub, instance_id FROM inbox WHERE due_at IS NULL AND (hub, instance_id) > (?, ?) "
        "ORDER BY hub, instance_id LIMIT ?",
        (*(after or ("", "")), limit),
    )

    return [InstanceKey(*row) for row in found]


async def open_tasks(database: Database, after: TaskKey | None, limit: int) -> Sequence[Task]:
    """The tasks that are not answered."""
    found = await database.read(
        "SELECT hub, instance_id, execution_id, task_id, name, version, out, payload FROM tasks "
        "WHERE (hub, instance_id, execution_id, task_id) > (?, ?, ?, ?) "
        "ORDER BY hub, instance_id, execution_id, task_id LIMIT ?",
        (*(after or ("", "", "", -1)), limit),
    )

    return [rows.task(row) for row in found]


async def children(database: Database, key: InstanceKey) -> Sequence[InstanceKey]:
    """See `Backend.children`."""
    found = await database.read("SELECT hub, instance_id FROM instances WHERE hub = ? AND parent_id = ?", key)

    return [InstanceKey(*row) for row in found]


async def query(
    database: Database,
    hub: str,
    where: InstanceFilter,
    *,
    order: QueryOrder,
    after: Cursor | None,
    limit: int,
    payloads: bool,
) -> InstancePage:
    """See `Backend.query`."""
    sql, parameters = page_query(hub, where, order=order, after=after, limit=limit, payloads=payloads)
    found = [rows.instance(row) for row in await database.read(sql, parameters)]
    page = found[:limit]
    last = page[-1] if len(found) > limit else None

    return InstancePage(instances=tuple(page), next=None if last is None else _cursor(last, order))


def page_query(
    hub: str,
    where: InstanceFilter,
    *,
    order: QueryOrder,
    after: Cursor | None,
    limit: int,
    payloads: bool,
) -> tuple[str, list[object]]:
    """The SQL of a page and one row more, and its parameters."""
    at = "i.created_at" if order is QueryOrder.CREATED else "i.completed_at"
    conditions = ["i.hub = ?"]
    parameters: list[object] = [hub]

    for condition, values in _conditions(where, order):
        conditions.append(condition)
        parameters.extend(values)

    if after is not None:
        conditions.append(f"({at}, i.instance_id) > (?, ?)")
        parameters.extend(after)

    parameters.append(limit + 1)

    return (
        f"{_select(payloads)} WHERE {' AND '.join(conditions)} ORDER BY {at}, i.instance_id LIMIT ?",
        parameters,
    )


def _conditions(where: InstanceFilter, order: QueryOrder) -> Iterator[tuple[str, Sequence[object]]]:
    if order is QueryOrder.COMPLETED:
        yield "i.completed_at IS NOT NULL", ()

    if where.statuses:
        yield f"i.status IN ({', '.join('?' * len(where.statuses))})", sorted(where.statuses)

    for condition, value in (
        ("i.created_at >= ?", where.created_from),
        ("i.created_at < ?", where.created_to),
        ("i.completed_at >= ?", where.completed_from),
        ("i.completed_at < ?", where.completed_to),
        ("i.instance_id >= ?", where.id_prefix),
    ):
        if value is not None:
            yield condition, (value,)

    # All that begin with a prefix sort before the prefix with the last of all characters behind it.
    if where.id_prefix is not None:
        yield "i.instance_id < ?", (where.id_prefix + "\U0010ffff",)


def _select(payloads: bool) -> str:
    if payloads:
        return f"SELECT {rows.INSTANCE_COLUMNS}, i.output, p.input FROM instances AS i {_WITH_INPUT}"

    return f"SELECT {rows.INSTANCE_COLUMNS}, NULL, NULL FROM instances AS i"


def _cursor(instance: Instance, order: QueryOrder) -> Cursor:
    at = instance.created_at if order is QueryOrder.CREATED else instance.completed_at

    return Cursor(at or 0, instance.key.instance_id)
