"""Many owners on one store: leases, claims, fencing and takeover. For backends that declare `many_owners`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import pytest_asyncio

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import answer, append, create, key, task, task_key, turn
from durabletask_backend.contract import Hint
from durabletask_backend.errors import LeaseLostError
from durabletask_backend.mutations import Code


class OwnerConformance(ConformanceBase):
    """What the suite promises of several owners; of a single one, only that `changes` ends."""

    @pytest_asyncio.fixture
    async def second(self, driver: Driver, open_driver: Callable[[str], Awaitable[Driver]]) -> Driver:
        """Another owner on the store of `driver`."""
        if not self.many_owners:
            pytest.skip(f"{type(self).__name__} does not declare `many_owners`")

        return await open_driver("second")

    async def test_owners_see_the_same_store(self, driver: Driver, second: Driver) -> None:
        """What one commits the other reads, and sequences are unique over both."""
        mine = await driver.commit(create(key("mine")), append(key("mine")))
        theirs = await second.commit(create(key("theirs")), append(key("mine"), b"hello"))
        again = await driver.apply(append(key("theirs")))
        sequences = [outcome.sequence for outcome in (*mine, *theirs, again)]

        assert sequences == sorted(set(sequences))
        assert await driver.inbox(key("mine")) == await second.inbox(key("mine")) == [b"start", b"message", b"hello"]

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

    async def test_nobody_releases_what_another_has(self, driver: Driver, second: Driver) -> None:
        """`release` leaves the instances of others alone."""
        await driver.apply(create(key()))
        await second.backend.release(second.lease, [key()])

        assert list(await second.backend.claim_instances(second.lease)) == []

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

    async def test_owners_hear_of_each_other(self, driver: Driver, second: Driver) -> None:
        """`changes` hints at what others do, sooner or later: a hint may be lost, but not all of them are."""
        await driver.apply(create(key()))
        heard = asyncio.ensure_future(self._first_hint(driver))

        for _ in range(100):
            await second.apply(append(key(), b"hello"))
            await asyncio.wait([heard], timeout=0.05)

            if heard.done():
                break

        heard.cancel()

        assert heard.done(), "no hint of a hundred messages arrived"
        assert await heard == Hint(key())

    async def test_a_single_owner_hears_nothing(self, driver: Driver) -> None:
        """On a backend with one owner `changes` ends at once."""
        if self.many_owners:
            pytest.skip(f"{type(self).__name__} declares `many_owners`")

        async with asyncio.timeout(5):
            assert [hint async for hint in driver.backend.changes()] == []

    async def _first_hint(self, driver: Driver) -> Hint:
        async for hint in driver.backend.changes():
            return hint

        pytest.fail("changes() ended while the backend was open")
