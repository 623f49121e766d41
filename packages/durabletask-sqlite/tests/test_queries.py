"""Queries read an index in the order of their result, and sort nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from durabletask_backend.values import (
    Cursor,
    DueMessage,
    InstanceFilter,
    InstanceKey,
    QueryOrder,
    RuntimeStatus,
    TaskKey,
)
from durabletask_sqlite import queries
from durabletask_sqlite.schema import migrate

_SOME = frozenset({RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.RUNNING})
_ONE = frozenset({RuntimeStatus.FAILED})


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, ":memory:")
    yield connection
    connection.close()


def _plan(connection: sqlite3.Connection, sql: str, parameters: object = ()) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]  # type: ignore[arg-type]


@pytest.mark.parametrize("payloads", [False, True])
@pytest.mark.parametrize(
    ("where", "order", "after", "searched"),
    [
        (InstanceFilter(), QueryOrder.CREATED, None, "instances_by_creation (hub=?)"),
        (
            InstanceFilter(),
            QueryOrder.CREATED,
            Cursor(5, "a"),
            "instances_by_creation (hub=? AND (created_at,instance_id)>(?,?))",
        ),
        (
            InstanceFilter(created_from=1, created_to=9),
            QueryOrder.CREATED,
            None,
            "instances_by_creation (hub=? AND created_at>? AND created_at<?)",
        ),
        (
            InstanceFilter(created_from=1, id_prefix="a"),
            QueryOrder.CREATED,
            Cursor(5, "a"),
            "instances_by_creation (hub=? AND (created_at,instance_id)>(?,?))",
        ),
        (InstanceFilter(id_prefix="a"), QueryOrder.CREATED, None, "instances_by_creation (hub=?)"),
        (InstanceFilter(statuses=_ONE), QueryOrder.CREATED, None, "instances_by_status (hub=? AND status=?)"),
        (
            InstanceFilter(statuses=_SOME, completed_from=1),
            QueryOrder.CREATED,
            Cursor(5, "a"),
            "instances_by_status (hub=? AND status=? AND (created_at,instance_id)>(?,?))",
        ),
        (InstanceFilter(), QueryOrder.COMPLETED, None, "instances_by_completion (hub=? AND completed_at>?)"),
        (
            InstanceFilter(statuses=_SOME, completed_from=1),
            QueryOrder.COMPLETED,
            Cursor(5, "a"),
            "instances_by_completion (hub=? AND (completed_at,instance_id)>(?,?))",
        ),
        (
            InstanceFilter(completed_from=1, completed_to=9),
            QueryOrder.COMPLETED,
            None,
            "instances_by_completion (hub=? AND completed_at>? AND completed_at<?)",
        ),
    ],
)
def test_a_page_comes_from_an_index_in_its_order(
    connection: sqlite3.Connection,
    where: InstanceFilter,
    order: QueryOrder,
    after: Cursor | None,
    searched: str,
    payloads: bool,
) -> None:
    plan = _plan(connection, *queries.page_sql("hub", where, order=order, after=after, limit=10, payloads=payloads))
    searches = [line for line in plan if line.startswith("SEARCH i ")]

    assert searches == [f"SEARCH i USING INDEX {searched}"] * (
        len(where.statuses) if order is QueryOrder.CREATED and where.statuses else 1
    )
    assert not [line for line in plan if "TEMP B-TREE" in line or line.startswith("SCAN")]


def test_what_the_server_dispatches_from_comes_from_an_index_too(connection: sqlite3.Connection) -> None:
    """Each statement that the read functions run, as SQLite saw it."""
    key = InstanceKey("hub", "i")
    seen: list[str] = []
    connection.execute(
        "INSERT INTO instances (hub, instance_id, execution_id, name, status, created_at, updated_at, turn) "
        "VALUES ('hub', 'i', 'g1', 'n', 0, 1, 1, 0)"
    )
    connection.set_trace_callback(seen.append)
    queries.load(connection, [key], now=1)
    queries.history(connection, key, after=0, execution_id=None)
    queries.due(connection, after=None, limit=10)
    queries.due(connection, after=DueMessage(1, 1, key), limit=10)
    queries.instances_with_messages(connection, after=key, limit=10)
    queries.open_tasks(connection, after=TaskKey("hub", "i", "g1", 1), limit=10)
    queries.children(connection, key)
    connection.set_trace_callback(None)
    assert len(seen) >= 9

    for sql in seen:
        plan = _plan(connection, sql)
        # The rows of one instance's inbox are few, and sorted.
        assert "front DESC" in sql or not [line for line in plan if "TEMP B-TREE" in line], sql
        assert not [line for line in plan if line.startswith("SCAN") and "inbox_by_due_time" not in line], sql
