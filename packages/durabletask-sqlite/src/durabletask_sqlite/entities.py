"""Entities as rows: what conditions ask about, what a write set says of them, and what readers see."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from durabletask_backend.plan import EntityHead, WriteSet
from durabletask_backend.values import Entity, EntityFilter, EntityLock, EntityPage, InstanceKey

from durabletask_sqlite import rows
from durabletask_sqlite.prefix import behind

_COLUMNS = "number, instance_id, has_state, modified_at, lock_instance, lock_execution, lock_section, turn"
_BUDGET = 10_000
"""Entities that are looked at for one page, whether they match or not."""


def heads(
    cursor: sqlite3.Cursor,
    keys: Iterable[InstanceKey],
    inboxes: AbstractSet[InstanceKey],
    numbers: dict[InstanceKey, int],
) -> dict[InstanceKey, EntityHead]:
    """The heads of those that exist.

    Args:
        cursor: Where to read.
        keys: Which.
        inboxes: Those whose inboxes are asked about, too.
        numbers: Is told the numbers of those that exist.
    """
    found: dict[InstanceKey, EntityHead] = {}
    sql = "SELECT number, turn, has_state OR lock_instance IS NOT NULL FROM entities WHERE hub = ? AND instance_id = ?"

    for key in keys:
        row = cursor.execute(sql, key).fetchone()

        if row is None:
            continue

        numbers[key], turn, held = row
        waiting: frozenset[int] = frozenset()

        if key in inboxes:
            messages = cursor.execute("SELECT sequence FROM inbox WHERE hub = ? AND instance_id = ?", key)
            waiting = frozenset(sequence for (sequence,) in messages)

        found[key] = EntityHead(turn, bool(held), waiting=waiting)

    return found


def number_created(cursor: sqlite3.Cursor, writes: WriteSet, numbers: dict[InstanceKey, int]) -> None:
    """Number the new ones on."""
    created = [key for key in writes.entities_created if key not in numbers]

    if created:
        (last,) = cursor.execute("SELECT coalesce(max(number), 0) FROM entities").fetchone()
        numbers.update((key, last + place) for place, key in enumerate(created, start=1))


def deletions(writes: WriteSet, numbers: Mapping[InstanceKey, int]) -> Iterator[rows.Statement]:
    """What is to be deleted."""
    if writes.entities_deleted:
        deleted = [(numbers[key],) for key in writes.entities_deleted]
        yield "DELETE FROM entities WHERE number = ?", deleted
        yield "DELETE FROM entity_states WHERE entity = ?", deleted
        yield "DELETE FROM inbox WHERE hub = ? AND instance_id = ?", writes.entities_deleted


def updates(writes: WriteSet, numbers: Mapping[InstanceKey, int]) -> Iterator[rows.Statement]:
    """What turns change."""
    if not writes.entity_turns:
        return

    yield (
        (
            "UPDATE entities SET has_state = ?, modified_at = ?, lock_instance = ?, lock_execution = ?, lock_section = ?, "
            "turn = ? WHERE number = ?"
        ),
        [
            (turn.state is not None, turn.modified_at, *_lock_columns(turn.lock), turn.turn + 1, numbers[turn.key])
            for turn in writes.entity_turns
        ],
    )

    states = {numbers[turn.key]: turn.state for turn in writes.entity_turns}
    gone = [(number,) for number, state in states.items() if state is None]
    kept = [(number, state) for number, state in states.items() if state is not None]

    if gone:
        yield "DELETE FROM entity_states WHERE entity = ?", gone

    if kept:
        yield (
            (
                "INSERT INTO entity_states (entity, state) VALUES (?, ?) "
                "ON CONFLICT (entity) DO UPDATE SET state = excluded.state"
            ),
            kept,
        )


def insertions(writes: WriteSet, numbers: Mapping[InstanceKey, int]) -> Iterator[rows.Statement]:
    """What comes to be."""
    if not writes.entities_created:
        return

    yield (
        (
            "INSERT INTO entities (number, hub, instance_id, has_state, modified_at, lock_instance, lock_execution, "
            "lock_section, turn) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ),
        [
            (numbers[each.key], *each.key, each.has_state, each.modified_at, *_lock_columns(each.lock), each.turn)
            for each in writes.entities_created.values()
        ],
    )

    states = [(numbers[each.key], each.state) for each in writes.entities_created.values() if each.state is not None]

    if states:
        yield "INSERT INTO entity_states (entity, state) VALUES (?, ?)", states


def get(connection: sqlite3.Connection, key: InstanceKey, *, states: bool) -> Entity | None:
    """See `Backend.entity`."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM entities WHERE hub = ? AND instance_id = ?", key).fetchone()

    return None if row is None else _entity(connection, key, row, _backlog(connection, key), states)


