"""Creating instances: once, again, over another, and in conflict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    LATER,
    ODD_IDS,
    START,
    append,
    create,
    full_instance,
    key,
    task,
    turn,
)
from durabletask_backend.mutations import Code, CreateInstance
from durabletask_backend.values import Message, RuntimeStatus


class CreationConformance(ConformanceBase):
    """What the suite promises of CreateInstance."""

    async def test_a_new_instance_has_its_start_message(self, driver: Driver) -> None:
        """APPLIED: the start message is in front, bound to the generation, under the sequence of the outcome."""
        outcome = await driver.apply(create(key(), start=b"go"))
        loaded = await driver.load(key())

        assert outcome.code is Code.APPLIED
        assert outcome.effects == ()
        assert loaded.inbox == (Message(sequence=outcome.sequence, payload=b"go", execution_id="g1", front=True),)
        assert (loaded.history, loaded.history_count) == (b"", 0)

    async def test_every_field_is_kept(self, driver: Driver) -> None:
        """The record is read back as it was given, by `get` and by `load`."""
        given = full_instance(key())
        await driver.apply(CreateInstance(instance=given, start=b"go", due_at=LATER))

        assert await driver.record(key()) == given
        assert (await driver.load(key())).instance == given

    async def test_absent_and_empty_are_different(self, driver: Driver) -> None:
        """None and the empty string are told apart in every optional text."""
        absent = full_instance(key("absent"))
        absent = replace(absent, input=None, version=None, parent_id=None, scheduled_at=None, tags={})
        empty = replace(absent, key=key("empty"), input="", version="")
        await driver.commit(CreateInstance(instance=absent, start=b""), CreateInstance(instance=empty, start=b""))

        assert await driver.record(key("absent")) == absent
        assert await driver.record(key("empty")) == empty
        assert await driver.inbox(key("empty")) == [b""]

    async def test_odd_ids_are_kept(self, driver: Driver) -> None:
        """Ids are any text, compared exactly: no case folding, no normalization, no wildcard."""
        outcomes = await driver.commit(*(create(key(odd), input=odd) for odd in ODD_IDS))

        assert [outcome.code for outcome in outcomes] == [Code.APPLIED] * len(ODD_IDS)

        for odd in ODD_IDS:
            assert (await driver.record(key(odd))).input == odd
            assert (await driver.apply(append(key(odd), odd.encode()))).code is Code.APPLIED
            assert await driver.inbox(key(odd)) == [b"start", odd.encode()]

    async def test_a_large_input_is_kept(self, driver: Driver) -> None:
        """Five MiB of input, start message and output are no trouble."""
        large = "é" * (5 << 19)
        await driver.apply(create(key(), input=large, start=large.encode()))
        loaded = await driver.load(key())

        assert loaded.instance.input == large
        assert loaded.inbox[0].payload == large.encode()

        await driver.apply(turn(key(), status=RuntimeStatus.COMPLETED, output=large))

        assert (await driver.record(key())).output == large

    async def test_a_repeat_changes_nothing(self, driver: Driver) -> None:
        """UNCHANGED: the same id and generation again is a retry, even where it might replace."""
        await driver.apply(create(key(), input="first"))
        before = await driver.load(key())
        outcome = await driver.apply(create(key(), input="second", replace=[RuntimeStatus.PENDING]))

        assert outcome.code is Code.UNCHANGED
        assert outcome.sequence == 0
        assert await driver.load(key()) == before

    async def test_a_repeat_in_the_same_batch_changes_nothing(self, driver: Driver) -> None:
        """UNCHANGED, too, when the first of two equal creations is in the same batch."""
        first, second = await driver.commit(create(key()), create(key(), start=b"again"))

        assert (first.code, second.code) == (Code.APPLIED, Code.UNCHANGED)
        assert await driver.inbox(key()) == [b"start"]

    @pytest.mark.parametrize("status", [RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED, RuntimeStatus.FAILED])
    async def test_an_id_in_use_is_refused(self, driver: Driver, status: RuntimeStatus) -> None:
        """EXISTS, with the status that stands in the way, when that is not to be replaced."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), status=status))
        before = await driver.load(key())
        outcome = await driver.apply(create(key(), "g2", replace=[RuntimeStatus.COMPLETED]))

        assert outcome.code is Code.EXISTS
        assert outcome.status is status
        assert outcome.sequence == 0
        assert outcome.effects == ()
        assert await driver.load(key()) == before

    @pytest.mark.parametrize("status", [RuntimeStatus.RUNNING, RuntimeStatus.COMPLETED, RuntimeStatus.TERMINATED])
    async def test_replacing_leaves_nothing_of_the_old_one(self, driver: Driver, status: RuntimeStatus) -> None:
        """REPLACED: record, history, inbox, delayed messages and tasks of the old instance are gone."""
        await driver.apply(CreateInstance(instance=full_instance(key()), start=b"old"))
        await driver.apply(append(key(), b"old message"))
        await driver.apply(
            turn(
                key(),
                status=status,
                history=[b"old event"],
                tasks=[task(key())],
                effects=[append(key(), b"old timer", due_at=LATER)],
                output="old output",
            )
        )
        wanted = create(key(), "g2", start=b"new", replace=[status], created_at=START + 5)
        outcome = await driver.apply(wanted)
        loaded = await driver.load(key())

        assert outcome.code is Code.REPLACED
        assert loaded.instance == wanted.instance
        assert [message.payload for message in loaded.inbox] == [b"new"]
        assert loaded.inbox[0].sequence == outcome.sequence
        assert (loaded.history, loaded.history_count) == (b"", 0)
        assert await driver.history(key()) == []
        assert await driver.open_task_keys() == []
        assert await driver.due() == []

    async def test_messages_after_a_replacement_in_its_batch_are_for_the_new_one(self, driver: Driver) -> None:
        """What the batch sent before a replacement goes with the old instance, what it sends after is delivered."""
        await driver.apply(create(key()))
        outcomes = await driver.commit(
            append(key(), b"before"),
            create(key(), "g2", start=b"new", replace=[RuntimeStatus.PENDING]),
            append(key(), b"after"),
            append(key(), b"too old", execution_id="g1"),
            append(key(), b"bound", execution_id="g2"),
        )

        assert [outcome.code for outcome in outcomes] == [
            Code.APPLIED,
            Code.REPLACED,
            Code.APPLIED,
            Code.SUPERSEDED,
            Code.APPLIED,
        ]
        assert await driver.inbox(key()) == [b"new", b"after", b"bound"]

    async def test_a_turn_and_a_replacement_in_one_batch(self, driver: Driver) -> None:
        """A turn that completes an instance and a creation over it may share a batch; all of the turn goes."""
        await driver.apply(create(key()))
        completed, replaced = await driver.commit(
            turn(key(), status=RuntimeStatus.COMPLETED, history=[b"old"], tasks=[task(key())]),
            create(key(), "g2", replace=[RuntimeStatus.COMPLETED]),
        )
        loaded = await driver.load(key())

        assert (completed.code, replaced.code) == (Code.APPLIED, Code.REPLACED)
        assert (loaded.instance.execution_id, loaded.instance.turn) == ("g2", 0)
        assert loaded.history == b""
        assert await driver.open_task_keys() == []

    async def test_an_instance_may_take_its_first_turn_in_the_batch_that_creates_it(self, driver: Driver) -> None:
        """A batch is applied in order, so that a turn finds the instance that was created before it."""
        created, turned = await driver.commit(
            create(key(), input="kept"), turn(key(), history=[b"one"], tasks=[task(key())], output="out")
        )
        loaded = await driver.load(key())

        assert (created.code, turned.code) == (Code.APPLIED, Code.APPLIED)
        assert (loaded.instance.status, loaded.instance.turn) == (RuntimeStatus.RUNNING, 1)
        assert (loaded.instance.input, loaded.instance.output) == ("kept", "out")
        assert loaded.history_count == 1

    async def test_a_delayed_start_waits(self, driver: Driver) -> None:
        """A start message with a due time is a delayed message, in front like any start."""
        outcome = await driver.apply(create(key(), due_at=LATER))

        assert [message.sequence for message in await driver.due()] == [outcome.sequence]
        assert (await driver.load(key())).inbox == (
            Message(sequence=outcome.sequence, payload=b"start", execution_id="g1", due_at=LATER, front=True),
        )

    async def test_a_replaced_child_is_told_of_to_its_parent(self, driver: Driver) -> None:
        """REPLACED: `on_replaced` is applied, too, and its outcome is in `effects`."""
        await driver.commit(create(key("parent")), create(key("child")))
        outcome = await driver.apply(
            replace(
                create(key("child"), "g2", start=b"new", replace=[RuntimeStatus.PENDING]),
                on_replaced=(append(key("parent"), b"gone", execution_id="g1"),),
                on_conflict=append(key("parent"), b"taken"),
            )
        )

        assert outcome.code is Code.REPLACED
        assert [told.code for told in outcome.effects] == [Code.APPLIED]
        assert (await driver.load(key("parent"))).inbox[-1] == Message(
            sequence=outcome.effects[0].sequence, payload=b"gone", execution_id="g1"
        )
        assert await driver.inbox(key("child")) == [b"new"]

    async def test_what_replaces_nothing_tells_nobody_of_it(self, driver: Driver) -> None:
        """`on_replaced` has no effect on a creation that was applied, was a retry, or was refused."""
        await driver.apply(create(key("parent")))
        first = replace(create(key("child")), on_replaced=(append(key("parent"), b"gone"),))
        other = replace(create(key("child"), "g2"), on_replaced=(append(key("parent"), b"gone"),))
        outcomes = await driver.commit(first, first, other)

        assert [(outcome.code, outcome.effects) for outcome in outcomes] == [
            (Code.APPLIED, ()),
            (Code.UNCHANGED, ()),
            (Code.EXISTS, ()),
        ]
        assert await driver.inbox(key("parent")) == [b"start"]

    async def test_a_conflict_is_told_to_whom_it_concerns(self, driver: Driver) -> None:
        """EXISTS: `on_conflict` is applied instead, and its outcome is in `effects`."""
        await driver.commit(create(key("parent")), create(key("child")))
        outcome = await driver.apply(
            create(key("child"), "g2", on_conflict=append(key("parent"), b"taken", execution_id="g1"))
        )

        assert outcome.code is Code.EXISTS
        assert [told.code for told in outcome.effects] == [Code.APPLIED]
        assert (await driver.load(key("parent"))).inbox[-1] == Message(
            sequence=outcome.effects[0].sequence, payload=b"taken", execution_id="g1"
        )

    async def test_a_conflict_without_anybody_to_tell(self, driver: Driver) -> None:
        """EXISTS: `on_conflict` to an instance that is gone is dropped, and its outcome says so."""
        await driver.apply(create(key("child")))
        outcome = await driver.apply(create(key("child"), "g2", on_conflict=append(key("gone"))))

        assert outcome.code is Code.EXISTS
        assert [told.code for told in outcome.effects] == [Code.MISSING]

    async def test_no_conflict_tells_nobody(self, driver: Driver) -> None:
        """`on_conflict` has no effect on a creation that was applied, or that was a retry."""
        wanted = create(key("child"), on_conflict=append(key("parent"), b"taken"))
        await driver.apply(create(key("parent")))
        outcomes = await driver.commit(wanted, wanted)

        assert [(outcome.code, outcome.effects) for outcome in outcomes] == [(Code.APPLIED, ()), (Code.UNCHANGED, ())]
        assert await driver.inbox(key("parent")) == [b"start"]

    async def test_a_child_collision_comes_back_to_the_parent(self, driver: Driver) -> None:
        """A turn whose child's id is taken stands; the parent finds the message in its own inbox."""
        await driver.commit(create(key("parent")), create(key("child"), input="somebody else's"))
        outcome = await driver.apply(
            turn(
                key("parent"),
                effects=[
                    create(key("child"), "g9", on_conflict=append(key("parent"), b"taken", execution_id="g1")),
                    create(key("free"), parent_id="parent"),
                ],
            )
        )
        collided, started = outcome.effects

        assert outcome.code is Code.APPLIED
        assert (collided.code, collided.status) == (Code.EXISTS, RuntimeStatus.PENDING)
        assert [told.code for told in collided.effects] == [Code.APPLIED]
        assert started.code is Code.APPLIED
        assert await driver.inbox(key("parent")) == [b"start", b"taken"]
        assert (await driver.record(key("child"))).input == "somebody else's"
        assert (await driver.record(key("free"))).parent_id == "parent"
