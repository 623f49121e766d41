"""Many owners on one store: leases, claims, fencing and takeover. For backends that declare `many_owners`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    HUB,
    LATER,
    answer,
    append,
    create,
    entity_turn,
    instance,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.errors import LeaseLostError
from durabletask_backend.mutations import Code, RewindInstances
from durabletask_backend.values import InstanceKey, RuntimeStatus, WorkNames

ENTITY = key("@entity@e")
COUNTER = key("@Counter@Key")


class OwnerConformance(ConformanceBase):
    """What the suite promises of several owners."""

    async def test_owners_see_the_same_store(self, driver: Driver, second: Driver) -> None:
        """What one commits the other reads, and sequences are unique over both."""
        mine = await driver.commit(create(key("mine")), append(key("mine")))
        theirs = await second.commit(create(key("theirs")), append(key("mine"), b"hello"))
        again = await driver.apply(append(key("theirs")))
        sequences = [outcome.sequence for outcome in (*mine, *theirs, again)]

        assert sequences == sorted(set(sequences))
        assert await driver.inbox(key("mine")) == [b"start", b"message", b"hello"]
        assert await second.inbox(key("theirs")) == [b"start", b"message"]
        assert await driver.record(key("theirs")) == await second.record(key("theirs"))
        assert await driver.query_ids(HUB) == await second.query_ids(HUB) == ["mine", "theirs"]

    async def test_a_turn_of_another_s_instance_is_stale(self, driver: Driver, second: Driver) -> None:
        """STALE while its owner lives; messages to it are everybody's, and the owner's turn goes through."""
        await driver.apply(create(key()))
        stale, sent = await second.commit(turn(key(), tasks=[task(key())]), append(key(), b"hello"))

        assert (stale.code, sent.code) == (Code.STALE, Code.APPLIED)
        assert (await driver.record(key())).turn == 0
        assert (await driver.apply(turn(key()))).code is Code.APPLIED

    async def test_a_task_may_be_answered_through_any_owner(self, driver: Driver, second: Driver) -> None:
        """An answer needs no ownership."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=[task(key())]))

        assert (await second.apply(answer(key()))).code is Code.APPLIED
        assert await driver.inbox(key()) == [b"start", b"answer"]

    async def test_what_a_living_owner_has_is_not_claimed(self, driver: Driver, second: Driver) -> None:
        """Its instances and tasks are its own, to be claimed again and again by it alone."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=[task(key())]))

        assert list(await second.backend.claim_instances(second.lease)) == []
        assert await second.open_task_keys() == []
        assert list(await driver.backend.claim_instances(driver.lease)) == [key()]
        assert await driver.open_task_keys() == [task_key(key())]

    async def test_a_released_instance_is_free(self, driver: Driver, second: Driver) -> None:
        """It can be claimed by another, and belongs to the other then."""
        await driver.commit(create(key("a")), create(key("b")))
        await driver.backend.release(driver.lease, [key("a"), key("nobody")])

        assert list(await second.backend.claim_instances(second.lease)) == [key("a")]
        assert (await driver.apply(turn(key("a")))).code is Code.STALE
        assert (await second.apply(turn(key("a")))).code is Code.APPLIED
        assert (await driver.apply(turn(key("b")))).code is Code.APPLIED

    async def test_a_released_task_is_free(self, driver: Driver, second: Driver) -> None:
        """It can be claimed by another, without its instance, and the others of the instance stay where they are."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=[task(key(), 1), task(key(), 2)]))
        await driver.backend.release(driver.lease, tasks=[task_key(key(), 1), task_key(key(), 3), task_key(key("no"))])

        assert await second.open_task_keys() == [task_key(key(), 1)]
        assert await driver.open_task_keys() == [task_key(key(), 2)]
        assert await second.find(key()) is None

    async def test_nobody_releases_what_another_has(self, driver: Driver, second: Driver) -> None:
        """`release` leaves the instances, tasks and entities of others alone."""
        await driver.commit(create(key()), append(ENTITY))
        await driver.apply(turn(key(), tasks=[task(key())]))
        await second.backend.release(second.lease, [key(), ENTITY], [task_key(key())])

        assert await second.claimed() == []
        assert await second.open_task_keys() == []

    async def test_loading_claims(self, driver: Driver, second: Driver) -> None:
        """What nobody has belongs to its loader, whether it has something to do or not."""
        await driver.commit(create(key("idle"), due_at=LATER), append(ENTITY, due_at=LATER))
        await driver.backend.release(driver.lease, [key("idle"), ENTITY])
        loaded = await second.backend.load(second.lease, [key("idle"), ENTITY])

        assert set(loaded) == {key("idle"), ENTITY}
        assert await driver.backend.load(driver.lease, [key("idle"), ENTITY]) == {}
        assert (await driver.apply(turn(key("idle")))).code is Code.STALE
        assert (await driver.apply(entity_turn(ENTITY))).code is Code.STALE
        assert (await second.apply(turn(key("idle")))).code is Code.APPLIED
        assert (await second.apply(entity_turn(ENTITY))).code is Code.APPLIED

    async def test_loading_leaves_out_what_another_has(self, driver: Driver, second: Driver) -> None:
        """And changes nothing about it; what else is asked for is loaded."""
        await driver.commit(create(key("a")), append(ENTITY))
        await second.apply(create(key("b")))

        assert set(await second.backend.load(second.lease, [key("a"), key("b"), ENTITY])) == {key("b")}
        assert (await driver.apply(turn(key("a")))).code is Code.APPLIED
        assert (await driver.apply(entity_turn(ENTITY))).code is Code.APPLIED

    async def test_loading_takes_over(
        self, driver: Driver, second: Driver, pass_time: Callable[[float], Awaitable[None]]
    ) -> None:
        """What an owner had whose lease has run out is loaded, and from then on that owner is refused."""
        await driver.apply(create(key()))
        await pass_time(self.lease_ttl * 1.2)
        await second.backend.renew(second.lease)

        assert await second.inbox(key()) == [b"start"]

        with pytest.raises(LeaseLostError):
            await driver.apply(turn(key()))

        assert (await second.apply(turn(key()))).code is Code.APPLIED

    async def test_an_entity_belongs_to_whom_it_came_to_be_by(self, driver: Driver, second: Driver) -> None:
        """Messages to it are everybody's, its turns its owner's, until it is released."""
        await driver.apply(append(ENTITY))
        stale, sent = await second.commit(entity_turn(ENTITY, state="theirs"), append(ENTITY, b"hello"))

        assert (stale.code, sent.code) == (Code.STALE, Code.APPLIED)
        assert await second.claimed() == []
        assert await driver.inbox(ENTITY) == [b"message", b"hello"]

        await driver.backend.release(driver.lease, [ENTITY])

        assert (await second.apply(entity_turn(ENTITY, state="theirs"))).code is Code.APPLIED
        assert (await driver.apply(entity_turn(ENTITY, 1, state="mine"))).code is Code.STALE
        assert await second.claimed() == [ENTITY]

    async def test_who_rewinds_an_instance_has_it_then(self, driver: Driver, second: Driver) -> None:
        """Whoever had it when it failed: what has ended is nobody's work."""
        await driver.apply(create(key("mine")))
        await second.apply(create(key("theirs")))
        await driver.apply(turn(key("mine"), status=RuntimeStatus.FAILED))
        await second.apply(turn(key("theirs"), status=RuntimeStatus.FAILED))
        rewind = RewindInstances(turns=(turn(key("mine"), 1), turn(key("theirs"), 1)))

        assert (await driver.apply(rewind)).code is Code.APPLIED
        assert (await second.apply(turn(key("theirs"), 2))).code is Code.STALE
        assert (await driver.apply(turn(key("theirs"), 2))).code is Code.APPLIED

    async def test_only_what_there_are_workers_for_is_claimed(self, driver: Driver, second: Driver) -> None:
        """Names are those of orchestrations, activities and entities, and differ by more than case; None is any."""
        other, counter, cart = key("other"), key("@Counter@a"), key("@cart@Counter")
        named = replace(create(other), instance=replace(instance(other), name="ÜBER"))
        await driver.commit(create(key()), named, append(counter), append(cart))
        await driver.apply(turn(key(), tasks=[task(key(), 1), replace(task(key(), 2), name="ÄCT")]))
        await driver.backend.release(
            driver.lease, [key(), other, counter, cart], [task_key(key(), 1), task_key(key(), 2)]
        )

        async def take(names: WorkNames) -> tuple[list[InstanceKey], list[int]]:
            claimed = await second.claimed(names=names)
            tasks = await second.open_tasks(names=names)
            await second.backend.release(second.lease, claimed, [each.key for each in tasks])

            return claimed, [each.key.task_id for each in tasks]

        def only(**names: str) -> WorkNames:
            wanted = {kind: frozenset[str]() for kind in ("orchestrations", "activities", "entities")}

            return WorkNames(**(wanted | {kind: frozenset({name}) for kind, name in names.items()}))

        assert await take(only(orchestrations="orchestrate")) == ([key()], [])
        assert await take(only(orchestrations="über")) == ([other], [])
        assert await take(only(entities="counter")) == ([counter], [])
        assert await take(only(activities="act")) == ([], [1])
        assert await take(only(activities="äct")) == ([], [2])
        assert await take(only()) == ([], [])
        assert await take(WorkNames(entities=frozenset({"cart"}))) == ([cart, key(), other], [1, 2])
        assert await take(WorkNames()) == ([counter, cart, key(), other], [1, 2])

    async def test_a_page_of_claims_is_of_what_is_wanted(self, driver: Driver, second: Driver) -> None:
        """Fewer than `limit` only when there are no more of those names."""
        names = [f"{number:02}" for number in range(20)]
        keys = [key(name) for name in names] + [key(f"@e@{name}") for name in names]
        await driver.commit(*map(create, keys[:20]), *map(append, keys[20:]))
        await driver.backend.release(driver.lease, keys)
        wanted = WorkNames(orchestrations=frozenset({"orchestrate"}), entities=frozenset())
        first = await second.backend.claim_instances(second.lease, names=wanted, limit=15)
        rest = await second.backend.claim_instances(second.lease, names=wanted, after=first[-1], limit=15)

        assert [*first, *rest] == keys[:20]
        assert (len(first), len(rest)) == (15, 5)

    async def test_a_turn_takes_what_nobody_has(self, driver: Driver, second: Driver) -> None:
        """A turn of an unowned instance is APPLIED, and makes its committer the owner."""
        await driver.apply(create(key()))
        await driver.backend.release(driver.lease, [key()])

        assert (await second.apply(turn(key()))).code is Code.APPLIED
        assert (await driver.apply(turn(key(), 1))).code is Code.STALE

    async def test_claims_are_exclusive(self, driver: Driver, second: Driver) -> None:
        """Of two owners that claim at the same time each instance goes to one."""
        keys = [key(f"{number:02}") for number in range(40)]
        await driver.commit(*map(create, keys))
        await driver.backend.release(driver.lease, keys)
        mine, theirs = await asyncio.gather(
            driver.backend.claim_instances(driver.lease, limit=25),
            second.backend.claim_instances(second.lease, limit=25),
        )

        assert sorted([*mine, *theirs]) == sorted({*mine, *theirs})
        assert set(mine) | set(theirs) == set(keys)

    async def test_a_backend_that_closes_frees_what_it_had(self, driver: Driver, second: Driver) -> None:
        """At once, not only when its lease would have run out."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=[task(key())]))
        await driver.backend.close()

        assert list(await second.backend.claim_instances(second.lease)) == [key()]
        assert await second.open_task_keys() == [task_key(key())]

    async def test_an_owner_that_does_not_renew_is_taken_over(
        self, driver: Driver, second: Driver, pass_time: Callable[[float], Awaitable[None]]
    ) -> None:
        """When its lease has run out others claim what it had; from then on its batches and renewals are refused."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=[task(key())]))
        await pass_time(self.lease_ttl * 1.2)
        await second.backend.renew(second.lease)

        assert list(await second.backend.claim_instances(second.lease)) == [key()]
        assert await second.open_task_keys() == [task_key(key())]

        with pytest.raises(LeaseLostError):
            await driver.apply(turn(key(), 1))

        with pytest.raises(LeaseLostError):
            await driver.backend.renew(driver.lease)

        assert (await second.apply(turn(key(), 1))).code is Code.APPLIED

    async def test_a_renewed_lease_holds(
        self, driver: Driver, second: Driver, pass_time: Callable[[float], Awaitable[None]]
    ) -> None:
        """`renew` extends it by its time to live, counted from then."""
        await driver.apply(create(key()))

        for _ in range(3):
            await pass_time(self.lease_ttl * 0.6)
            await driver.backend.renew(driver.lease)
            await second.backend.renew(second.lease)

        assert list(await second.backend.claim_instances(second.lease)) == []
        assert (await driver.apply(turn(key()))).code is Code.APPLIED

    async def test_a_name_that_is_used_again_fences_its_past(
        self, driver: Driver, second: Driver, open_driver: Callable[[str], Awaitable[Driver]]
    ) -> None:
        """An owner that opens again has what it had, under a higher epoch; the old lease is lost."""
        await driver.apply(create(key()))
        again = await open_driver(driver.lease.owner)

        assert again.lease.epoch > driver.lease.epoch
        assert list(await second.backend.claim_instances(second.lease)) == []
        assert list(await again.backend.claim_instances(again.lease)) == [key()]

        with pytest.raises(LeaseLostError):
            await driver.apply(turn(key()))

        assert (await again.apply(turn(key()))).code is Code.APPLIED

    async def test_each_owner_has_its_own_last_batch(self, driver: Driver, second: Driver) -> None:
        """What one commits does not make the other forget."""
        batch = driver.batch(create(key()))
        committed = list(await driver.backend.commit(batch))
        await second.apply(append(key()))

        assert list(await driver.backend.outcomes(driver.lease, batch.id) or []) == committed
        assert await second.backend.outcomes(second.lease, batch.id) is None
        assert list(await driver.backend.commit(batch)) == committed
