"""Reading: instances by key and by filter, histories, inboxes, what is due and what is open."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence

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

_CHUNKS_BYTES = 1 << 20
"""History is read so much at a time, and whatever one turn has appended over that."""
_LAST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def get(connection: sqlite3.Connection, key: InstanceKey, *, payloads: bool) -> Instance | None:
    """See `Backend.get`."""
    row = connection.execute(f"{_select(payloads)} WHERE i.hub = ? AND i.instance_id = ?", key).fetchone()

    return None if row is None else rows.instance(row)


def load(
    connection: sqlite3.Connection, keys: Collection[InstanceKey], *, now: Micros
) -> Mapping[InstanceKey, LoadedInstance]:
    """See `Backend.load`."""
    cursor = connection.cursor()
    loaded: dict[InstanceKey, LoadedInstance] = {}

    for key in keys:
        instance = get(connection, key, payloads=True)

        if instance is None:
            continue

        history = cursor.execute(
            "SELECT length, events FROM history "
            "WHERE instance = (SELECT number FROM instances WHERE hub = ? AND instance_id = ?) ORDER BY first",
            key,
        ).fetchall()
        inbox = cursor.execute(
            "SELECT sequence, execution_id, due_at, front, payload FROM inbox "
            "WHERE hub = ? AND instance_id = ? AND (due_at IS NULL OR due_at <= ?) ORDER BY front DESC, sequence",
            (*key, now),
        )
        loaded[key] = LoadedInstance(
            instance=instance,
            history=b"".join(events for _, events in history),
            history_count=sum(length for length, _ in history),
            inbox=tuple(map(rows.message, inbox)),
        )

    return loaded


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
        "SELECT hub, instance_id, execution_id, task_id, name, version, out, payload FROM tasks "
        "WHERE (hub, instance_id, execution_id, task_id) > (?, ?, ?, ?) "
        "ORDER BY hub, instance_id, execution_id, task_id LIMIT ?",
        (*(after or ("", "", "", -1)), limit),
    )

    return [rows.task(row) for row in found]


def children(connection: sqlite3.Connection, key: InstanceKey) -> Sequence[InstanceKey]:
    """See `Backend.children`."""
    found = connection.execute("SELECT hub, instance_id FROM instances WHERE hub = ? AND parent_id = ?", key)

    return [InstanceKey(*row) for row in found]


def query(
    connection: sqlite3.Connection,
    hub: str,
    where: InstanceFilter,
    *,
    order: QueryOrder,
    after: Cursor | None,
    limit: int,
    payloads: bool,
) -> InstancePage:
    """See `Backend.query`."""
    sql, parameters = page_sql(hub, where, order=order, after=after, limit=limit, payloads=payloads)
    found = [rows.instance(row) for row in connection.execute(sql, parameters)]
    page = found[:limit]

    return InstancePage(instances=tuple(page), next=_place(page[-1], order) if len(found) > limit else None)


def page_sql(
    hub: str, where: InstanceFilter, *, order: QueryOrder, after: Cursor | None, limit: int, payloads: bool
) -> tuple[str, Sequence[object]]:
    """The SQL of a page and one row more, and its parameters.

    Rows come from an index in the order of the page, and never have to be sorted: for several statuses, one run of the index each,
    merged. What else is asked is checked row by row; a prefix of the id within the index.
    """
    selects: list[str] = []
    parameters: list[object] = []
    conditions = list(_conditions(where, order, after))

    for index, extra in _runs(where, order):
        terms = [("i.hub = ?", (hub,)), *extra, *conditions]
        selects.append(f"{_select(payloads, index)} WHERE {' AND '.join(term for term, _ in terms)}")
        parameters.extend(value for _, values in terms for value in values)

    at = rows.CREATED_AT if order is QueryOrder.CREATED else rows.COMPLETED_AT

    return (
        f"{' UNION ALL '.join(selects)} ORDER BY {at}, {rows.INSTANCE_ID} LIMIT ?",
        (*parameters, limit + 1),
    )


_Term = tuple[str, Sequence[object]]


def _runs(where: InstanceFilter, order: QueryOrder) -> Iterator[tuple[str, Sequence[_Term]]]:
    if order is QueryOrder.COMPLETED:
        marks = ", ".join("?" * len(where.statuses))
        wanted = [(f"i.status IN ({marks})", sorted(where.statuses))] if where.statuses else []
        yield "instances_by_completion", wanted
    elif where.statuses:
        for status in sorted(where.statuses):
            yield "instances_by_status", [("i.status = ?", (status,))]
    else:
        yield "instances_by_creation", []


def _conditions(where: InstanceFilter, order: QueryOrder, after: Cursor | None) -> Iterator[_Term]:
    at, first = (
        ("created_at", where.created_from) if order is QueryOrder.CREATED else ("completed_at", where.completed_from)
    )

    # One lower bound only, so that it is the one that the index is searched with; a cursor is never before the other.
    if after is not None:
        yield f"(i.{at}, i.instance_id) > (?, ?)", after
    elif first is not None:
        yield f"i.{at} >= ?", (first,)

    if order is QueryOrder.COMPLETED:
        yield "i.completed_at IS NOT NULL", ()

    for condition, value in (
        ("i.created_at >= ?", where.created_from if order is QueryOrder.COMPLETED else None),
        ("i.created_at < ?", where.created_to),
        ("i.completed_at >= ?", where.completed_from if order is QueryOrder.CREATED else None),
        ("i.completed_at < ?", where.completed_to),
        ("i.instance_id >= ?", where.id_prefix or None),
        ("i.instance_id < ?", _behind(where.id_prefix or "")),
    ):
        if value is not None:
            yield condition, (value,)


def _behind(prefix: str) -> str | None:
    """The least text that sorts behind all that begin with a prefix; None where there is none."""
    kept = prefix.rstrip(chr(_LAST_CHARACTER))

    if not kept:
        return None

    code = ord(kept[-1]) + 1

    return kept[:-1] + chr(_SURROGATES.stop if code in _SURROGATES else code)


def _select(payloads: bool, index: str = "") -> str:
    indexed = f"INDEXED BY {index}" if index else ""

    if payloads:
        return (
            f"SELECT {rows.INSTANCE_COLUMNS}, i.output, p.input FROM instances AS i {indexed} "
            "LEFT JOIN inputs AS p ON p.instance = i.number"
        )

    return f"SELECT {rows.INSTANCE_COLUMNS}, NULL, NULL FROM instances AS i {indexed}"


def _place(instance: Instance, order: QueryOrder) -> Cursor:
    at = instance.created_at if order is QueryOrder.CREATED else instance.completed_at

    return Cursor(at or 0, instance.key.instance_id)
