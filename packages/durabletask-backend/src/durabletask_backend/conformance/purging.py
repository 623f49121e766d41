"""Purging: only what has ended, and all of it."""

from __future__ import annotations

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import HUB, answer, create, framed, key, task, turn
from durabletask_backend.mutations import Code, PurgeInstance
from durabletask_backend.values import TERMINAL_STATUSES, InstanceKey, RuntimeStatus


class PurgingConformance(ConformanceBase):
    """What the suite promises of PurgeInstance."""

    @pytest.mark.parametrize("status", sorted(TERMINAL_STATUSES))
    async def test_an_ended_instance_leaves_nothing(self, driver: Driver, status: RuntimeStatus) -> None:
        """APPLIED: record, history and tasks are gone, from every reader."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), history=[b"one"], tasks=[task(key())]))
        await driver.apply(turn(key(), 1, status=status))
        outcome = await driver.apply(PurgeInstance(key=key()))

        assert outcome.code is Code.APPLIED
        assert await driver.find(key()) is None
        assert await driver.backend.get(key()) is None
        assert await driver.history(key()) == []
        assert await driver.open_task_keys() == []
        assert await driver.query_ids(HUB) == []

    async def test_a_purge_takes_only_its_instance(self, driver: Driver) -> None:
        """Other instances stay, children among them, and ids that look alike."""
        await driver.commit(create(key("a")), create(key("a%")), create(key("A")), create(key("child"), parent_id="a"))
        await driver.apply(turn(key("a"), status=RuntimeStatus.COMPLETED))
        await driver.apply(PurgeInstance(key=key("a")))

        assert sorted(await driver.query_ids(HUB)) == ["A", "a%", "child"]
        assert await driver.backend.children(key("a")) == [key("child")]

    async def test_nothing_to_purge(self, driver: Driver) -> None:
        """MISSING for an instance that does not exist, or that the batch has purged already."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), status=RuntimeStatus.COMPLETED))
        outcomes = await driver.commit(*(PurgeInstance(key=of) for of in (key("nobody"), key(), key())))

        assert [outcome.code for outcome in outcomes] == [Code.MISSING, Code.APPLIED, Code.MISSING]

    @pytest.mark.parametrize("status", [RuntimeStatus.PENDING, RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED])
    async def test_a_living_instance_is_not_purged(self, driver: Driver, status: RuntimeStatus) -> None:
        """NOT_TERMINAL with the status, and nothing changes."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), status=status))
        before = await driver.load(key())
        outcome = await driver.apply(PurgeInstance(key=key()))

        assert (outcome.code, outcome.status) == (Code.NOT_TERMINAL, status)
        assert await driver.load(key()) == before

    async def test_an_instance_created_after_a_purge_is_new(self, driver: Driver) -> None:
        """The id is free again, in the same batch or later, even for the same generation's name."""

        async def end_and_purge(of: InstanceKey) -> None:
            await driver.commit(
                turn(of, history=[b"old"], tasks=[task(of)]), turn(of, 1, status=RuntimeStatus.COMPLETED)
            )

        await driver.commit(create(key("a"), input="old"), create(key("b"), input="old"))
        await end_and_purge(key("a"))
        await end_and_purge(key("b"))
        outcomes = await driver.commit(
            PurgeInstance(key=key("a")), create(key("a"), start=b"new"), PurgeInstance(key=key("b"))
        )
        outcomes += await driver.commit(create(key("b"), start=b"new"))

        assert [outcome.code for outcome in outcomes] == [Code.APPLIED] * 4

        for of in (key("a"), key("b")):
            loaded = await driver.load(of)

            assert (loaded.instance.input, loaded.instance.turn, loaded.history) == (None, 0, b"")
            assert [message.payload for message in loaded.inbox] == [b"new"]
            assert (await driver.apply(answer(of))).code is Code.MISSING

            await driver.apply(turn(of, history=[b"first"]))

            assert (await driver.load(of)).history == framed(b"first")

    async def test_an_instance_that_lives_and_dies_in_one_batch(self, driver: Driver) -> None:
        """Created, ended and purged within a batch, an instance leaves nothing."""
        outcomes = await driver.commit(
            create(key()),
            turn(key(), history=[b"x"], status=RuntimeStatus.COMPLETED, tasks=[task(key())]),
            PurgeInstance(key=key()),
        )

        assert [outcome.code for outcome in outcomes] == [Code.APPLIED] * 3
        assert await driver.find(key()) is None
        assert await driver.open_task_keys() == []
