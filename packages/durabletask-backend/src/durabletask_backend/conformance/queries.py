"""Queries: filters, orders, pages, and the readers of single records."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import HUB, ODD_IDS, START, create, full_instance, key, turn
from durabletask_backend.mutations import CreateInstance, PurgeInstance
from durabletask_backend.values import (
    TERMINAL_STATUSES,
    Cursor,
    Instance,
    InstanceFilter,
    InstancePage,
    Micros,
    QueryOrder,
    RuntimeStatus,
)

_MANY = 11_000
"""More than a page may look at, in a backend that has such a bound."""


class QueryConformance(ConformanceBase):
    """What the suite promises of `query`, `get` and `children`."""

    async def test_an_empty_hub_is_one_empty_page(self, driver: Driver) -> None:
        """No instances, no next page; likewise for a hub that does not exist."""
        for hub in (HUB, "nowhere"):
            page = await driver.backend.query(hub, InstanceFilter())

            assert (page.instances, page.next) == ((), None)

    async def test_how_many_have_which_status(self, driver: Driver) -> None:
        """Of one hub; statuses that no instance has are left out, or are zero."""
        await driver.commit(*(create(key(name)) for name in "abcd"))
        await driver.commit(turn(key("a"), status=RuntimeStatus.COMPLETED), turn(key("b"), status=RuntimeStatus.FAILED))

        expected = {RuntimeStatus.PENDING: 2, RuntimeStatus.COMPLETED: 1, RuntimeStatus.FAILED: 1}

        for hub, statuses in ((HUB, expected), ("nowhere", {})):
            counts = await driver.backend.counts(hub)

            assert {status: count for status, count in counts.items() if count} == statuses

    async def test_in_order_of_creation(self, driver: Driver) -> None:
        """By creation time, whatever the order of commit, and by id among equals, by code point."""
        equals = ["B", "a", "b", "é", "\uffff", "\U0001f600"]
        await driver.commit(
            create(key("late"), created_at=START + 2),
            *(create(key(name), created_at=START + 1) for name in reversed(equals)),
            create(key("zero"), created_at=START),
        )

        assert await driver.query_ids(HUB) == ["zero", *equals, "late"]

    async def test_in_order_of_completion(self, driver: Driver) -> None:
        """By completion time, then id; what is not completed is left out."""
        await driver.commit(*(create(key(name)) for name in "abcd"))
        await driver.commit(
            turn(key("a"), status=RuntimeStatus.COMPLETED, at=START + 9),
            turn(key("d"), status=RuntimeStatus.FAILED, at=START + 5),
            turn(key("c"), status=RuntimeStatus.TERMINATED, at=START + 5),
            turn(key("b")),
        )

        assert await driver.query_ids(HUB, order=QueryOrder.COMPLETED) == ["c", "d", "a"]

    async def test_in_order_of_the_id(self, driver: Driver) -> None:
        """By id alone, by code point, in any status; the time of a place in this order is 0."""
        names = ["B", "a", "b", "é", "\uffff", "\U0001f600"]
        await driver.commit(*(create(key(name), created_at=START - place) for place, name in enumerate(names)))
        await driver.apply(turn(key("a"), status=RuntimeStatus.COMPLETED))
        page = await driver.backend.query(HUB, InstanceFilter(), order=QueryOrder.ID, limit=3)

        assert page.next == Cursor(0, "b")
        assert await driver.query_ids(HUB, order=QueryOrder.ID) == names
        assert await driver.query_ids(HUB, InstanceFilter(id_prefix="b"), order=QueryOrder.ID) == ["b"]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    @pytest.mark.parametrize("order", QueryOrder)
    async def test_pages_join_to_the_whole(self, driver: Driver, order: QueryOrder, limit: int) -> None:
        """Paging meets each instance once, whatever the size of a page, also among equal times."""
        await driver.commit(*(create(key(name), created_at=START + ord(name) % 2) for name in "abcdefg"))
        await driver.commit(
            *(turn(key(name), status=RuntimeStatus.COMPLETED, at=START + 9 + ord(name) % 2) for name in "abcdefg")
        )

        expected = "abcdefg" if order is QueryOrder.ID else "bdfaceg"

        assert await driver.query_ids(HUB, order=order, limit=limit) == list(expected)

    async def test_a_page_says_where_the_next_begins(self, driver: Driver) -> None:
        """`next` is the sort key of the last instance given, and None on the last page, even when that is full."""
        await driver.commit(*(create(key(name), created_at=START + ord(name)) for name in "abcd"))
        first = await driver.backend.query(HUB, InstanceFilter(), limit=2)
        second = await driver.backend.query(HUB, InstanceFilter(), limit=2, after=first.next)

        assert first.next == Cursor(START + ord("b"), "b")
        assert [found.key for found in second.instances] == [key("c"), key("d")]
        assert second.next is None

    async def test_pages_stand_while_others_write(self, driver: Driver) -> None:
        """Instances that come and go between two pages neither repeat nor hide any other."""
        await driver.commit(*(create(key(name), created_at=START + ord(name)) for name in "bdfh"))
        first = await driver.backend.query(HUB, InstanceFilter(), limit=2)
        await driver.commit(
            create(key("a"), created_at=START + ord("a")),
            create(key("e"), created_at=START + ord("e")),
            turn(key("d"), status=RuntimeStatus.COMPLETED),
            PurgeInstance(key=key("d")),
        )
        second = await driver.backend.query(HUB, InstanceFilter(), limit=10, after=first.next)

        assert [found.key.instance_id for found in first.instances] == ["b", "d"]
        assert [found.key.instance_id for found in second.instances] == ["e", "f", "h"]

    @pytest.mark.parametrize("order", QueryOrder)
    async def test_what_stays_is_met_once_while_others_write(self, driver: Driver, order: QueryOrder) -> None:
        """Between any two pages instances come before and behind, end and go; the others are met once, in order."""
        stay = [f"{number:02}-stay" for number in range(20)]
        go = [f"{number:02}-go" for number in range(20)]
        failed, number = RuntimeStatus.FAILED, 0
        await driver.commit(*(create(key(name), created_at=START + int(name[:2])) for name in (*stay, *go)))
        await driver.commit(*(turn(key(name), status=failed, at=START + 99 + int(name[:2])) for name in (*stay, *go)))
        where = InstanceFilter(statuses=frozenset({failed, RuntimeStatus.COMPLETED}))
        found: list[str] = []
        after: Cursor | None = None

        while number == 0 or after is not None:
            page = await driver.backend.query(HUB, where, order=order, after=after, limit=3)
            assert page.next is None or after is None or page.next > after, "each place is behind the one before"
            found += [instance.key.instance_id for instance in page.instances]
            after = page.next
            number += 1
            new = [f"{place:02}-new-{number}" for place in (0, 10, 19)]
            gone = [go.pop(0), go.pop()] if go else []
            await driver.commit(
                *(create(key(name), created_at=START + int(name[:2])) for name in new),
                *(PurgeInstance(key=key(name)) for name in gone),
            )
            await driver.commit(*(turn(key(name), status=failed, at=START + 99 + int(name[:2])) for name in new[:2]))
            assert number < 100, "the pages should come to an end"

        assert [name for name in found if name in stay] == stay
        assert len(set(found)) == len(found), "nothing is met twice"

    @pytest.mark.parametrize("order", QueryOrder)
    async def test_every_combination_of_filters(self, driver: Driver, order: QueryOrder) -> None:
        """What is found is what each of the conditions, looked at alone, lets through; by pages of any size."""
        records = await _mixed(driver)

        for number, where in enumerate(_filters()):
            expected = [
                found.key.instance_id
                for found in sorted(records, key=lambda record: _place(record, order))
                if _matches(found, where) and (order is not QueryOrder.COMPLETED or found.completed_at is not None)
            ]

            assert [
                found.key.instance_id
                for page in await _pages(driver, where, order=order, limit=(1000, 1000, 4)[number % 3])
                for found in page.instances
            ] == expected, f"{where}"

    async def test_a_place_before_the_range_adds_nothing_to_it(self, driver: Driver) -> None:
        """Where the next page begins and what is wanted hold both, even if they do not belong together."""
        await driver.commit(*(create(key(name), created_at=START + place) for place, name in enumerate("abc")))
        await driver.commit(
            *(turn(key(name), status=RuntimeStatus.FAILED, at=START + 10 + place) for place, name in enumerate("abc"))
        )

        for order, where, after in (
            (QueryOrder.CREATED, InstanceFilter(created_from=START + 2), Cursor(START, "a")),
            (QueryOrder.COMPLETED, InstanceFilter(completed_from=START + 12), Cursor(START + 10, "a")),
            (QueryOrder.ID, InstanceFilter(id_prefix="c"), Cursor(0, "a")),
        ):
            page = await driver.backend.query(HUB, where, order=order, after=after)

            assert [found.key.instance_id for found in page.instances] == ["c"]

    @pytest.mark.parametrize("order", [QueryOrder.CREATED, QueryOrder.ID])
    async def test_pages_lead_to_the_few_among_many(self, driver: Driver, order: QueryOrder) -> None:
        """However far apart they are: a page that was given up for its cost has a next one, and none is the last too early."""
        # In either order these are told by what is not the order.
        rare = {0, _MANY // 2, _MANY - 1}
        prefix = {QueryOrder.CREATED: "rare-", QueryOrder.ID: ""}[order]
        names = [f"{prefix if number in rare else ''}{number:05}" for number in range(_MANY)]
        where = (
            InstanceFilter(id_prefix="rare-") if prefix else InstanceFilter(statuses=frozenset({RuntimeStatus.RUNNING}))
        )
        expected = [names[number] for number in sorted(rare)]

        for first in range(0, _MANY, 1000):
            stop = min(first + 1000, _MANY)
            await driver.commit(
                *(create(key(names[number]), created_at=START + number) for number in range(first, stop))
            )

        await driver.commit(*(turn(key(name)) for name in expected))

        for limit in (1, 2, 1000):
            pages = await _pages(driver, where, order=order, limit=limit)

            assert [found.key.instance_id for page in pages for found in page.instances] == expected

    async def test_every_row_is_the_whole_record(self, driver: Driver) -> None:
        """With version, tags, parent and times, and the payloads where they are asked for."""
        whole = full_instance(key())
        await driver.apply(CreateInstance(instance=whole, start=b"start"))
        (found,) = (await driver.backend.query(HUB, InstanceFilter(), payloads=True)).instances

        assert found == whole

    async def test_by_status(self, driver: Driver) -> None:
        """Any of the statuses that are asked for; an empty set asks for all."""
        await driver.commit(*(create(key(status.name)) for status in RuntimeStatus))
        await driver.commit(*(turn(key(status.name), status=status) for status in RuntimeStatus))

        for status in RuntimeStatus:
            assert await driver.query_ids(HUB, InstanceFilter(statuses=frozenset({status}))) == [status.name]

        wanted = frozenset({RuntimeStatus.RUNNING, RuntimeStatus.FAILED})

        assert await driver.query_ids(HUB, InstanceFilter(statuses=wanted)) == ["FAILED", "RUNNING"]
        assert await driver.query_ids(HUB, InstanceFilter(statuses=wanted), order=QueryOrder.COMPLETED) == ["FAILED"]
        assert len(await driver.query_ids(HUB)) == len(RuntimeStatus)

    async def test_by_creation_time(self, driver: Driver) -> None:
        """From one time on, inclusive, up to another, exclusive."""
        await driver.commit(*(create(key(str(number)), created_at=START + number) for number in range(5)))

        assert await driver.query_ids(HUB, InstanceFilter(created_from=START + 3)) == ["3", "4"]
        assert await driver.query_ids(HUB, InstanceFilter(created_to=START + 2)) == ["0", "1"]
        assert await driver.query_ids(HUB, InstanceFilter(created_from=START + 1, created_to=START + 3)) == ["1", "2"]
        assert await driver.query_ids(HUB, InstanceFilter(created_from=START + 3, created_to=START + 3)) == []

    @pytest.mark.parametrize("order", [QueryOrder.CREATED, QueryOrder.COMPLETED])
    async def test_by_completion_time(self, driver: Driver, order: QueryOrder) -> None:
        """From one time on, inclusive, up to another, exclusive, and only what is completed."""
        await driver.commit(*(create(key(name)) for name in "01234"))
        await driver.commit(
            *(turn(key(name), status=RuntimeStatus.COMPLETED, at=START + int(name)) for name in "0123"), turn(key("4"))
        )

        assert await driver.query_ids(HUB, InstanceFilter(completed_from=START + 2), order=order) == ["2", "3"]
        assert await driver.query_ids(HUB, InstanceFilter(completed_to=START + 2), order=order) == ["0", "1"]
        assert await driver.query_ids(
            HUB, InstanceFilter(completed_from=START + 1, completed_to=START + 3), order=order
        ) == ["1", "2"]
        assert await driver.query_ids(HUB, InstanceFilter(completed_from=0), order=order) == ["0", "1", "2", "3"]

    async def test_by_the_beginning_of_the_id(self, driver: Driver) -> None:
        """A prefix is plain text, compared case-sensitively; no character of it has another meaning."""
        await driver.commit(*(create(key(odd)) for odd in ODD_IDS), create(key("a\U0010ffff!")), create(key("axb_c")))
        everyone = {*ODD_IDS, "a\U0010ffff!", "axb_c"}

        for prefix in ("", "a", "a%", "%", "_", "\\", "'", '"', "[", "A", "é", "e", "日", "\U0010ffff", "none"):
            found = await driver.query_ids(HUB, InstanceFilter(id_prefix=prefix))

            assert set(found) == {name for name in everyone if name.startswith(prefix)}, f"prefix {prefix!r}"

    async def test_all_conditions_must_hold(self, driver: Driver) -> None:
        """Conditions are joined by and, and pages are made of what is left."""
        names = [f"{prefix}{number}" for prefix in ("x", "y") for number in range(6)]
        await driver.commit(*(create(key(name), created_at=START + int(name[1])) for name in names))
        await driver.commit(
            *(turn(key(name), status=RuntimeStatus.COMPLETED, at=START + 100 + int(name[1])) for name in names[::2])
        )
        where = InstanceFilter(
            statuses=frozenset({RuntimeStatus.COMPLETED}),
            created_from=START + 1,
            completed_to=START + 105,
            id_prefix="y",
        )

        assert await driver.query_ids(HUB, where, limit=1) == ["y2", "y4"]

    async def test_payloads_are_left_out_unless_asked_for(self, driver: Driver) -> None:
        """Without payloads input and output are None, and nothing else is."""
        await driver.apply(create(key(), input="in"))
        await driver.apply(turn(key(), output="out"))
        whole = await driver.record(key())
        slim = await driver.backend.get(key(), payloads=False)

        assert slim is not None
        assert (whole.input, whole.output) == ("in", "out")
        assert (slim.input, slim.output) == (None, None)
        assert (slim.name, slim.turn, slim.updated_at) == (whole.name, whole.turn, whole.updated_at)
        assert (await driver.backend.query(HUB, InstanceFilter())).instances == (slim,)
        assert (await driver.backend.query(HUB, InstanceFilter(), payloads=True)).instances == (whole,)

    async def test_a_record_that_does_not_exist(self, driver: Driver) -> None:
        """`get` of what does not exist is None."""
        assert await driver.backend.get(key("nobody")) is None
        assert await driver.backend.get(key("nobody"), payloads=False) is None

    async def test_children_name_their_parent(self, driver: Driver) -> None:
        """All instances with that parent in the hub, ended ones too, without theirs."""
        await driver.commit(
            create(key("parent")),
            create(key("b"), parent_id="parent"),
            create(key("a"), parent_id="parent"),
            create(key("grandchild"), parent_id="a"),
            create(key("other"), parent_id="PARENT"),
        )
        await driver.apply(turn(key("a"), status=RuntimeStatus.COMPLETED))

        assert set(await driver.backend.children(key("parent"))) == {key("a"), key("b")}
        assert await driver.backend.children(key("grandchild")) == []
        assert await driver.backend.children(key("nobody")) == []


async def _pages(driver: Driver, where: InstanceFilter, *, order: QueryOrder, limit: int) -> list[InstancePage]:
    pages: list[InstancePage] = []
    after: Cursor | None = None

    while not pages or after is not None:
        page = await driver.backend.query(HUB, where, order=order, after=after, limit=limit)
        assert len(page.instances) <= limit, "a page has at most `limit` instances"
        assert page.next is None or after is None or page.next > after, "each place is behind the one before"
        pages.append(page)
        after = page.next

    return pages


async def _mixed(driver: Driver) -> list[Instance]:
    """Instances of all statuses, some created or completed at the same time."""
    keys = [key(f"{'ab'[number % 2]}{'xyz'[number % 3]}{number:02}") for number in range(28)]
    statuses = [status for status in RuntimeStatus for _ in range(4)]
    await driver.commit(*(create(of, created_at=START + number % 6) for number, of in enumerate(keys)))
    await driver.commit(
        *(turn(of, status=statuses[number], at=START + 10 + number % 5) for number, of in enumerate(keys))
    )

    return [await driver.record(of) for of in keys]


def _filters() -> Iterator[InstanceFilter]:
    some = frozenset({RuntimeStatus.FAILED, RuntimeStatus.RUNNING, RuntimeStatus.TERMINATED})

    for statuses, created, completed, prefix in product(
        (frozenset[RuntimeStatus](), frozenset({RuntimeStatus.RUNNING}), some, TERMINAL_STATUSES),
        ((None, None), (START + 2, None), (None, START + 4), (START + 1, START + 5)),
        ((None, None), (START + 12, None), (None, START + 13), (START + 11, START + 14)),
        (None, "a", "bx", "none"),
    ):
        yield InstanceFilter(
            statuses=statuses,
            created_from=created[0],
            created_to=created[1],
            completed_from=completed[0],
            completed_to=completed[1],
            id_prefix=prefix,
        )


def _matches(record: Instance, where: InstanceFilter) -> bool:
    completed = where.completed_from is not None or where.completed_to is not None

    return (
        (not where.statuses or record.status in where.statuses)
        and _is_within(record.created_at, where.created_from, where.created_to)
        and (not completed or _is_within(record.completed_at, where.completed_from, where.completed_to))
        and record.key.instance_id.startswith(where.id_prefix or "")
    )


def _is_within(at: Micros | None, first: Micros | None, stop: Micros | None) -> bool:
    return at is not None and (first is None or at >= first) and (stop is None or at < stop)


def _place(record: Instance, order: QueryOrder) -> tuple[Micros, str]:
    times = {QueryOrder.CREATED: record.created_at, QueryOrder.COMPLETED: record.completed_at or 0, QueryOrder.ID: 0}

    return times[order], record.key.instance_id
