"""Entities: how they come to be, their turns, and their end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    LATER,
    ODD_IDS,
    append,
    create,
    entity_lock,
    entity_turn,
    key,
    turn,
)
from durabletask_backend.mutations import Code, PurgeEntity
from durabletask_backend.values import DueMessage, Entity, Message, RuntimeStatus

COUNTER = key("@counter@a")


class EntityConformance(ConformanceBase):
    """What the suite promises of messages to entities, CompleteEntityTurn and PurgeEntity."""

    async def test_an_entity_comes_to_be_with_its_first_message(self, driver: Driver) -> None:
        """APPLIED: it has nothing but its inbox, and is dated from what the message says."""
        assert await driver.find_entity(COUNTER) is None

        first, second = await driver.commit(
            append(COUNTER, bytes(range(256)), at=LATER), append(COUNTER, b"two", at=LATER + 1)
        )
        loaded = await driver.load_entity(COUNTER)

        assert (first.code, second.code) == (Code.APPLIED, Code.APPLIED)
        assert replace(loaded.entity, backlog=0) == Entity(key=COUNTER, modified_at=LATER)
        assert loaded.inbox == (
            Message(sequence=first.sequence, payload=bytes(range(256))),
            Message(sequence=second.sequence, payload=b"two"),
        )

    async def test_odd_entity_ids_are_kept(self, driver: Driver) -> None:
        """Any text behind the first character, compared exactly."""
        keys = [key(f"@{odd}") for odd in ODD_IDS]
        await driver.commit(*(append(of, of.instance_id.encode()) for of in keys))
        await driver.commit(*(entity_turn(of, state=of.instance_id) for of in keys))

        for of in keys:
            loaded = await driver.load_entity(of)

            assert (loaded.entity.key, loaded.entity.state) == (of, of.instance_id)
            assert await driver.inbox(of) == [of.instance_id.encode()]

    async def test_messages_to_an_entity_are_delivered_in_order(self, driver: Driver) -> None:
        """As those to an instance: front ones first, then by sequence, the delayed ones where they stand."""
        await driver.commit(append(COUNTER, b"1"), append(COUNTER, b"2", due_at=LATER))
        await driver.commit(append(COUNTER, b"3"), append(COUNTER, b"0", front=True))

        assert await driver.inbox(COUNTER) == [b"0", b"1", b"2", b"3"]

    async def test_a_turn_sets_the_whole_record(self, driver: Driver) -> None:
        """APPLIED: state, lock and time are what the turn says, the count is one more, the rest of the inbox stays."""
        taken, _ = await driver.commit(append(COUNTER, b"taken"), append(COUNTER, b"left"))
        outcome = await driver.apply(
            entity_turn(COUNTER, state='"é"', lock=entity_lock(), at=LATER, consumed=[taken.sequence])
        )
        loaded = await driver.load_entity(COUNTER)

        assert (outcome.code, outcome.effects) == (Code.APPLIED, ())
        assert loaded.entity == Entity(
            key=COUNTER,
            state='"é"',
            has_state=True,
            modified_at=LATER,
            lock=entity_lock(),
            turn=1,
            backlog=loaded.entity.backlog,
        )
        assert await driver.inbox(COUNTER) == [b"left"]

        await driver.apply(entity_turn(COUNTER, 1, at=LATER + 1))
        bare = (await driver.load_entity(COUNTER)).entity

        assert (bare.state, bare.has_state, bare.lock, bare.turn) == (None, False, None, 2)

    async def test_an_empty_state_is_a_state(self, driver: Driver) -> None:
        """The empty string is told from none."""
        await driver.apply(append(COUNTER))
        await driver.apply(entity_turn(COUNTER, state=""))
        found = (await driver.load_entity(COUNTER)).entity

        assert (found.state, found.has_state) == ("", True)

    async def test_a_large_state_is_kept(self, driver: Driver) -> None:
        """Five MiB of it, and the next state in its place."""
        large = "é" * (5 << 19)
        await driver.apply(append(COUNTER))
        await driver.apply(entity_turn(COUNTER, state=large))

        assert (await driver.load_entity(COUNTER)).entity.state == large

        await driver.apply(entity_turn(COUNTER, 1, state="small"))

        assert (await driver.load_entity(COUNTER)).entity.state == "small"

    async def test_a_turn_on_another_count_is_stale(self, driver: Driver) -> None:
        """STALE for a turn that was decided before the last one, or on an entity that is gone; nothing changes."""
        sent = await driver.apply(append(COUNTER))
        await driver.apply(entity_turn(COUNTER, state="kept"))
        before = await driver.load_entity(COUNTER)
        outcomes = await driver.commit(
            entity_turn(COUNTER, 0, state="lost", consumed=[sent.sequence], effects=[append(key("@other@a"))]),
            entity_turn(COUNTER, 2, state="lost"),
            entity_turn(key("@counter@nobody")),
        )

        assert [(outcome.code, outcome.effects) for outcome in outcomes] == [(Code.STALE, ())] * 3
        assert await driver.load_entity(COUNTER) == before
        assert await driver.find_entity(key("@other@a")) is None
        assert await driver.find_entity(key("@counter@nobody")) is None

    async def test_the_effects_of_an_entity_s_turn(self, driver: Driver) -> None:
        """Messages to instances, to entities and to itself, and starts, in order, with an outcome each."""
        await driver.commit(append(COUNTER), create(key("caller")))
        outcome = await driver.apply(
            entity_turn(
                COUNTER,
                effects=[
                    append(key("caller"), b"answer"),
                    append(key("caller"), b"late", execution_id="g0"),
                    create(key("started"), start=b"go"),
                    append(key("@other@a"), b"signal", at=LATER),
                    append(COUNTER, b"self"),
                ],
            )
        )
        sequences = [effect.sequence for effect in outcome.effects if effect.sequence]

        assert [effect.code for effect in outcome.effects] == [
            Code.APPLIED,
            Code.SUPERSEDED,
            Code.APPLIED,
            Code.APPLIED,
            Code.APPLIED,
        ]
        assert sequences == sorted(set(sequences))
        assert await driver.inbox(key("caller")) == [b"start", b"answer"]
        assert await driver.inbox(key("started")) == [b"go"]
        assert await driver.inbox(key("@other@a")) == [b"signal"]
        assert await driver.inbox(COUNTER) == [b"message", b"self"]
        assert (await driver.load_entity(key("@other@a"))).entity.modified_at == LATER

    async def test_an_instance_s_turn_signals_entities(self, driver: Driver) -> None:
        """Its effects reach them, though the instance ends by the turn."""
        await driver.apply(create(key()))
        outcome = await driver.apply(
            turn(key(), status=RuntimeStatus.COMPLETED, effects=[append(COUNTER, b"unlock"), append(key(), b"self")])
        )

        assert [effect.code for effect in outcome.effects] == [Code.APPLIED, Code.TERMINAL]
        assert await driver.inbox(COUNTER) == [b"unlock"]

    async def test_delayed_messages_to_entities(self, driver: Driver) -> None:
        """They are `due`, are no reason to claim the entity, and leave with the turn that takes them."""
        later, at_once = await driver.commit(append(COUNTER, due_at=LATER), append(key("@now@a")))

        assert at_once.code is Code.APPLIED
        assert await driver.due() == [DueMessage(LATER, later.sequence, COUNTER)]
        assert await driver.claimed() == [key("@now@a")]

        await driver.apply(entity_turn(COUNTER, consumed=[later.sequence]))

        assert await driver.due() == []

    async def test_claims_are_of_instances_and_entities(self, driver: Driver) -> None:
        """In the order of their keys, page by page."""
        keys = sorted([*(key(f"@e@{number}") for number in range(5)), *(key(f"{number}") for number in range(5))])
        await driver.commit(*(append(of) if of.is_entity else create(of) for of in keys))
        first = list(await driver.backend.claim_instances(driver.lease, limit=7))

        assert first == keys[:7]
        assert list(await driver.backend.claim_instances(driver.lease, after=first[-1], limit=7)) == keys[7:]

    async def test_a_whole_life_in_one_batch(self, driver: Driver) -> None:
        """Each mutation meets what the ones before it left."""
        outcomes = await driver.commit(
            entity_turn(COUNTER),
            append(COUNTER, b"1"),
            PurgeEntity(key=COUNTER, only_empty=True),
            entity_turn(COUNTER, state="one"),
            entity_turn(COUNTER, 0, state="stale"),
            entity_turn(COUNTER, 1, state="two", lock=entity_lock()),
            PurgeEntity(key=COUNTER),
            PurgeEntity(key=COUNTER),
            append(COUNTER, b"2", at=LATER),
            entity_turn(COUNTER, 0, state="three", at=LATER + 1),
        )
        loaded = await driver.load_entity(COUNTER)

        assert [outcome.code for outcome in outcomes] == [
            Code.STALE,
            Code.APPLIED,
            Code.NOT_EMPTY,
            Code.APPLIED,
            Code.STALE,
            Code.APPLIED,
            Code.APPLIED,
            Code.MISSING,
            Code.APPLIED,
            Code.APPLIED,
        ]
        assert (loaded.entity.state, loaded.entity.lock, loaded.entity.turn) == ("three", None, 1)
        assert [message.payload for message in loaded.inbox] == [b"2"]

    async def test_purging_an_entity_wipes_it(self, driver: Driver) -> None:
        """APPLIED: state, lock, inbox and delayed messages are gone, and it may come to be again."""
        await driver.commit(append(COUNTER), append(COUNTER, due_at=LATER), append(key("@counter@b"), due_at=LATER))
        await driver.apply(entity_turn(COUNTER, state="state", lock=entity_lock()))

        assert (await driver.apply(PurgeEntity(key=COUNTER))).code is Code.APPLIED
        assert await driver.find_entity(COUNTER) is None
        assert await driver.backend.entity(COUNTER) is None
        assert [message.key for message in await driver.due()] == [key("@counter@b")]
        assert (await driver.apply(PurgeEntity(key=COUNTER))).code is Code.MISSING

        await driver.apply(append(COUNTER, b"again", at=LATER))
        loaded = await driver.load_entity(COUNTER)

        assert replace(loaded.entity, backlog=0) == Entity(key=COUNTER, modified_at=LATER)
        assert [message.payload for message in loaded.inbox] == [b"again"]

    @pytest.mark.parametrize("kept_by", ["state", "lock", "message", "delayed message"])
    async def test_only_an_empty_entity_is_cleaned_away(self, driver: Driver, kept_by: str) -> None:
        """NOT_EMPTY while it has anything, with `only_empty`; nothing changes, and the others of the batch stand."""
        sent = await driver.apply(append(COUNTER, due_at=LATER if kept_by == "delayed message" else None))
        await driver.apply(
            entity_turn(
                COUNTER,
                state="" if kept_by == "state" else None,
                lock=entity_lock() if kept_by == "lock" else None,
                consumed=[] if "message" in kept_by else [sent.sequence],
            )
        )
        before = await driver.load_entity(COUNTER)
        outcomes = await driver.commit(PurgeEntity(key=COUNTER, only_empty=True), create(key()))

        assert [outcome.code for outcome in outcomes] == [Code.NOT_EMPTY, Code.APPLIED]
        assert await driver.load_entity(COUNTER) == before

    async def test_an_empty_entity_is_cleaned_away(self, driver: Driver) -> None:
        """APPLIED when its inbox is empty, whether since long or by a turn of the same batch."""
        b = key("@counter@b")
        one, two = await driver.commit(append(COUNTER), append(b))
        await driver.apply(entity_turn(COUNTER, consumed=[one.sequence]))
        outcomes = await driver.commit(
            PurgeEntity(key=COUNTER, only_empty=True),
            entity_turn(b, consumed=[two.sequence]),
            PurgeEntity(key=b, only_empty=True),
            PurgeEntity(key=key("@counter@nobody"), only_empty=True),
        )

        assert [outcome.code for outcome in outcomes] == [Code.APPLIED, Code.APPLIED, Code.APPLIED, Code.MISSING]
        assert await driver.find_entity(COUNTER) is None
        assert await driver.find_entity(b) is None

    async def test_outcomes_of_entities_are_remembered(self, driver: Driver) -> None:
        """The last batch, committed again, has the outcomes of the first time, NOT_EMPTY and NO_HUB among them."""
        batch = driver.batch(
            append(COUNTER),
            PurgeEntity(key=COUNTER, only_empty=True),
            append(key("@counter@a", "nowhere")),
            entity_turn(COUNTER, effects=[append(key("nobody"), otherwise=[append(COUNTER)])]),
        )
        committed = list(await driver.backend.commit(batch))

        assert list(await driver.backend.commit(batch)) == committed
        assert [outcome.code for outcome in committed] == [Code.APPLIED, Code.NOT_EMPTY, Code.NO_HUB, Code.APPLIED]
        assert [told.code for told in committed[3].effects[0].effects] == [Code.APPLIED]
