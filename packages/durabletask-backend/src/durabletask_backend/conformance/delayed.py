"""Delayed messages: found in order of their due times, and only while they wait."""

from __future__ import annotations

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    HUB,
    LATER,
    OTHER_HUB,
    append,
    create,
    generation,
    key,
    turn,
)
from durabletask_backend.mutations import PurgeInstance
from durabletask_backend.values import DueMessage, RuntimeStatus


class DelayedConformance(ConformanceBase):
    """What the suite promises of `due`, and of delayed messages in `load`."""

    async def test_the_next_come_first(self, driver: Driver) -> None:
        """Sorted by due time, then sequence, over all instances and hubs; those without a due time are left out."""
        await driver.backend.create_hub(OTHER_HUB, b"other")
        a, b = key("a"), key("b", OTHER_HUB)
        await driver.commit(create(a), create(b, due_at=LATER + 2))
        sent = await driver.commit(
            append(a, due_at=LATER + 3),
            append(b, due_at=LATER + 1),
            append(a, due_at=LATER + 1),
            append(a),
            append(b, due_at=0),
        )
        due = await driver.due()

        assert [(message.due_at, message.key) for message in due] == [
            (0, b),
            (LATER + 1, b),
            (LATER + 1, a),
            (LATER + 2, b),
            (LATER + 3, a),
        ]
        assert due[1] == DueMessage(LATER + 1, sent[1].sequence, b)
        assert due[2] == DueMessage(LATER + 1, sent[2].sequence, a)

    async def test_pages_neither_skip_nor_repeat(self, driver: Driver) -> None:
        """Paging with `after` meets each message once, also among equal due times."""
        await driver.apply(create(key()))
        await driver.commit(*(append(key(), due_at=LATER + number // 4) for number in range(10)))
        whole = await driver.due()
        paged: list[DueMessage] = []

        while page := await driver.due(after=paged[-1] if paged else None, limit=3):
            assert len(page) <= 3
            paged += page

        assert len(whole) == 10
        assert paged == whole
        assert await driver.due(limit=4) == whole[:4]

    async def test_a_cursor_outlives_its_message(self, driver: Driver) -> None:
        """A page starts behind `after` whether that message is still there, and new ones behind it are found."""
        _, *sent = await driver.commit(create(key()), *(append(key(), due_at=LATER + number) for number in range(3)))
        first = (await driver.due(limit=1))[0]
        await driver.commit(turn(key(), consumed=[sent[0].sequence]), append(key(), due_at=LATER + 1))

        assert [message.due_at - LATER for message in await driver.due(after=first)] == [1, 1, 2]
        assert await driver.due(after=(await driver.due())[-1]) == []

    async def test_delayed_messages_are_loaded_with_the_others(self, driver: Driver) -> None:
        """`load` has them whenever they are due, where they stand in the order of delivery."""
        await driver.apply(create(key()))
        await driver.commit(
            append(key(), b"front", due_at=LATER, front=True), append(key(), b"early", due_at=1), append(key(), b"now")
        )
        loaded = await driver.load(key())

        assert [message.payload for message in loaded.inbox] == [b"start", b"front", b"early", b"now"]
        assert [message.due_at for message in loaded.inbox] == [None, LATER, 1, None]
        assert len(await driver.due()) == 2

    async def test_a_message_waits_until_it_is_consumed(self, driver: Driver) -> None:
        """Firing writes nothing: a message leaves `due` with the turn that takes it."""
        _, sent = await driver.commit(create(key()), append(key(), due_at=LATER))

        assert [message.sequence for message in await driver.due()] == [sent.sequence]

        await driver.apply(turn(key(), consumed=[sent.sequence]))

        assert await driver.due() == []

    async def test_delayed_messages_alone_are_no_reason_to_claim(self, driver: Driver) -> None:
        """claim_instances asks for messages to deliver at once; for delayed ones there is `due`."""
        await driver.commit(create(key("later"), due_at=0), create(key("now")))

        assert list(await driver.backend.claim_instances(driver.lease)) == [key("now")]

    async def test_delayed_messages_go_with_what_they_are_for(self, driver: Driver) -> None:
        """The end of an instance, of a generation or of a hub takes its delayed messages along."""
        ended, renewed, replaced, purged = key("ended"), key("renewed"), key("replaced"), key("purged")
        await driver.backend.create_hub(OTHER_HUB, b"other")
        everyone = (ended, renewed, replaced, purged, key("deleted", OTHER_HUB))
        await driver.commit(*map(create, everyone))
        await driver.commit(*(append(of, execution_id="g1", due_at=LATER) for of in everyone))

        assert {message.key for message in await driver.due()} == set(everyone)

        await driver.commit(
            turn(ended, status=RuntimeStatus.FAILED),
            turn(renewed, generation=generation()),
            create(replaced, "g2", replace=[RuntimeStatus.PENDING]),
            turn(purged, status=RuntimeStatus.COMPLETED),
            PurgeInstance(key=purged),
        )
        await driver.backend.delete_hub(OTHER_HUB)

        assert await driver.due() == []
        assert await driver.query_ids(HUB) == ["ended", "renewed", "replaced"]
