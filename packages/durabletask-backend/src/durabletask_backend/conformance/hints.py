"""Hints: what owners hear of each other. For backends that declare `many_owners`; others hear nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import append, create, key, task, task_key, turn
from durabletask_backend.contract import Hint

COUNTER = key("@Counter@Key")


class HintConformance(ConformanceBase):
    """What the suite promises of `changes`; of a single owner, only that it ends."""

    async def test_owners_hear_of_each_other(self, driver: Driver, second: Driver) -> None:
        """`changes` hints at what others do, sooner or later: a hint may be lost, but not all of them are."""
        await driver.apply(create(key()))

        async def send() -> None:
            await second.apply(append(key(), b"hello"))

        assert await self._hint(driver, send) == Hint(key(), "first", "orchestrate")

    async def test_a_hint_names_the_owner_after_the_change(self, driver: Driver, second: Driver) -> None:
        """Of an entity, too; its name is in lower case."""
        await driver.apply(append(COUNTER))

        async def send() -> None:
            await driver.apply(append(COUNTER))

        assert await self._hint(second, send) == Hint(COUNTER, "first", "counter")

    async def test_a_release_is_told(self, driver: Driver, second: Driver) -> None:
        """The others hear which instances are nobody's, and by name that there are tasks to claim."""
        await driver.commit(create(key()), append(COUNTER))
        await driver.apply(turn(key(), tasks=[task(key())]))

        async def release() -> None:
            await driver.backend.load(driver.lease, [key(), COUNTER])
            await driver.backend.release(driver.lease, [key()])
            await driver.backend.release(driver.lease, [COUNTER])
            await driver.open_tasks()
            await driver.backend.release(driver.lease, tasks=[task_key(key())])

        told = {Hint(key(), None, "orchestrate"), Hint(COUNTER, None, "counter"), Hint(None, None, "act")}

        for hint in told:
            assert await self._hint(second, release, hint) == hint

    async def test_nobody_hears_of_what_it_does_itself(self, driver: Driver, second: Driver) -> None:
        """A hint is for the others."""
        await driver.commit(create(key("mine")))
        await second.commit(create(key("theirs")))

        async def send() -> None:
            await driver.apply(append(key("mine")))
            await second.apply(append(key("theirs")))

        assert (await self._hint(driver, send)).key == key("theirs")
        assert (await self._hint(second, send)).key == key("mine")

    async def test_a_single_owner_hears_nothing(self, driver: Driver) -> None:
        """On a backend with one owner `changes` ends at once."""
        if self.many_owners:
            pytest.skip(f"{type(self).__name__} declares `many_owners`")

        async with asyncio.timeout(5):
            assert [hint async for hint in driver.backend.changes()] == []

    async def test_a_backend_says_whether_it_is_shared(self, driver: Driver) -> None:
        """`shared` is what `many_owners` declares."""
        assert driver.backend.shared is self.many_owners

    async def _hint(
        self,
        listener: Driver,
        change: Callable[[], Awaitable[None]],
        wanted: Hint | None = None,
    ) -> Hint:
        """The first hint, or the first one that is as wanted, while changes are made again and again."""

        async def listen() -> Hint:
            async for hint in listener.backend.changes():
                if wanted in (None, hint):
                    return hint

            pytest.fail("changes() ended while the backend was open")

        heard = asyncio.ensure_future(listen())

        for _ in range(100):
            await change()
            await asyncio.wait([heard], timeout=0.05)

            if heard.done():
                break

        heard.cancel()

        assert heard.done(), "no hint of a hundred changes arrived"

        return await heard
