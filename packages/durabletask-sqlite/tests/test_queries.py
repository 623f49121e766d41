"""Queries read an index in the order of their result, sort nothing, and look at no more than a page or a budget of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from random import Random

import pytest
from durabletask_backend.values import (
    TERMINAL_STATUSES,
    Cursor,
    DueMessage,
    InstanceFilter,
    InstanceKey,
    InstancePage,
    QueryOrder,
    RuntimeStatus,
    TaskKey,
)
from durabletask_sqlite import instance_queries, queries
from durabletask_sqlite.schema import migrate
from hypothesis import given, settings
from hypothesis import strategies as st

_SOME = frozenset({RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.RUNNING})
_ONE = frozenset({RuntimeStatus.FAILED})
_RARE = frozenset({RuntimeStatus.CANCELED})
_SMALL, _LARGE = 1_000, 50_000


def _connect() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, ":memory:")

    return connection


def _fill(connection: sqlite3.Connection, rows: Iterable[tuple[str, int, int, int | None]]) -> None:
    """Instances, from id, status, and times of creation and completion."""
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO instances (hub, instance_id, status, created_at, completed_at, execution_id, name, updated_at, turn) "
        "VALUES ('hub', ?, ?, ?, ?, 'g1', 'n', 1, 0)",
        rows,
    )
    connection.execute("COMMIT")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(_connect()) as connection:
        yield connection


def _plan(connection: sqlite3.Connection, sql: str, parameters: Sequence[object] = ()) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]


def _page(
    connection: sqlite3.Connection,
    where: InstanceFilter | None = None,
    order: QueryOrder = QueryOrder.CREATED,
    after: Cursor | None = None,
    *,
    limit: int = 10,
    payloads: bool = False,
    budget: int = 10_000,
) -> InstancePage:
    return instance_queries.page(
        connection,
        "hub",
        where or InstanceFilter(),
        order=order,
        after=after,
        limit=limit,
        payloads=payloads,
        budget=budget,
    )


def _ids(page: InstancePage) -> list[str]:
    return [instance.key.instance_id for instance in page.instances]


_CREATED, _COMPLETED, _ID = QueryOrder.CREATED, QueryOrder.COMPLETED, QueryOrder.ID
_AFTER = Cursor(5, "a")


@pytest.mark.parametrize(
    ("where", "order", "after", "searched", "runs"),
    [
        (InstanceFilter(), _CREATED, None, "COVERING INDEX instances_by_creation (hub=?)", 1),
        (
            InstanceFilter(created_from=1, created_to=9),
            _CREATED,
            None,
            "COVERING INDEX instances_by_creation (hub=? AND created_at>? AND created_at<?)",
            1,
        ),
        (
            InstanceFilter(created_from=1, created_to=9, id_prefix="a"),
            _CREATED,
            _AFTER,
            "COVERING INDEX instances_by_creation (hub=? AND (created_at,instance_id)>(?,?) AND created_at<?)",
            1,
        ),
        (InstanceFilter(statuses=_ONE), _CREATED, None, "COVERING INDEX instances_by_status (hub=? AND status=?)", 1),
        (
            InstanceFilter(statuses=_SOME, created_from=1, created_to=9),
            _CREATED,
            _AFTER,
            "COVERING INDEX instances_by_status (hub=? AND status=? AND (created_at,instance_id)>(?,?) AND created_at<?)",
            3,
        ),
        (
            InstanceFilter(completed_to=9),
            _CREATED,
            _AFTER,
            "INDEX instances_by_status (hub=? AND status=? AND (created_at,instance_id)>(?,?))",
            4,
        ),
        (
            InstanceFilter(),
            _COMPLETED,
            None,
            "COVERING INDEX instances_by_completion (hub=? AND status=? AND completed_at>?)",
            4,
        ),
        (
            InstanceFilter(statuses=_SOME, completed_from=1, completed_to=9),
            _COMPLETED,
            _AFTER,
            (
                "COVERING INDEX instances_by_completion "
                "(hub=? AND status=? AND (completed_at,instance_id)>(?,?) AND completed_at<?)"
            ),
            2,
        ),
        (
            InstanceFilter(completed_from=1, completed_to=9, created_from=1),
            _COMPLETED,
            None,
            "INDEX instances_by_completion (hub=? AND status=? AND completed_at>? AND completed_at<?)",
            4,
        ),
        (InstanceFilter(), _ID, None, "COVERING INDEX sqlite_autoindex_instances_1 (hub=? AND instance_id>?)", 1),
        (
            InstanceFilter(id_prefix="a"),
            _ID,
            Cursor(0, "ab"),
            "COVERING INDEX sqlite_autoindex_instances_1 (hub=? AND instance_id>? AND instance_id<?)",
            1,
        ),
        (
            InstanceFilter(id_prefix="a", statuses=_SOME, created_to=9),
            _ID,
            None,
            "INDEX sqlite_autoindex_instances_1 (hub=? AND instance_id>? AND instance_id<?)",
            1,
        ),
    ],
)
def test_a_page_comes_from_an_index_in_its_order(
    connection: sqlite3.Connection,
    where: InstanceFilter,
    order: QueryOrder,
    after: Cursor | None,
    searched: str,
    runs: int,
) -> None:
    scan = instance_queries.scan("hub", where, order=order, after=after, limit=10)
    plan = _plan(connection, scan.sql, scan.parameters)

    assert [line for line in plan if line.startswith("SEARCH")] == [f"SEARCH i USING {searched}"] * runs
    assert not [line for line in plan if "TEMP B-TREE" in line or line.startswith("SCAN")]


@pytest.mark.parametrize("payloads", [False, True])
def test_the_records_of_a_page_are_found_by_their_numbers(connection: sqlite3.Connection, payloads: bool) -> None:
    plan = _plan(connection, f"{instance_queries.record_sql(payloads)} WHERE i.number = 1")

    assert plan[0] == "SEARCH i USING INTEGER PRIMARY KEY (rowid=?)"
    assert not [line for line in plan if line.startswith("SCAN")]


@pytest.mark.parametrize(
    ("where", "order"),
    [
        (InstanceFilter(statuses=frozenset({RuntimeStatus.RUNNING}), completed_from=1), _CREATED),
        (InstanceFilter(statuses=frozenset({RuntimeStatus.RUNNING}), completed_from=1), _ID),
        (InstanceFilter(statuses=frozenset({RuntimeStatus.RUNNING})), _COMPLETED),
    ],
)
def test_what_cannot_match_is_not_looked_for(
    connection: sqlite3.Connection, where: InstanceFilter, order: QueryOrder
) -> None:
    _fill(connection, [("a", RuntimeStatus.RUNNING, 1, None), ("b", RuntimeStatus.FAILED, 1, 2)])

    assert _page(connection, where, order, budget=1) == InstancePage(instances=(), next=None)


# What it costs, counted in instructions of SQLite's virtual machine.


def _many(count: int) -> sqlite3.Connection:
    """Instances of all statuses; they end in another order than they were created in, and their ids are in another one still.

    Sixty are CANCELED, among however many.
    """
    connection = _connect()
    statuses = [status for status in RuntimeStatus if status is not RuntimeStatus.CANCELED]

    def rows() -> Iterator[tuple[str, int, int, int | None]]:
        for number in range(count):
            rare = number % (count // 60) == 0 and number < count // 60 * 60
            status = RuntimeStatus.CANCELED if rare else statuses[number % len(statuses)]
            completed = (number * 7_919) % count if status in TERMINAL_STATUSES else None
            yield f"{'abcd'[number % 4]}-{(number * 104_729) % count:07}", status, number, completed

    _fill(connection, rows())

    return connection


@pytest.fixture(scope="module")
def sizes() -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    with closing(_many(_SMALL)) as small, closing(_many(_LARGE)) as large:
        yield small, large


def _steps(
    connection: sqlite3.Connection,
    where: InstanceFilter,
    order: QueryOrder,
    *,
    limit: int = 20,
    budget: int = 10_000,
) -> list[int]:
    """Of two pages, one after the other, which have a next one."""
    counted: list[int] = []
    after: Cursor | None = None

    for _ in range(2):
        count = 0

        def step() -> None:
            nonlocal count
            count += 1

        connection.set_progress_handler(step, 1)
        page = _page(connection, where, order, after, limit=limit, budget=budget, payloads=True)
        connection.set_progress_handler(None, 1)
        counted.append(count)
        after = page.next
        assert after is not None

    return counted


@pytest.mark.parametrize(
    ("where", "order"),
    [
        (InstanceFilter(), _CREATED),
        (InstanceFilter(created_from=100, created_to=900), _CREATED),
        (InstanceFilter(statuses=_ONE), _CREATED),
        (InstanceFilter(statuses=_SOME, created_from=100, created_to=900), _CREATED),
        (InstanceFilter(), _COMPLETED),
        (InstanceFilter(statuses=_ONE), _COMPLETED),
        (InstanceFilter(statuses=_RARE), _CREATED),
        (InstanceFilter(statuses=_RARE), _COMPLETED),
        (InstanceFilter(statuses=TERMINAL_STATUSES, completed_from=1), _COMPLETED),
        (InstanceFilter(id_prefix="b-"), _ID),
        (InstanceFilter(), _ID),
    ],
)
def test_a_page_costs_the_same_among_few_and_many(
    sizes: tuple[sqlite3.Connection, sqlite3.Connection], where: InstanceFilter, order: QueryOrder
) -> None:
    small, large = (_steps(connection, where, order) for connection in sizes)

    # Which of the runs comes next differs, and with it a few instructions of each merged row; not how many rows are looked at.
    assert large == pytest.approx(small, rel=0.05)
    assert max(large) < 20 * 150


@pytest.mark.parametrize(
    ("where", "order"),
    [
        (InstanceFilter(id_prefix="none"), _CREATED),
        (InstanceFilter(statuses=_SOME, id_prefix="none"), _CREATED),
        (InstanceFilter(completed_to=0), _CREATED),
        (InstanceFilter(created_from=_LARGE), _COMPLETED),
        (InstanceFilter(created_from=_LARGE), _ID),
        (InstanceFilter(statuses=_ONE, created_from=_LARGE, id_prefix="b"), _ID),
    ],
)
def test_a_page_without_an_index_of_its_own_costs_its_budget(
    sizes: tuple[sqlite3.Connection, sqlite3.Connection], where: InstanceFilter, order: QueryOrder
) -> None:
    small, large = (_steps(connection, where, order, budget=100) for connection in sizes)

    assert large == pytest.approx(small, rel=0.1)
    assert max(large) < 100 * 60


# What it finds.


def _samples(count: int = 60) -> list[tuple[str, int, int, int | None]]:
    random = Random(7)
    statuses = list(RuntimeStatus)
    rows: dict[str, tuple[str, int, int, int | None]] = {}

    while len(rows) < count:
        status = random.choice(statuses)
        instance_id = "".join(random.choices("abé\U0010ffff", k=random.randint(1, 5)))
        created = random.randint(0, 9)
        completed = created + random.randint(0, 9) if status in TERMINAL_STATUSES else None
        rows[instance_id] = (instance_id, status, created, completed)

    return list(rows.values())


@pytest.fixture(scope="module")
def sampled() -> Iterator[sqlite3.Connection]:
    with closing(_connect()) as connection:
        _fill(connection, _samples())
        yield connection


_TIMES = st.none() | st.integers(0, 19)
_FILTERS = st.builds(
    InstanceFilter,
    statuses=st.frozensets(st.sampled_from(RuntimeStatus)),
    created_from=_TIMES,
    created_to=_TIMES,
    completed_from=_TIMES,
    completed_to=_TIMES,
    id_prefix=st.none() | st.text("abé\U0010ffff", max_size=2),
)


def _expected(where: InstanceFilter, order: QueryOrder) -> list[str]:
    def matches(row: tuple[str, int, int, int | None]) -> bool:
        instance_id, status, created, completed = row

        return all(
            (
                not where.statuses or status in where.statuses,
                instance_id.startswith(where.id_prefix or ""),
                where.created_from is None or created >= where.created_from,
                where.created_to is None or created < where.created_to,
                where.completed_from is None or (completed is not None and completed >= where.completed_from),
                where.completed_to is None or (completed is not None and completed < where.completed_to),
                order is not _COMPLETED or completed is not None,
            )
        )

    def place(row: tuple[str, int, int, int | None]) -> tuple[int, str]:
        instance_id, _, created, completed = row

        return {_CREATED: created, _COMPLETED: completed or 0, _ID: 0}[order], instance_id

    return [row[0] for row in sorted(filter(matches, _samples()), key=place)]


@settings(deadline=None, max_examples=300)
@given(where=_FILTERS, order=st.sampled_from(QueryOrder), limit=st.integers(1, 70), budget=st.integers(1, 70))
def test_short_pages_join_to_the_whole(
    sampled: sqlite3.Connection, where: InstanceFilter, order: QueryOrder, limit: int, budget: int
) -> None:
    found: list[str] = []
    pages = 0
    after: Cursor | None = None

    while pages == 0 or after is not None:
        page = _page(sampled, where, order, after, limit=limit, budget=budget)
        assert len(page.instances) <= limit
        assert after is None or page.next is None or page.next > after
        found += _ids(page)
        after = page.next
        pages += 1

    assert found == _expected(where, order)
    # Each page but the last is full, or has used its budget.
    assert pages <= len(found) // limit + 60 // budget + 1


def test_a_full_page_goes_on_behind_what_it_has_looked_at(connection: sqlite3.Connection) -> None:
    _fill(
        connection, [(name, RuntimeStatus.RUNNING, number, None) for number, name in enumerate(["a1", "b", "c", "a2"])]
    )
    where = InstanceFilter(id_prefix="a")

    assert _page(connection, where, limit=1).next == Cursor(2, "c")
    assert _page(connection, where, limit=1, budget=2).next == Cursor(1, "b")
    assert _ids(_page(connection, where, limit=1, after=Cursor(2, "c"))) == ["a2"]


def test_a_place_before_what_is_asked_for_adds_nothing(connection: sqlite3.Connection) -> None:
    _fill(connection, [(name, RuntimeStatus.FAILED, at, at + 10) for at, name in enumerate("abc")])

    assert _ids(_page(connection, InstanceFilter(created_from=2), after=Cursor(0, "a"))) == ["c"]
    assert _ids(_page(connection, InstanceFilter(completed_from=12), _COMPLETED, Cursor(10, "a"))) == ["c"]
    assert _ids(_page(connection, InstanceFilter(id_prefix="c"), _ID, Cursor(0, "a"))) == ["c"]


def test_only_the_payloads_of_what_is_returned_are_read(connection: sqlite3.Connection) -> None:
    """The others are not even text."""
    names = ["b1", "a1", "b2", "b3", "a2"]
    _fill(connection, [(name, RuntimeStatus.FAILED, number, number) for number, name in enumerate(names)])
    connection.execute("UPDATE instances SET output = iif(instance_id = 'a1', 'out', CAST(x'ff' AS TEXT))")
    connection.execute("INSERT INTO inputs SELECT number, output FROM instances")
    page = _page(connection, InstanceFilter(id_prefix="a"), limit=1, payloads=True)

    assert [(found.key.instance_id, found.input, found.output) for found in page.instances] == [("a1", "out", "out")]
    assert page.next == Cursor(3, "b3")

    with pytest.raises(sqlite3.OperationalError, match="UTF-8"):
        _page(connection, payloads=True)


def test_what_the_server_dispatches_from_comes_from_an_index_too(connection: sqlite3.Connection) -> None:
    """Each statement that the read functions run, as SQLite saw it."""
    key = InstanceKey("hub", "i")
    seen: list[str] = []
    _fill(connection, [("i", RuntimeStatus.RUNNING, 1, None)])
    connection.set_trace_callback(seen.append)
    queries.load(connection, [key])
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
