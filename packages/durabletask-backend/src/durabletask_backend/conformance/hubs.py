"""Hubs: made once, deleted whole, blind to each other."""

from __future__ import annotations

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    HUB,
    LATER,
    OTHER_HUB,
    answer,
    append,
    create,
    entity_turn,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.mutations import Code, PurgeInstance
from durabletask_backend.values import EntityFilter, Hub, RuntimeStatus


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

    async def test_nothing_comes_to_be_in_a_missing_hub(self, driver: Driver) -> None:
        """NO_HUB, mutation by mutation: what else is in the batch stands."""
        nowhere = key("there", "nowhere")
        here, there, sent, entity, answered = await driver.commit(
            create(key("here")),
            create(nowhere, on_conflict=append(key("here"), b"taken")),
            append(nowhere),
            append(key("@counter@a", "nowhere"), otherwise=[append(key("here"), b"otherwise")]),
            answer(nowhere),
        )

        assert (here.code, there.code, there.effects) == (Code.APPLIED, Code.NO_HUB, ())
        assert (sent.code, answered.code) == (Code.MISSING, Code.MISSING)
        assert (entity.code, [told.code for told in entity.effects]) == (Code.NO_HUB, [Code.APPLIED])
        assert await driver.find(nowhere) is None
        assert await driver.find_entity(key("@counter@a", "nowhere")) is None
        assert await driver.inbox(key("here")) == [b"start", b"otherwise"]

    async def test_a_turn_stands_whose_effect_has_no_hub(self, driver: Driver) -> None:
        """NO_HUB is the effect's outcome; the turn is applied."""
        await driver.apply(create(key()))
        outcome = await driver.apply(turn(key(), effects=[create(key("child", "nowhere")), append(key(), b"after")]))

        assert outcome.code is Code.APPLIED
        assert [effect.code for effect in outcome.effects] == [Code.NO_HUB, Code.APPLIED]
        assert (await driver.record(key())).turn == 1

    async def test_hubs_are_listed_by_name(self, driver: Driver) -> None:
        """`hubs` has every hub with its secret, as they are now."""
        await driver.backend.create_hub("zoo", b"z")
        await driver.backend.create_hub("attic", b"a")

        assert list(await driver.backend.hubs()) == [
            Hub(name="attic", secret=b"a"),
            Hub(name=HUB, secret=b"secret"),
            Hub(name="zoo", secret=b"z"),
        ]

        await driver.backend.delete_hub(HUB)

        assert [hub.name for hub in await driver.backend.hubs()] == ["attic", "zoo"]

    async def test_deleting_tells_whether_there_was_one(self, driver: Driver) -> None:
        """delete_hub returns True for a hub that was there, False for none."""
        assert await driver.backend.delete_hub(HUB) is True
        assert await driver.backend.delete_hub(HUB) is False
        assert await driver.backend.get_hub(HUB) is None

    async def test_deleting_wipes_everything_in_the_hub(self, driver: Driver) -> None:
        """With a hub go its instances, histories, inboxes, delayed messages, open tasks and entities."""
        parent, child, entity = key("parent"), key("child"), key("@counter@a")
        await driver.commit(create(parent), create(child, parent_id="parent"), append(entity), append(entity, due_at=0))
        await driver.apply(entity_turn(entity, state="state"))
        await driver.commit(
            turn(parent, history=[b"one"], tasks=[task(parent)], effects=[append(parent, b"timer", due_at=LATER)])
        )
        await driver.backend.delete_hub(HUB)

        assert await driver.due() == []
        assert await driver.open_task_keys() == []
        assert await driver.backend.claim_instances(driver.lease) == []

        again = await driver.backend.create_hub(HUB, b"new secret")

        assert again.secret == b"new secret"
        assert await driver.backend.load(driver.lease, [parent, child, entity]) == {}
        assert await driver.backend.entity(entity) is None
        assert (await driver.backend.entities(HUB, EntityFilter(empty=True))).entities == ()
        assert await driver.history(parent) == []
        assert await driver.backend.children(parent) == []
        assert await driver.query_ids(HUB) == []

        await driver.commit(create(parent, start=b"fresh"), append(entity, b"fresh"))

        assert await driver.inbox(parent) == await driver.inbox(entity) == [b"fresh"]
        assert (await driver.load_entity(entity)).entity.state is None
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
