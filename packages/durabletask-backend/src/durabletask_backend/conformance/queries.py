"""Queries: filters, orders, pages, and the readers of single records."""

from __future__ import annotations

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import HUB, ODD_IDS, START, create, key, turn
from durabletask_backend.mutations import PurgeInstance
from durabletask_backend.values import Cursor, InstanceFilter, QueryOrder, RuntimeStatus


class QueryConformance(ConformanceBase):
    """What the suite promises of `query`, `get` and `children`."""

    async def test_an_empty_hub_is_one_empty_page(self, driver: Driver) -> None:
        """No instances, no next page; likewise for a hub that does not exist."""
        for hub in (HUB, "nowhere"):
            page = await driver.backend.query(hub, InstanceFilter())

            assert (page.instances, page.next) == ((), None)

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

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    @pytest.mark.parametrize("order", [QueryOrder.CREATED, QueryOrder.COMPLETED])
    async def test_pages_join_to_the_whole(self, driver: Driver, order: QueryOrder, limit: int) -> None:
        """Paging meets each instance once, whatever the size of a page, also among equal times."""
        await driver.commit(*(create(key(name), created_at=START + ord(name) % 2) for name in "abcdefg"))
        await driver.commit(
            *(turn(key(name), status=RuntimeStatus.COMPLETED, at=START + 9 + ord(name) % 2) for name in "abcdefg")
        )

        assert await driver.query_ids(HUB, order=order, limit=limit) == ["b", "d", "f", "a", "c", "e", "g"]

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
