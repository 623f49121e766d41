"""Pages of instances: places come from the index that is in the order of the page, records only for what is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from durabletask_backend.values import (
    TERMINAL_STATUSES,
    Cursor,
    InstanceFilter,
    InstancePage,
    QueryOrder,
    RuntimeStatus,
)

from durabletask_sqlite import rows
from durabletask_sqlite.prefix import behind

_BUDGET = 10_000
"""Places of an index that are looked at for one page when they do not all match."""

_Term: TypeAlias = tuple[str, tuple[object, ...]]
"""A condition, and the values of its marks."""


class Scan(NamedTuple):
    """How the places of a page are found."""

    sql: str
    """Gives rows of number, time (0 in the order of ids), id, and whether it matches."""
    parameters: tuple[object, ...]
    reach: int
    """It gives at most so many rows."""


def counts(connection: sqlite3.Connection, hub: str) -> dict[RuntimeStatus, int]:
    """See `Backend.counts`. The index by status is all that is read."""
    found = connection.execute("SELECT status, count(*) FROM instances WHERE hub = ? GROUP BY status", (hub,))

    return {RuntimeStatus(status): count for status, count in found}


def page(
    connection: sqlite3.Connection,
    hub: str,
    where: InstanceFilter,
    *,
    order: QueryOrder,
    after: Cursor | None,
    limit: int,
    payloads: bool,
    budget: int = _BUDGET,
) -> InstancePage:
    """See `Backend.query`. A page is short when `budget` places, of which not all match, do not fill it."""
    found = scan(hub, where, order=order, after=after, limit=limit, budget=budget)
    numbers, then = _walk(connection, found, limit)
    sql = f"{record_sql(payloads)} WHERE i.number = ?"
    records = [connection.execute(sql, (number,)).fetchone() for number in numbers]

    return InstancePage(instances=tuple(map(rows.instance, records)), next=then)


def _walk(connection: sqlite3.Connection, scan: Scan, limit: int) -> tuple[list[int], Cursor | None]:
    numbers: list[int] = []
    last: Cursor | None = None
    looked_at = 0

    for number, at, instance_id, matches in connection.execute(scan.sql, scan.parameters):
        if matches and len(numbers) == limit:
            # Behind what was skipped since the last that matched: it need not be looked at again.
            return numbers, last

        if matches:
            numbers.append(number)

        last = Cursor(at, instance_id)
        looked_at += 1

    return numbers, last if looked_at == scan.reach else None


def record_sql(payloads: bool) -> str:
    """SQL that reads what `rows.instance` wants from a table called `i`, up to its WHERE.

    Args:
        payloads: Whether with output and input; NULL otherwise.
    """
    if payloads:
        return (
            f"SELECT {rows.INSTANCE_COLUMNS}, i.output, p.input FROM instances AS i "
            "LEFT JOIN inputs AS p ON p.instance = i.number"
        )

    return f"SELECT {rows.INSTANCE_COLUMNS}, NULL, NULL FROM instances AS i"


def scan(
    hub: str, where: InstanceFilter, *, order: QueryOrder, after: Cursor | None, limit: int, budget: int = _BUDGET
) -> Scan:
    """Where to look for a page.

    An index holds its places in the order of the page, so that nothing is sorted: for several statuses, one run of it each, merged.
    What the index cannot be searched with is answered place by place; then `budget`, not the page, is how far it goes.
    """
    statuses = _statuses(where)
    runs = list(_runs(statuses, order))
    within = list(_within(where, order, after))
    rest = list(_rest(where, statuses, order))
    reach = budget if rest else limit + 1
    matches = " AND ".join(condition for condition, _ in rest) or "1"
    selects: list[str] = []
    parameters: list[object] = []

    for index, run in runs:
        terms: list[_Term] = [("i.hub = ?", (hub,)), *run, *within]
        conditions = " AND ".join(condition for condition, _ in terms)
        selects.append(
            f"SELECT i.number, {_AT[order]}, i.instance_id, {matches} FROM instances AS i INDEXED BY {index} WHERE {conditions}"
        )
        parameters.extend(value for _, values in (*rest, *terms) for value in values)

    if not selects:
        return Scan("SELECT 0, 0, '', 0 WHERE 0", (), reach)

    sort = "3" if order is QueryOrder.ID else "2, 3"

    return Scan(f"{' UNION ALL '.join(selects)} ORDER BY {sort} LIMIT ?", (*parameters, reach), reach)


_AT = {QueryOrder.CREATED: "i.created_at", QueryOrder.COMPLETED: "i.completed_at", QueryOrder.ID: "0"}


def _statuses(where: InstanceFilter) -> frozenset[RuntimeStatus] | None:
    """The statuses that can match; None: all."""
    if where.completed_from is not None or where.completed_to is not None:
        return where.statuses & TERMINAL_STATUSES if where.statuses else TERMINAL_STATUSES

    return where.statuses or None


def _runs(statuses: frozenset[RuntimeStatus] | None, order: QueryOrder) -> Iterator[tuple[str, Sequence[_Term]]]:
    """The stretches of an index that hold all that can match, each of them in order."""
    if statuses is not None and not statuses:
        return

    if order is QueryOrder.ID:
        # SQLite's own, for UNIQUE (hub, instance_id).
        yield "sqlite_autoindex_instances_1", []
    elif order is QueryOrder.COMPLETED:
        for status in sorted(TERMINAL_STATUSES if statuses is None else statuses & TERMINAL_STATUSES):
            yield "instances_by_completion", [("i.status = ?", (status,)), ("i.completed_at IS NOT NULL", ())]
    elif statuses is None:
        yield "instances_by_creation", []
    else:
        for status in sorted(statuses):
            yield "instances_by_status", [("i.status = ?", (status,))]


def _within(where: InstanceFilter, order: QueryOrder, after: Cursor | None) -> Iterator[_Term]:
    """The part of each run to look at. One lower bound only, the higher one, so that it is what the index is searched with."""
    if order is QueryOrder.ID:
        prefix = where.id_prefix or ""
        end = behind(prefix)

        if after is not None and after.instance_id >= prefix:
            yield "i.instance_id > ?", (after.instance_id,)
        else:
            yield "i.instance_id >= ?", (prefix,)

        if end is not None:
            yield "i.instance_id < ?", (end,)

        return

    at = _AT[order]
    first, stop = (
        (where.created_from, where.created_to)
        if order is QueryOrder.CREATED
        else (where.completed_from, where.completed_to)
    )

    if after is not None and (first is None or after.at >= first):
        yield f"({at}, i.instance_id) > (?, ?)", after
    elif first is not None:
        yield f"{at} >= ?", (first,)

    if stop is not None:
        yield f"{at} < ?", (stop,)


def _rest(where: InstanceFilter, statuses: frozenset[RuntimeStatus] | None, order: QueryOrder) -> Iterator[_Term]:
    """What is still to be asked of each place."""
    if order is QueryOrder.ID and statuses is not None:
        yield f"i.status IN ({', '.join('?' * len(statuses))})", tuple(sorted(statuses))

    for condition, value, own in (
        ("i.created_at >= ?", where.created_from, QueryOrder.CREATED),
        ("i.created_at < ?", where.created_to, QueryOrder.CREATED),
        ("i.completed_at >= ?", where.completed_from, QueryOrder.COMPLETED),
        ("i.completed_at < ?", where.completed_to, QueryOrder.COMPLETED),
        ("i.instance_id >= ?", where.id_prefix or None, QueryOrder.ID),
        ("i.instance_id < ?", behind(where.id_prefix or ""), QueryOrder.ID),
    ):
        if value is not None and order is not own:
            yield condition, (value,)
