"""Rewinding: failed instances go on from before they did, several at a time, all or none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    LATER,
    append,
    create,
    framed,
    generation,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.mutations import Code, CompleteTurn, RewindInstances
from durabletask_backend.values import HistoryChunk, InstanceKey, RuntimeStatus

PARENT = key("parent")
CHILD = key("child")


def rewind(*turns: CompleteTurn) -> RewindInstances:
    """Let these turns rewind their instances."""
    return RewindInstances(turns=turns)


class RewindingConformance(ConformanceBase):
    """What the suite promises of RewindInstances."""

    async def test_a_failed_instance_goes_on(self, driver: Driver) -> None:
        """APPLIED: the record is that of a running one again, and all that started with it is kept."""
        await self._failed(driver, PARENT)
        before = await driver.record(PARENT)
        outcome = await driver.apply(rewind(turn(PARENT, 2, at=LATER)))

        assert outcome.code is Code.APPLIED
        assert [each.code for each in outcome.effects] == [Code.APPLIED]
        assert await driver.record(PARENT) == replace(
            before, status=RuntimeStatus.RUNNING, updated_at=LATER, completed_at=None, output=None, turn=3
        )

    async def test_its_history_is_the_one_it_is_given(self, driver: Driver) -> None:
        """Nothing of the old one is left, whether the new one is shorter or longer, and turns append to it."""
        await self._failed(driver, PARENT)
        await driver.apply(rewind(turn(PARENT, 2, history=[b"kept", b"new"])))

        assert (await driver.load(PARENT)).history == framed(b"kept") + framed(b"new")
        assert await driver.history(PARENT) == [HistoryChunk(0, 2, framed(b"kept") + framed(b"new"))]

        await driver.apply(turn(PARENT, 3, history=[b"more"], history_first=2))
        loaded = await driver.load(PARENT)

        assert loaded.history == b"".join(map(framed, [b"kept", b"new", b"more"]))
        assert loaded.history_count == 3

    async def test_it_may_begin_a_generation(self, driver: Driver) -> None:
        """The history that is given is then that of the new generation."""
        await self._failed(driver, PARENT)
        await driver.apply(rewind(turn(PARENT, 2, history=[b"kept"], generation=generation("g2", input="in"))))
        loaded = await driver.load(PARENT)

        assert (loaded.instance.execution_id, loaded.instance.input) == ("g2", "in")
        assert (loaded.history, loaded.history_count) == (framed(b"kept"), 1)
        assert await driver.history(PARENT, execution_id="g1") == []
        assert await driver.history(PARENT, execution_id="g2") == [HistoryChunk(0, 1, framed(b"kept"))]

    async def test_its_work_is_scheduled_again(self, driver: Driver) -> None:
        """Tasks under the keys of old, messages and children of the turn are as those of any turn."""
        await self._failed(driver, PARENT)
        outcome = await driver.apply(
            rewind(
                turn(
                    PARENT,
                    2,
                    tasks=[task(PARENT, 1)],
                    effects=[append(PARENT, b"wake"), append(PARENT, b"timer", due_at=LATER), create(CHILD)],
                )
            )
        )

        assert [effect.code for effect in outcome.effects[0].effects] == [Code.APPLIED] * 3
        assert await driver.open_task_keys() == [task_key(PARENT, 1)]
        assert await driver.inbox(PARENT) == [b"wake", b"timer"]
        assert await driver.inbox(CHILD) == [b"start"]

    async def test_a_parent_and_its_child_go_on_together(self, driver: Driver) -> None:
        """Each turn has its outcome, in order; effects meet the instances that were rewound before."""
        await self._failed(driver, PARENT, CHILD)
        outcome = await driver.apply(
            rewind(turn(CHILD, 2, history=[b"c"]), turn(PARENT, 2, history=[b"p"], effects=[append(CHILD, b"hello")]))
        )

        assert outcome.code is Code.APPLIED
        assert [each.code for each in outcome.effects] == [Code.APPLIED, Code.APPLIED]
        assert [effect.code for effect in outcome.effects[1].effects] == [Code.APPLIED]
        assert await driver.inbox(CHILD) == [b"hello"]
        assert ((await driver.load(PARENT)).history, (await driver.load(CHILD)).history) == (framed(b"p"), framed(b"c"))

    @pytest.mark.parametrize(
        "why", ["gone", "running", "completed", "terminated", "another generation", "another turn"]
    )
    async def test_all_or_none(self, driver: Driver, why: str) -> None:
        """STALE when one of them is not as it was: nothing changes, also of those before and behind it."""
        await self._failed(driver, PARENT, CHILD)
        other = key("other")
        statuses = {
            "running": RuntimeStatus.RUNNING,
            "completed": RuntimeStatus.COMPLETED,
            "terminated": RuntimeStatus.TERMINATED,
        }

        if why != "gone":
            await driver.apply(create(other))
            await driver.apply(turn(other, status=statuses.get(why, RuntimeStatus.FAILED)))

        stale = turn(
            other, 0 if why == "another turn" else 1, "g0" if why == "another generation" else "g1", history=[b"x"]
        )
        before = [await driver.find(of) for of in (PARENT, CHILD, other)]
        outcome, beside = await driver.commit(
            rewind(turn(PARENT, 2, effects=[append(PARENT)]), stale, turn(CHILD, 2)), append(key("@beside@a"))
        )

        assert (outcome.code, outcome.effects) == (Code.STALE, ())
        assert beside.code is Code.APPLIED
        assert [await driver.find(of) for of in (PARENT, CHILD, other)] == before

    async def test_an_instance_is_rewound_once(self, driver: Driver) -> None:
        """STALE for the second of two, in one batch or in one mutation."""
        await self._failed(driver, PARENT, CHILD)
        *twice, first, second = await driver.commit(
            rewind(turn(PARENT, 2), turn(PARENT, 2)),
            rewind(turn(PARENT, 2), turn(CHILD, 2), turn(PARENT, 3)),
            rewind(turn(PARENT, 2)),
            rewind(turn(PARENT, 2)),
        )

        assert [outcome.code for outcome in twice] == [Code.STALE, Code.STALE]
        assert [first.code, second.code] == [Code.APPLIED, Code.STALE]
        assert (await driver.record(CHILD)).status is RuntimeStatus.FAILED
        assert (await driver.record(PARENT)).turn == 3

    async def test_failing_rewinding_and_failing_again_in_one_batch(self, driver: Driver) -> None:
        """Each meets what the one before it left, of an instance that was there and of one that was not."""
        await driver.apply(create(PARENT))
        await driver.apply(turn(PARENT, history=[b"old"], tasks=[task(PARENT, 1)]))
        outcomes = await driver.commit(
            create(CHILD),
            turn(CHILD, history=[b"old"], tasks=[task(CHILD, 1)]),
            *(
                mutation
                for of in (PARENT, CHILD)
                for mutation in (
                    turn(of, 1, status=RuntimeStatus.FAILED, history=[b"failed"], history_first=1),
                    rewind(turn(of, 2, history=[b"kept"], tasks=[task(of, 1)], effects=[append(of, b"wake")])),
                    turn(of, 3, history=[b"more"], history_first=1),
                )
            ),
        )

        assert {outcome.code for outcome in outcomes} == {Code.APPLIED}

        for of in (PARENT, CHILD):
            loaded = await driver.load(of)

            assert loaded.history == framed(b"kept") + framed(b"more")
            assert (loaded.instance.status, loaded.instance.turn) == (RuntimeStatus.RUNNING, 4)
            assert [message.payload for message in loaded.inbox] == [b"wake"]

        assert await driver.open_task_keys() == [task_key(CHILD, 1), task_key(PARENT, 1)]

    async def test_nothing_to_rewind(self, driver: Driver) -> None:
        """APPLIED, with no outcomes, for no turns."""
        outcome = await driver.apply(rewind())

        assert (outcome.code, outcome.effects) == (Code.APPLIED, ())

    async def _failed(self, driver: Driver, *keys: InstanceKey) -> None:
        await driver.commit(*(create(of, input="in") for of in keys))
        await driver.commit(*(turn(of, history=[b"one", b"two"], tasks=[task(of, 1)]) for of in keys))
        await driver.commit(
            *(turn(of, 1, status=RuntimeStatus.FAILED, history=[b"three"], history_first=2, output="no") for of in keys)
        )