def page(
    connection: sqlite3.Connection,
    hub: str,
    where: EntityFilter,
    *,
    after: str | None,
    limit: int,
    states: bool,
    budget: int = _BUDGET,
) -> EntityPage:
    """See `Backend.entities`. Reads along the index of ids, at most `budget` entities, so that a page can be short."""
    sql, parameters = page_sql(hub, where, after, budget)
    found: list[Entity] = []
    looked_at = 0
    last = after

    for row in connection.execute(sql, parameters):
        looked_at += 1
        last_before, last = last, row[1]
        key = InstanceKey(hub, row[1])

        if not _is_asked_for(row, where):
            continue

        backlog = _backlog(connection, key)

        if not (where.empty or row[2] or row[4] is not None or backlog):
            continue

        if len(found) == limit:
            return EntityPage(entities=tuple(found), next=last_before)

        found.append(_entity(connection, key, row, backlog, states))

    return EntityPage(entities=tuple(found), next=last if looked_at == budget else None)


def page_sql(hub: str, where: EntityFilter, after: str | None, budget: int) -> tuple[str, tuple[object, ...]]:
    """The SQL that reads along the index of ids, and its parameters."""
    prefix = where.id_prefix or ""
    # One lower bound only, so that it is the one that the index is searched with.
    lower = ("instance_id > ?", after) if after is not None and after >= prefix else ("instance_id >= ?", prefix)
    end = behind(prefix)
    upper, bound = ("", ()) if end is None else ("AND instance_id < ?", (end,))

    return (
        f"SELECT {_COLUMNS} FROM entities WHERE hub = ? AND {lower[0]} {upper} ORDER BY instance_id LIMIT ?",
        (hub, lower[1], *bound, budget),
    )


def _is_asked_for(row: rows.Row, where: EntityFilter) -> bool:
    has_state, modified_at = row[2:4]

    return (
        (where.transient or bool(has_state))
        and (where.modified_from is None or modified_at >= where.modified_from)
        and (where.modified_to is None or modified_at < where.modified_to)
    )


def _backlog(connection: sqlite3.Connection, key: InstanceKey) -> int:
    counted: int = connection.execute(
        "SELECT count(*) FROM inbox WHERE hub = ? AND instance_id = ? AND due_at IS NULL", key
    ).fetchone()[0]

    return counted


def _entity(connection: sqlite3.Connection, key: InstanceKey, row: rows.Row, backlog: int, states: bool) -> Entity:
    number, _, has_state, modified_at, lock_instance, lock_execution, lock_section, turn = row
    state: str | None = None

    if states and has_state:
        (state,) = connection.execute("SELECT state FROM entity_states WHERE entity = ?", (number,)).fetchone()

    return Entity(
        key=key,
        state=state,
        has_state=bool(has_state),
        modified_at=modified_at,
        lock=None
        if lock_instance is None
        else EntityLock(instance_id=lock_instance, execution_id=lock_execution, section_id=lock_section),
        turn=turn,
        backlog=backlog,
    )


def _lock_columns(lock: EntityLock | None) -> tuple[str | None, str | None, str | None]:
    return (None, None, None) if lock is None else (lock.instance_id, lock.execution_id, lock.section_id)
