"""Loading: instances with history and inbox, and histories on their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import HUB, append, create, framed, generation, key, turn
from durabletask_backend.errors import LeaseLostError
from durabletask_backend.values import HistoryChunk, InstanceFilter, LoadedInstance

TURNS = [[b"a", b"b", b"c"], [b"d"], [b"e" * 300, b"", b"g"], [b"h"]]
"""The events of four turns."""
EVENTS = [event for events in TURNS for event in events]


class LoadingConformance(ConformanceBase):
    """What the suite promises of `load` and `history`."""

    async def test_nothing_to_load(self, driver: Driver) -> None:
        """What does not exist is left out, and asking for nothing gives nothing."""
        await driver.apply(create(key()))

        assert await driver.backend.load(driver.lease, []) == {}
        assert await driver.backend.load(driver.lease, [key("nobody"), key("i", "nowhere"), key("@no@body")]) == {}
        assert set(await driver.backend.load(driver.lease, [key("nobody"), key()])) == {key()}

    async def test_nothing_is_loaded_under_another_lease(self, driver: Driver) -> None:
        """LeaseLostError for a lease that is not the owner's current one, for to load is to become the owner."""
        await driver.apply(create(key()))

        with pytest.raises(LeaseLostError):
            await driver.backend.load(replace(driver.lease, epoch=driver.lease.epoch - 1), [key()])

    async def test_each_gets_its_own(self, driver: Driver) -> None:
        """Of many instances loaded at once each has its own record, history and inbox."""
        names = [f"{number:03}" for number in range(300)]
        await driver.commit(*(create(key(name), input=name) for name in names))
        await driver.commit(
            *(turn(key(name), history=[name.encode(), b"second"]) for name in names),
            *(append(key(name), name.encode()) for name in names),
        )
        loaded = await driver.backend.load(driver.lease, [key(name) for name in names])

        assert len(loaded) == len(names)

        for name in names:
            one = loaded[key(name)]

            assert isinstance(one, LoadedInstance)
            assert (one.instance.key, one.instance.input, one.instance.turn) == (key(name), name, 1)
            assert one.history == framed(name.encode()) + framed(b"second")
            assert one.history_count == 2
            assert [message.payload for message in one.inbox] == [b"start", name.encode()]

    async def test_a_record_is_the_same_to_every_reader(self, driver: Driver) -> None:
        """`load`, `get` and `query` agree."""
        await driver.apply(create(key(), input="in"))
        await driver.apply(turn(key(), output="out"))
        loaded = (await driver.load(key())).instance
        page = await driver.backend.query(HUB, InstanceFilter(), payloads=True)

        assert await driver.backend.get(key()) == loaded
        assert page.instances == (loaded,)

    async def test_loading_changes_nothing(self, driver: Driver) -> None:
        """Loading twice gives the same."""
        await self._with_history(driver)

        assert await driver.load(key()) == await driver.load(key())

    async def test_a_history_is_the_turns_events_in_order(self, driver: Driver) -> None:
        """The chunks of a history join without a gap, say where they begin, and are what `load` has."""
        await self._with_history(driver)
        chunks = await driver.history(key())
        loaded = await driver.load(key())

        assert b"".join(chunk.events for chunk in chunks) == b"".join(map(framed, EVENTS)) == loaded.history
        assert loaded.history_count == len(EVENTS)
        self._are_whole(chunks, first=0)

    async def test_a_history_may_be_read_from_the_middle(self, driver: Driver) -> None:
        """`after` begins at that event, or before it at the beginning of the chunk that has it."""
        await self._with_history(driver)

        for after in range(len(EVENTS)):
            chunks = await driver.history(key(), after=after)

            assert chunks[0].first <= after < chunks[0].first + chunks[0].length, f"after={after}: {chunks[0]}"
            self._are_whole(chunks, first=chunks[0].first)

    async def test_a_history_has_an_end(self, driver: Driver) -> None:
        """Nothing is yielded from behind the last event."""
        await self._with_history(driver)

        assert await driver.history(key(), after=len(EVENTS)) == []
        assert await driver.history(key(), after=len(EVENTS) + 100) == []

    async def test_only_the_generation_that_is_asked_for(self, driver: Driver) -> None:
        """Nothing is yielded for another generation than the live one, and nothing for no instance."""
        await self._with_history(driver)

        assert await driver.history(key(), execution_id="g1") == await driver.history(key())
        assert await driver.history(key(), execution_id="g2") == []
        assert await driver.history(key("nobody")) == []

        await driver.apply(turn(key(), len(TURNS), generation=generation("g2")))
        await driver.apply(turn(key(), len(TURNS) + 1, "g2", history=[b"new"]))

        assert await driver.history(key(), execution_id="g1") == []
        assert await driver.history(key(), execution_id="g2") == [HistoryChunk(0, 1, framed(b"new"))]

    async def test_a_reader_may_stop_early(self, driver: Driver) -> None:
        """A history that is not read to its end holds nothing up."""
        await self._with_history(driver)
        chunks = driver.backend.history(key())

        async for chunk in chunks:
            assert chunk.first == 0
            break

        await driver.apply(turn(key(), len(TURNS), history=[b"more"], history_first=len(EVENTS)))

        assert (await driver.load(key())).history_count == len(EVENTS) + 1

    async def _with_history(self, driver: Driver) -> None:
        await driver.apply(create(key()))
        first = 0

        for number, events in enumerate(TURNS):
            await driver.apply(turn(key(), number, history=events, history_first=first))
            first += len(events)

    def _are_whole(self, chunks: list[HistoryChunk], *, first: int) -> None:
        for chunk in chunks:
            assert chunk.first == first, "a chunk begins where the one before it ended"
            assert chunk.events == b"".join(map(framed, EVENTS[first : first + chunk.length]))
            first += chunk.length

        assert first == len(EVENTS)
