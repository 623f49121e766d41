"""Hubs: made once, deleted whole, blind to each other."""

from __future__ import annotations

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    FOREVER,
    HUB,
    LATER,
    OTHER_HUB,
    append,
    create,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.errors import HubMissingError
from durabletask_backend.mutations import Code, PurgeInstance
from durabletask_backend.values import Hub, RuntimeStatus


class HubConformance(ConformanceBase):
    """What the suite promises of hubs."""

    async def test_a_hub_keeps_its_name_and_secret(self, driver: Driver) -> None:
        """A hub is read back as it was created."""
        secret = bytes(range(256))
        created = await driver.backend.create_hub("naïve hub %", secret)

        assert created == Hub(name="naïve hub %", secret=secret)
        assert await driver.backend.get_hub("naïve hub %") == created

    async def test_a_hub_is_created_once(self, driver: Driver) -> None:
        """Creating a hub again returns the one that is there, with its first secret."""
        assert await driver.backend.create_hub(HUB, b"another") == Hub(name=HUB, secret=b"secret")
        assert await driver.backend.get_hub(HUB) == Hub(name=HUB, secret=b"secret")

    async def test_a_hub_that_was_not_created_is_none(self, driver: Driver) -> None:
        """There is no hub until it is created, and names are compared exactly."""
        assert await driver.backend.get_hub("nowhere") is None
        assert await driver.backend.get_hub(HUB.upper()) is None

    async def test_a_batch_that_names_a_missing_hub_is_refused_whole(self, driver: Driver) -> None:
        """A commit that names a hub that does not exist raises HubMissingError, and nothing of it is applied."""
        with pytest.raises(HubMissingError) as caught:
            await driver.commit(create(key("here")), create(key("there", "nowhere")))

        assert caught.value.hub == "nowhere"
        assert await driver.find(key("here")) is None

    async def test_deleting_tells_whether_there_was_one(self, driver: Driver) -> None:
        """delete_hub returns True for a hub that was there, False for none."""
        assert await driver.backend.delete_hub(HUB) is True
        assert await driver.backend.delete_hub(HUB) is False
        assert await driver.backend.get_hub(HUB) is None

    async def test_deleting_wipes_everything_in_the_hub(self, driver: Driver) -> None:
        """With a hub go its instances, histories, inboxes, delayed messages and open tasks."""
        parent, child = key("parent"), key("child")
        await driver.commit(create(parent), create(child, parent_id="parent"))
        await driver.commit(
            turn(parent, history=[b"one"], tasks=[task(parent)], effects=[append(parent, b"timer", due_at=LATER)])
        )
        await driver.backend.delete_hub(HUB)

        assert await driver.due() == []
        assert await driver.open_task_keys() == []
        assert await driver.backend.claim_instances(driver.lease) == []

        again = await driver.backend.create_hub(HUB, b"new secret")

        assert again.secret == b"new secret"
        assert await driver.backend.load([parent, child], now=FOREVER) == {}
        assert await driver.history(parent) == []
        assert await driver.backend.children(parent) == []
        assert await driver.query_ids(HUB) == []

        await driver.commit(create(parent, start=b"fresh"))

        assert await driver.inbox(parent) == [b"fresh"]
        assert (await driver.load(parent)).history == b""

    async def test_deleting_leaves_other_hubs_alone(self, driver: Driver) -> None:
        """What another hub holds under the same ids stays when a hub is deleted."""
        await driver.backend.create_hub(OTHER_HUB, b"other")
        ours, theirs = key("i"), key("i", OTHER_HUB)
        await driver.commit(create(ours), create(theirs))
        await driver.commit(
            turn(theirs, history=[b"one"], tasks=[task(theirs)], effects=[append(theirs, b"timer", due_at=LATER)])
        )
        before = await driver.load(theirs)
        await driver.backend.delete_hub(HUB)

        assert await driver.load(theirs) == before
        assert await driver.open_task_keys() == [task_key(theirs)]
        assert [message.key for message in await driver.due()] == [theirs]

    async def test_hubs_do_not_see_each_other(self, driver: Driver) -> None:
        """The same id in two hubs is two instances, to every method."""
        await driver.backend.create_hub(OTHER_HUB, b"other")
        ours, theirs = key("i"), key("i", OTHER_HUB)
        await driver.commit(create(ours, input="ours"), create(key("child"), parent_id="i"))

        assert await driver.find(theirs) is None
        assert (await driver.apply(append(theirs))).code is Code.MISSING
        assert (await driver.apply(turn(theirs))).code is Code.STALE
        assert (await driver.apply(create(theirs, input="theirs"))).code is Code.APPLIED
        assert (await driver.record(ours)).input == "ours"
        assert (await driver.record(theirs)).input == "theirs"
        assert await driver.query_ids(HUB) == ["child", "i"]
        assert await driver.query_ids(OTHER_HUB) == ["i"]
        assert await driver.backend.children(ours) == [key("child")]
        assert await driver.backend.children(theirs) == []

        await driver.apply(turn(theirs, status=RuntimeStatus.COMPLETED))
        await driver.apply(PurgeInstance(key=theirs))

        assert await driver.find(theirs) is None
        assert (await driver.record(ours)).status is RuntimeStatus.PENDING
