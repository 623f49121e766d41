"""Messages: to whom they go, in which order, and which are dropped."""

from __future__ import annotations

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import LATER, START, append, create, key, turn
from durabletask_backend.mutations import Code, PurgeInstance
from durabletask_backend.values import TERMINAL_STATUSES, Message, RuntimeStatus


class MessageConformance(ConformanceBase):
    """What the suite promises of AppendMessage."""

    async def test_a_message_is_delivered_as_it_was_sent(self, driver: Driver) -> None:
        """APPLIED: every field is kept, under the sequence of the outcome."""
        await driver.apply(create(key()))
        outcome = await driver.apply(append(key(), bytes(range(256)), execution_id="g1", due_at=START + 5, front=True))

        assert outcome.code is Code.APPLIED
        assert (await driver.load(key())).inbox[-1] == Message(
            sequence=outcome.sequence, payload=bytes(range(256)), execution_id="g1", due_at=START + 5, front=True
        )

    async def test_a_message_may_be_empty_or_large(self, driver: Driver) -> None:
        """A payload has any size, from nothing to five MiB."""
        large = bytes(range(256)) * (5 << 12)
        await driver.apply(create(key()))
        await driver.commit(append(key(), b""), append(key(), large))

        assert (await driver.inbox(key()))[1:] == [b"", large]

    async def test_sequences_rise_in_commit_order(self, driver: Driver) -> None:
        """Sequences are positive, unique in the backend and rising, within a batch and from batch to batch."""
        outcomes = await driver.commit(create(key("a")), create(key("b")), append(key("a")), append(key("b")))
        outcomes += await driver.commit(append(key("a")), append(key("nobody")), append(key("b")))
        sequences = [outcome.sequence for outcome in outcomes if outcome.code is Code.APPLIED]

        assert sequences[0] > 0
        assert sequences == sorted(set(sequences))
        assert len(sequences) == 6

    async def test_a_sequence_is_never_used_again(self, driver: Driver) -> None:
        """The next message has a higher sequence even when all before it were consumed."""
        sent = await driver.apply(create(key()))
        await driver.apply(turn(key(), consumed=[sent.sequence]))

        assert (await driver.apply(append(key()))).sequence > sent.sequence

    async def test_messages_are_delivered_in_order(self, driver: Driver) -> None:
        """By sequence, whatever the batch they came in."""
        await driver.apply(create(key()))
        await driver.commit(append(key(), b"1"), append(key(), b"2"))
        await driver.commit(append(key(), b"3"))

        assert await driver.inbox(key()) == [b"start", b"1", b"2", b"3"]

    async def test_a_message_that_is_dropped_may_have_others_in_its_place(self, driver: Driver) -> None:
        """`otherwise` is appended for MISSING, TERMINAL and SUPERSEDED, in order, and not for what is delivered."""
        ended, live, note = key("ended"), key("live"), key("@note@a")
        await driver.commit(create(ended), create(live))
        await driver.apply(turn(ended, status=RuntimeStatus.COMPLETED))
        instead = [append(note, b"1"), append(key("gone"), otherwise=[append(note, b"2")])]
        outcomes = await driver.commit(
            append(live, otherwise=instead),
            append(key("gone"), otherwise=instead),
            append(ended, otherwise=instead),
            append(live, execution_id="g0", otherwise=instead),
        )

        assert [outcome.code for outcome in outcomes] == [
            Code.APPLIED,
            Code.MISSING,
            Code.TERMINAL,
            Code.SUPERSEDED,
        ]
        assert outcomes[0].effects == ()

        for outcome in outcomes[1:]:
            assert [told.code for told in outcome.effects] == [Code.APPLIED, Code.MISSING]
            assert [told.code for told in outcome.effects[1].effects] == [Code.APPLIED]

        assert await driver.inbox(note) == [b"1", b"2"] * 3

    async def test_front_messages_go_first(self, driver: Driver) -> None:
        """Those with `front` before all others, and among themselves by sequence."""
        await driver.commit(create(key()), append(key(), b"a"), append(key(), b"F", front=True))
        await driver.commit(append(key(), b"b"), append(key(), b"G", front=True))

        assert await driver.inbox(key()) == [b"start", b"F", b"G", b"a", b"b"]

    async def test_a_delayed_message_takes_its_place_by_sequence(self, driver: Driver) -> None:
        """A delayed message that is due is delivered in the order of sequences, not of due times."""
        await driver.apply(create(key()))
        await driver.commit(append(key(), b"timer", due_at=LATER), append(key(), b"event"))

        assert await driver.inbox(key()) == [b"start", b"timer", b"event"]

    async def test_nobody_of_that_id(self, driver: Driver) -> None:
        """MISSING: a message to an instance that does not exist is dropped, and makes none."""
        outcome = await driver.apply(append(key("nobody")))

        assert (outcome.code, outcome.sequence) == (Code.MISSING, 0)
        assert await driver.find(key("nobody")) is None

        await driver.apply(create(key("nobody")))

        assert await driver.inbox(key("nobody")) == [b"start"]

    @pytest.mark.parametrize("status", sorted(TERMINAL_STATUSES))
    async def test_an_instance_that_has_ended(self, driver: Driver, status: RuntimeStatus) -> None:
        """TERMINAL with the status: a message to an instance that has ended is dropped."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), status=status))
        outcome = await driver.apply(append(key()))

        assert (outcome.code, outcome.sequence, outcome.status) == (Code.TERMINAL, 0, status)
        assert await driver.inbox(key()) == []

    @pytest.mark.parametrize("status", [RuntimeStatus.PENDING, RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED])
    async def test_an_instance_that_lives(self, driver: Driver, status: RuntimeStatus) -> None:
        """APPLIED in every status that is not terminal."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), status=status))

        assert (await driver.apply(append(key()))).code is Code.APPLIED

    async def test_another_generation(self, driver: Driver) -> None:
        """SUPERSEDED: a message bound to a generation that is not the live one is dropped."""
        await driver.apply(create(key()))
        outcome = await driver.apply(append(key(), execution_id="g0"))

        assert (outcome.code, outcome.sequence) == (Code.SUPERSEDED, 0)
        assert await driver.inbox(key()) == [b"start"]

    async def test_a_refused_message_leaves_its_neighbours_alone(self, driver: Driver) -> None:
        """Each mutation of a batch has its own fate."""
        await driver.apply(create(key()))
        outcomes = await driver.commit(
            append(key(), b"1"), append(key("nobody")), append(key(), execution_id="g0"), append(key(), b"2")
        )

        assert [outcome.code for outcome in outcomes] == [Code.APPLIED, Code.MISSING, Code.SUPERSEDED, Code.APPLIED]
        assert await driver.inbox(key()) == [b"start", b"1", b"2"]

    async def test_messages_see_what_the_batch_did_before_them(self, driver: Driver) -> None:
        """A message meets the instance as the mutations before it in the batch left it."""
        await driver.commit(create(key("ends")), create(key("goes")))
        await driver.apply(turn(key("goes"), status=RuntimeStatus.FAILED))
        outcomes = await driver.commit(
            append(key("new")),
            create(key("new")),
            append(key("new"), b"hello"),
            turn(key("ends"), status=RuntimeStatus.COMPLETED),
            append(key("ends")),
            PurgeInstance(key=key("goes")),
            append(key("goes")),
        )

        assert [outcome.code for outcome in outcomes] == [
            Code.MISSING,
            Code.APPLIED,
            Code.APPLIED,
            Code.APPLIED,
            Code.TERMINAL,
            Code.APPLIED,
            Code.MISSING,
        ]
        assert await driver.inbox(key("new")) == [b"start", b"hello"]
