"""Durability: what was committed is there when the store is opened again. For backends that declare `durable`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    HUB,
    LATER,
    answer,
    append,
    create,
    entity_lock,
    entity_turn,
    full_instance,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.errors import LeaseLostError
from durabletask_backend.mutations import Code, CreateInstance, MarkTasksOut, PurgeEntity, PurgeInstance
from durabletask_backend.values import Hub, RuntimeStatus


class DurabilityConformance(ConformanceBase):
    """What the suite promises of closing a backend and opening its store again."""

    @pytest.fixture
    def reopen(
        self, driver: Driver, open_driver: Callable[[str], Awaitable[Driver]]
    ) -> Callable[[str], Awaitable[Driver]]:
        """Closes the first owner's backend, and opens the store again under this name."""
        if not self.durable:
            pytest.skip(f"{type(self).__name__} does not declare `durable`")

        async def reopen(owner: str) -> Driver:
            await driver.backend.close()

            return await open_driver(owner)

        return reopen

    async def test_everything_is_there(self, driver: Driver, reopen: Callable[[str], Awaitable[Driver]]) -> None:
        """Hubs, records, histories, inboxes, delayed messages, open tasks and entities outlive their backend."""
        a, b = key("a"), key("b")
        await driver.commit(CreateInstance(instance=full_instance(a), start=b"go", due_at=LATER), create(b))
        await driver.commit(
            append(a, bytes(range(256))),
            append(a, b"front", front=True),
            turn(a, history=[b"one"], tasks=[task(a, 1), task(a, 2)], output="out", effects=[append(b, due_at=LATER)]),
            turn(b, status=RuntimeStatus.COMPLETED),
            MarkTasksOut(tasks=(task_key(a, 2),)),
        )
        await driver.apply(turn(a, 1, history=[b"two"], history_first=1))
        counter = key("@counter@a")
        await driver.commit(append(counter), append(counter, due_at=LATER + 1))
        await driver.apply(entity_turn(counter, state="state", lock=entity_lock()))
        before = [await driver.load(a), await driver.load(b), await driver.load_entity(counter)]
        due, tasks, history = await driver.due(), await driver.open_tasks(), await driver.history(a)
        again = await reopen("second")

        assert await again.backend.get_hub(HUB) == Hub(name=HUB, secret=b"secret")
        assert [await again.load(a), await again.load(b), await again.load_entity(counter)] == before
        assert await again.due() == due
        assert await again.open_tasks() == tasks
        assert await again.history(a) == history
        assert await again.query_ids(HUB) == ["b", "a"]
        assert list(await again.backend.claim_instances(again.lease)) == [counter, a]

    async def test_what_is_gone_stays_gone(self, driver: Driver, reopen: Callable[[str], Awaitable[Driver]]) -> None:
        """Purged instances and entities, answered tasks, consumed messages and deleted hubs do not come back."""
        await driver.backend.create_hub("deleted", b"secret")
        await driver.commit(append(key("@e@1")), append(key("@e@1", "deleted")))
        await driver.apply(PurgeEntity(key=key("@e@1")))
        started, *_ = await driver.commit(create(key("a")), create(key("b")), create(key("c", "deleted")))
        await driver.commit(
            turn(key("a"), consumed=[started.sequence], tasks=[task(key("a"))]),
            turn(key("b"), status=RuntimeStatus.COMPLETED),
        )
        await driver.commit(answer(key("a")), PurgeInstance(key=key("b")))
        await driver.backend.delete_hub("deleted")
        again = await reopen("second")

        assert await again.inbox(key("a")) == [b"answer"]
        assert await again.find(key("b")) is None
        assert await again.open_task_keys() == []
        assert await again.backend.get_hub("deleted") is None
        assert await again.find(key("c", "deleted")) is None
        assert await again.find_entity(key("@e@1")) is None
        assert await again.find_entity(key("@e@1", "deleted")) is None

    async def test_turns_go_on(self, driver: Driver, reopen: Callable[[str], Awaitable[Driver]]) -> None:
        """The next owner takes the next turn, and the same turn again is STALE."""
        await driver.apply(create(key()))
        await driver.apply(turn(key()))
        again = await reopen("second")

        assert (await again.apply(turn(key()))).code is Code.STALE
        assert (await again.apply(turn(key(), 1))).code is Code.APPLIED

    async def test_sequences_are_never_used_again(
        self, driver: Driver, reopen: Callable[[str], Awaitable[Driver]]
    ) -> None:
        """They go on rising, though no message is left in the store."""
        started, sent = await driver.commit(create(key()), append(key()))
        await driver.apply(turn(key(), consumed=[started.sequence, sent.sequence]))
        again = await reopen("second")

        assert (await again.apply(append(key()))).sequence > sent.sequence

    async def test_a_lease_ends_with_its_backend(
        self, driver: Driver, reopen: Callable[[str], Awaitable[Driver]]
    ) -> None:
        """The same name again has a higher epoch, and a batch of the old one is refused."""
        again = await reopen(driver.lease.owner)

        assert again.lease.owner == driver.lease.owner
        assert again.lease.epoch > driver.lease.epoch

        with pytest.raises(LeaseLostError):
            await again.backend.commit(driver.batch(create(key())))

        assert await again.find(key()) is None

    async def test_the_last_batch_is_remembered(
        self, driver: Driver, reopen: Callable[[str], Awaitable[Driver]]
    ) -> None:
        """What became of an owner's last batch can be asked when its name opens the store again."""
        batch = driver.batch(create(key()), append(key("nobody")))
        committed = list(await driver.backend.commit(batch))
        again = await reopen(driver.lease.owner)
        stored = await again.backend.outcomes(again.lease, batch.id)

        assert stored is not None
        assert list(stored) == committed

    async def test_closing_twice_is_safe(self, driver: Driver, reopen: Callable[[str], Awaitable[Driver]]) -> None:
        """`close` may be called again, before and after the store is opened by another."""
        await driver.backend.close()
        again = await reopen("second")
        await driver.backend.close()

        assert (await again.apply(create(key()))).code is Code.APPLIED
