"""Batches: applied once, in order, whole, whatever their size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    HUB,
    answer,
    append,
    create,
    framed,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.errors import LeaseLostError
from durabletask_backend.mutations import Batch, Code, MarkTasksOut, Mutation, PurgeInstance
from durabletask_backend.values import Lease, RuntimeStatus


class BatchConformance(ConformanceBase):
    """What the suite promises of `commit` and `outcomes`."""

    async def test_an_empty_batch(self, driver: Driver) -> None:
        """A batch of nothing has no outcomes, and is remembered like any other."""
        batch = driver.batch()

        assert list(await driver.backend.commit(batch)) == []
        stored = await driver.backend.outcomes(driver.lease, batch.id)

        assert stored is not None
        assert list(stored) == []

    async def test_a_repeated_batch_is_applied_once(self, driver: Driver) -> None:
        """The last batch, committed again, changes nothing and has the outcomes of the first time."""
        await driver.commit(create(key("parent")), create(key("child")))
        batch = driver.batch(
            append(key("parent"), b"once"),
            append(key("nobody")),
            turn(
                key("parent"),
                history=[b"once"],
                tasks=[task(key("parent"))],
                effects=[create(key("child"), "g2", on_conflict=append(key("parent"), b"taken")), append(key("child"))],
            ),
            PurgeInstance(key=key("child")),
        )
        first = list(await driver.backend.commit(batch))
        before = [await driver.load(key("parent")), await driver.load(key("child"))]
        second = list(await driver.backend.commit(batch))

        assert second == first
        assert [outcome.code for outcome in first] == [Code.APPLIED, Code.MISSING, Code.APPLIED, Code.NOT_TERMINAL]
        assert [await driver.load(key("parent")), await driver.load(key("child"))] == before
        assert await driver.open_task_keys() == [task_key(key("parent"))]

    async def test_the_last_outcomes_can_be_asked_for(self, driver: Driver) -> None:
        """`outcomes` has those of the last batch, with statuses and effects, as `commit` returned them."""
        await driver.commit(create(key("a")), create(key("b")))
        await driver.apply(turn(key("b"), status=RuntimeStatus.FAILED))
        batch = driver.batch(
            append(key("b")),
            create(key("a"), "g2", on_conflict=append(key("b"))),
            turn(key("a"), effects=[append(key("b")), create(key("c")), create(key("b"), "g2")]),
        )
        committed = list(await driver.backend.commit(batch))
        stored = await driver.backend.outcomes(driver.lease, batch.id)

        assert stored is not None
        assert list(stored) == committed
        assert stored[2].effects[0].status is RuntimeStatus.FAILED
        assert [effect.code for effect in stored[2].effects] == [Code.TERMINAL, Code.APPLIED, Code.EXISTS]

    async def test_a_batch_that_never_was_has_no_outcomes(self, driver: Driver) -> None:
        """None for a batch that is not the owner's last one, and before there was any."""
        assert await driver.backend.outcomes(driver.lease, "never") is None

        await driver.apply(create(key()))

        assert await driver.backend.outcomes(driver.lease, "never") is None

    async def test_equal_mutations_in_another_batch_are_another_matter(self, driver: Driver) -> None:
        """Only the batch's id makes it a repeat."""
        await driver.apply(create(key()))
        await driver.apply(append(key(), b"x"))
        await driver.apply(append(key(), b"x"))

        assert await driver.inbox(key()) == [b"start", b"x", b"x"]

    @pytest.mark.parametrize("change", ["epoch", "owner"])
    async def test_a_batch_under_another_lease_is_refused_whole(self, driver: Driver, change: str) -> None:
        """LeaseLostError for a lease that is not the owner's current one; nothing is applied or remembered."""
        lease = driver.lease
        lost = (
            replace(lease, epoch=lease.epoch - 1) if change == "epoch" else Lease(owner="stranger", epoch=lease.epoch)
        )

        with pytest.raises(LeaseLostError):
            await driver.backend.commit(Batch(id="refused", lease=lost, mutations=[create(key())]))

        assert await driver.find(key()) is None
        assert await driver.backend.outcomes(driver.lease, "refused") is None
        assert (await driver.apply(create(key()))).code is Code.APPLIED

    async def test_mutations_see_the_ones_before_them(self, driver: Driver) -> None:
        """A batch is applied in its order: an instance's whole life fits in one, and each step meets the last."""
        of = key()
        outcomes = await driver.commit(
            append(of),
            create(of),
            create(of, "g2"),
            turn(of, 0, tasks=[task(of)]),
            MarkTasksOut(tasks=(task_key(of),)),
            answer(of),
            answer(of),
            turn(of, 1, status=RuntimeStatus.COMPLETED),
            append(of),
            turn(of, 1),
            create(of, "g2", replace=[RuntimeStatus.COMPLETED]),
            PurgeInstance(key=of),
            turn(of, 0, "g2", status=RuntimeStatus.FAILED),
            PurgeInstance(key=of),
            PurgeInstance(key=of),
            create(of, "g3", start=b"last"),
        )

        assert [outcome.code for outcome in outcomes] == [
            Code.MISSING,
            Code.APPLIED,
            Code.EXISTS,
            Code.APPLIED,
            Code.APPLIED,
            Code.APPLIED,
            Code.MISSING,
            Code.APPLIED,
            Code.TERMINAL,
            Code.STALE,
            Code.REPLACED,
            Code.NOT_TERMINAL,
            Code.APPLIED,
            Code.APPLIED,
            Code.MISSING,
            Code.APPLIED,
        ]
        loaded = await driver.load(of)

        assert (loaded.instance.execution_id, loaded.instance.turn) == ("g3", 0)
        assert (loaded.history, [message.payload for message in loaded.inbox]) == (b"", [b"last"])
        assert await driver.open_task_keys() == []

    async def test_five_thousand_mutations(self, driver: Driver) -> None:
        """A batch may be large, of many kinds and over many instances."""
        names = [f"n{number:04}" for number in range(1000)]
        mutations: list[Mutation] = []

        for name in names:
            of = key(name)
            mutations += [create(of), append(of, b"event"), append(key("nobody"))]

        created = await driver.commit(*mutations, *(append(key(name)) for name in names for _ in range(2)))

        assert len(created) == 5000
        assert [outcome.code for outcome in created[:3]] == [Code.APPLIED, Code.APPLIED, Code.MISSING]

        turned = await driver.commit(
            *(turn(key(name), history=[b"e"], tasks=[task(key(name))]) for name in names),
            *(answer(key(name)) for name in names[:-1]),
            *(turn(key(name), 1, status=RuntimeStatus.COMPLETED) for name in names),
            *(PurgeInstance(key=key(name)) for name in names[:-1]),
            *(create(key(name), "g2") for name in names[:-1]),
            *(append(key("nobody")) for _ in range(3)),
        )

        assert len(turned) == 5000
        assert {outcome.code for outcome in turned[:-3]} == {Code.APPLIED}
        assert len(await driver.query_ids(HUB)) == len(names)
        assert await driver.open_task_keys() == [task_key(key(names[-1]))]
        assert (await driver.record(key(names[0]))).execution_id == "g2"

    async def test_a_turn_of_twenty_thousand_events(self, driver: Driver) -> None:
        """A turn may be long: events, tasks and consumed messages by the thousand."""
        count = 20_000
        events = [b"event %d" % number for number in range(count)]
        started, *sent = await driver.commit(create(key()), *(append(key(), b"m") for _ in range(5000)))
        await driver.apply(
            turn(
                key(),
                history=events,
                consumed=[started.sequence, *(outcome.sequence for outcome in sent)],
                tasks=[task(key(), number) for number in range(1000)],
            )
        )
        await driver.apply(turn(key(), 1, history=[b"one more"], history_first=count))
        loaded = await driver.load(key())
        chunks = await driver.history(key(), after=count)

        assert loaded.history_count == count + 1
        assert loaded.history == b"".join(map(framed, [*events, b"one more"]))
        assert loaded.inbox == ()
        assert chunks[-1].first + chunks[-1].length == count + 1
        assert len(await driver.backend.claim_tasks(driver.lease, limit=2000)) == 1000
