"""Lists of entities read the index of ids, and a budget of it at most; commits without entities ask nothing of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from durabletask_backend.mutations import (
    AppendMessage,
    Batch,
    CompleteEntityTurn,
    CompleteTurn,
    CreateInstance,
    PurgeEntity,
)
from durabletask_backend.values import EntityFilter, EntityPage, Instance, InstanceKey, Lease, RuntimeStatus
from durabletask_sqlite import entities
from durabletask_sqlite.commit import commit
from durabletask_sqlite.schema import migrate

_LEASE = Lease(owner="owner", epoch=1)
_EVERY = EntityFilter(empty=True)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(_connect()) as connection:
        yield connection


def _connect(count: int = 0) -> sqlite3.Connection:
    """A database with so many entities: of every thousand the last has a state, and the others have nothing."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, ":memory:")
    connection.execute("INSERT INTO hubs VALUES ('hub', x'00')")
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO entities (number, hub, instance_id, has_state, modified_at, turn) VALUES (?, 'hub', ?, ?, ?, 1)",
        ((number, f"@e@{number:06}", number % 1000 == 999, number) for number in range(count)),
    )
    connection.execute("INSERT INTO entity_states SELECT number, 'state' FROM entities WHERE has_state")
    connection.execute("COMMIT")

    return connection


def _page(
    connection: sqlite3.Connection,
    where: EntityFilter,
    *,
    after: str | None = None,
    limit: int = 10,
    budget: int = 10_000,
) -> EntityPage:
    return entities.page(connection, "hub", where, after=after, limit=limit, states=True, budget=budget)


@pytest.mark.parametrize(
    ("where", "after", "searched"),
    [
        (EntityFilter(), None, "instance_id>?"),
        (EntityFilter(), "@e@5", "instance_id>?"),
        (EntityFilter(id_prefix="@e@"), None, "instance_id>? AND instance_id<?"),
        (EntityFilter(id_prefix="@e@", modified_from=1, modified_to=9), "@e@5", "instance_id>? AND instance_id<?"),
    ],
)
def test_a_list_reads_the_index_of_ids(
    connection: sqlite3.Connection, where: EntityFilter, after: str | None, searched: str
) -> None:
    sql, parameters = entities.page_sql("hub", where, after, 100)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]

    assert plan == [f"SEARCH entities USING INDEX sqlite_autoindex_entities_1 (hub=? AND {searched})"]


@pytest.mark.parametrize("where", [_EVERY, EntityFilter(id_prefix="@e@0005", empty=True)])
def test_a_page_costs_the_same_among_few_and_among_many(where: EntityFilter) -> None:
    with closing(_connect(1_000)) as few, closing(_connect(50_000)) as many:
        costs = {_steps(connection, where) for connection in (few, many)}

    assert len(costs) == 1


def test_a_page_of_what_is_rare_ends_with_its_budget() -> None:
    """It is short, and the next one goes on from there."""
    with closing(_connect(5_000)) as connection:
        found: list[str] = []
        sizes: list[int] = []
        after: str | None = None

        while not sizes or after is not None:
            page = _page(connection, EntityFilter(), after=after, budget=700)
            found += [entity.key.instance_id for entity in page.entities]
            sizes.append(len(page.entities))
            after = page.next

    assert found == [f"@e@{number:06}" for number in range(999, 5_000, 1_000)]
    assert (len(sizes), max(sizes)) == (8, 1)


def test_a_page_that_ends_with_the_last_entity_is_the_last_one() -> None:
    with closing(_connect(20)) as connection:
        assert _page(connection, _EVERY, limit=20).next is None
        assert _page(connection, _EVERY, limit=19).next == "@e@000018"
        assert _page(connection, EntityFilter(), budget=20).next == "@e@000019"
        assert _page(connection, EntityFilter(), budget=21).next is None
        assert _page(connection, _EVERY, after="@e@000019") == EntityPage(entities=(), next=None)


def test_a_cursor_before_the_prefix_is_no_matter() -> None:
    with closing(_connect(20)) as connection:
        where = EntityFilter(id_prefix="@e@00001", empty=True)

        assert len(_page(connection, where, after="@e@000001", limit=100).entities) == 10
        assert len(_page(connection, where, after="@e@000014", limit=100).entities) == 5
        assert len(_page(connection, where, after="@e@1", limit=100).entities) == 0


def test_a_list_without_states_reads_none() -> None:
    with closing(_connect(1_000)) as connection:
        read = _tables(
            connection, lambda: entities.page(connection, "hub", _EVERY, after=None, limit=1000, states=False)
        )

    assert "entities" in read
    assert "entity_states" not in read


def test_a_commit_without_entities_asks_nothing_of_them(connection: sqlite3.Connection) -> None:
    key = InstanceKey("hub", "i")
    instance = Instance(
        key=key, execution_id="g1", name="n", status=RuntimeStatus.PENDING, created_at=1, updated_at=1, input="in"
    )
    turn = CompleteTurn(key=key, execution_id="g1", turn=0, status=RuntimeStatus.RUNNING, updated_at=2, consumed=(1,))
    batch = Batch(
        id="1",
        lease=_LEASE,
        mutations=[CreateInstance(instance=instance, start=b"start"), AppendMessage(key=key, payload=b"m"), turn],
    )

    assert not {"entities", "entity_states"} & _tables(connection, lambda: commit(connection, batch))

    entity = InstanceKey("hub", "@e@1")
    done = CompleteEntityTurn(key=entity, turn=0, state="state", lock=None, modified_at=1)
    second = Batch(id="2", lease=_LEASE, mutations=[AppendMessage(key=entity, payload=b"m"), done])

    assert _tables(connection, lambda: commit(connection, second)) >= {"entities", "entity_states"}


def test_a_turn_without_a_state_leaves_none_behind(connection: sqlite3.Connection) -> None:
    """Nor does a state outlive its entity."""
    key = InstanceKey("hub", "@e@1")

    for number, state in enumerate(("one", "two", None)):
        done = CompleteEntityTurn(key=key, turn=number, state=state, lock=None, modified_at=1)
        appended = AppendMessage(key=key, payload=b"m")
        commit(connection, Batch(id=f"{number}", lease=_LEASE, mutations=[appended, done]))

        assert _states(connection) == ([] if state is None else [state])

    again = CompleteEntityTurn(key=key, turn=3, state="three", lock=None, modified_at=1)
    commit(connection, Batch(id="again", lease=_LEASE, mutations=[again]))
    assert _states(connection) == ["three"]
    commit(connection, Batch(id="purge", lease=_LEASE, mutations=[PurgeEntity(key=key)]))
    assert _states(connection) == []


def _states(connection: sqlite3.Connection) -> list[str]:
    return [state for (state,) in connection.execute("SELECT state FROM entity_states")]


def _tables(connection: sqlite3.Connection, call: Callable[[], object]) -> set[str]:
    """The tables and indices that statements name while this is called."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)

    try:
        call()
    finally:
        connection.set_trace_callback(None)

    words = {word.strip("(),") for statement in statements for word in statement.split()}

    return words & {"entities", "entity_states", "instances", "inbox"}


def _steps(connection: sqlite3.Connection, where: EntityFilter) -> int:
    """What a page costs: instructions of SQLite's machine."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1

        return 0

    connection.set_progress_handler(step, 1)

    try:
        assert len(_page(connection, where).entities) == 10
    finally:
        connection.set_progress_handler(None, 1)

    return count
