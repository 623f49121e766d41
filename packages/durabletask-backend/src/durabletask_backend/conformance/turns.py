"""Turns: committed whole or not at all, on what they were decided on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    LATER,
    START,
    append,
    create,
    framed,
    full_instance,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.mutations import Code, CompleteTurn, CreateInstance, PurgeInstance
from durabletask_backend.values import Instance, RuntimeStatus

ENDINGS = [RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.CANCELED, RuntimeStatus.TERMINATED]


class TurnConformance(ConformanceBase):
    """What the suite promises of CompleteTurn, but for continue-as-new."""

    async def test_a_turn_changes_the_record(self, driver: Driver) -> None:
        """APPLIED: what the turn sets is set, one more turn is counted, the rest stays as it was created."""
        given = full_instance(key())
        await driver.apply(CreateInstance(instance=given, start=b"go"))
        outcome = await driver.apply(
            CompleteTurn(
                key=key(),
                execution_id="g1",
                turn=0,
                status=RuntimeStatus.FAILED,
                updated_at=LATER + 1,
                completed_at=LATER + 2,
                output="out é",
                custom_status="custom é",
                failure=b"\x00failure\xff",
                turn_context=b"\x00context\xff",
            )
        )

        assert (outcome.code, outcome.sequence, outcome.effects) == (Code.APPLIED, 0, ())
        assert await driver.record(key()) == replace(
            given,
            status=RuntimeStatus.FAILED,
            updated_at=LATER + 1,
            completed_at=LATER + 2,
            output="out é",
            custom_status="custom é",
            failure=b"\x00failure\xff",
            turn_context=b"\x00context\xff",
            turn=1,
        )

    async def test_a_turn_sets_what_it_does_not_mention_too(self, driver: Driver) -> None:
        """A later turn's None is None, and its empty text is empty: nothing of the turn before shines through."""
        await driver.apply(create(key()))
        first = replace(turn(key(), output=""), custom_status="", failure=b"", turn_context=b"")
        await driver.apply(first)
        record: Instance = await driver.record(key())

        assert (record.output, record.custom_status, record.failure, record.turn_context) == ("", "", b"", b"")

        await driver.apply(turn(key(), 1))
        record = await driver.record(key())

        assert (record.output, record.custom_status, record.failure, record.turn_context) == (None, None, None, None)

    async def test_a_turn_consumes_what_it_took(self, driver: Driver) -> None:
        """The messages it names are gone, the ones that came meanwhile stay."""
        first, second, _ = await driver.commit(create(key()), append(key(), b"1"), append(key(), b"2"))
        await driver.apply(append(key(), b"3"))
        await driver.apply(turn(key(), consumed=[first.sequence, second.sequence]))

        assert await driver.inbox(key()) == [b"2", b"3"]

    async def test_a_turn_consumes_what_its_batch_brought(self, driver: Driver) -> None:
        """A message of an earlier mutation of the batch can be consumed by a later one."""
        started = await driver.apply(create(key()))
        await driver.commit(
            append(key(), b"taken"),
            append(key(), b"left"),
            turn(key(), consumed=[started.sequence, started.sequence + 1]),
        )

        assert await driver.inbox(key()) == [b"left"]

    async def test_a_history_grows_turn_by_turn(self, driver: Driver) -> None:
        """The events of each turn follow those of the turn before."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), 0, history=[b"a", b""]))
        await driver.apply(turn(key(), 1))
        await driver.commit(
            turn(key(), 2, history=[b"c"], history_first=2), turn(key(), 3, history=[b"d" * 200], history_first=3)
        )
        loaded = await driver.load(key())

        assert loaded.history == b"".join(map(framed, [b"a", b"", b"c", b"d" * 200]))
        assert loaded.history_count == 4
        assert loaded.instance.turn == 4

    async def test_a_turn_opens_tasks(self, driver: Driver) -> None:
        """Its tasks are open from then on, as they were given."""
        tasks = [
            replace(task(key(), 2, payload=bytes(range(256))), version="1.0"),
            replace(task(key(), 10, payload=b""), name="Ünï", version="", caller_version="2"),
        ]
        await driver.apply(create(key()))
        await driver.apply(turn(key(), tasks=tasks))

        assert await driver.open_tasks() == tasks

    async def test_effects_are_answered_one_by_one(self, driver: Driver) -> None:
        """APPLIED: with one outcome for each effect, in order."""
        await driver.commit(create(key()), create(key("other")), create(key("ended")))
        await driver.apply(turn(key("ended"), status=RuntimeStatus.COMPLETED))
        outcome = await driver.apply(
            turn(
                key(),
                effects=[
                    append(key("other"), b"event"),
                    append(key("nobody")),
                    append(key("ended")),
                    append(key("other"), execution_id="g0"),
                    create(key("child"), parent_id="i"),
                    create(key("other"), "g2"),
                    append(key(), b"timer", due_at=LATER),
                    append(key("child"), b"hello"),
                ],
            )
        )
        sequences = [effect.sequence for effect in outcome.effects if effect.sequence]

        assert [effect.code for effect in outcome.effects] == [
            Code.APPLIED,
            Code.MISSING,
            Code.TERMINAL,
            Code.SUPERSEDED,
            Code.APPLIED,
            Code.EXISTS,
            Code.APPLIED,
            Code.APPLIED,
        ]
        assert outcome.effects[2].status is RuntimeStatus.COMPLETED
        assert sequences == sorted(set(sequences))
        assert await driver.inbox(key("other")) == [b"start", b"event"]
        assert await driver.inbox(key("child")) == [b"start", b"hello"]
        assert await driver.inbox(key()) == [b"start", b"timer"]
        assert [message.sequence for message in await driver.due()] == [outcome.effects[6].sequence]

    async def test_a_stale_turn_changes_nothing(self, driver: Driver) -> None:
        """STALE for another turn, another generation or no instance; nothing of the turn is applied."""
        started, *_ = await driver.commit(create(key()), create(key("other")))
        await driver.apply(turn(key()))
        before, other = await driver.load(key()), await driver.load(key("other"))
        whole = turn(
            key(),
            1,
            status=RuntimeStatus.FAILED,
            history=[b"event"],
            consumed=[started.sequence],
            tasks=[task(key())],
            effects=[append(key("other"), b"event"), create(key("child"))],
        )

        for stale in (
            replace(whole, turn=0),
            replace(whole, turn=2),
            replace(whole, execution_id="g0"),
            replace(whole, key=key("nobody")),
        ):
            outcome = await driver.apply(stale)

            assert (outcome.code, outcome.sequence, outcome.effects) == (Code.STALE, 0, ())

        assert await driver.load(key()) == before
        assert await driver.load(key("other")) == other
        assert await driver.find(key("child")) is None
        assert await driver.open_task_keys() == []

    async def test_the_neighbours_of_a_stale_turn_stand(self, driver: Driver) -> None:
        """A stale turn does not keep the rest of its batch from being applied."""
        await driver.commit(create(key("a")), create(key("b")), create(key("c")))
        outcomes = await driver.commit(
            turn(key("a"), history=[b"a"]), turn(key("b"), 7), turn(key("c")), append(key("b"), b"on")
        )

        assert [outcome.code for outcome in outcomes] == [Code.APPLIED, Code.STALE, Code.APPLIED, Code.APPLIED]
        assert (await driver.load(key("a"))).history_count == 1
        assert (await driver.record(key("b"))).turn == 0
        assert (await driver.record(key("c"))).turn == 1
        assert await driver.inbox(key("b")) == [b"start", b"on"]

    async def test_a_turn_is_committed_once(self, driver: Driver) -> None:
        """Of two decisions of the same turn, in one batch or two, the second is STALE."""
        await driver.apply(create(key()))
        same = turn(key(), history=[b"once"], tasks=[task(key())])
        first, second = await driver.commit(same, same)
        third = await driver.apply(same)

        assert [first.code, second.code, third.code] == [Code.APPLIED, Code.STALE, Code.STALE]
        assert (await driver.load(key())).history_count == 1
        assert await driver.open_task_keys() == [task_key(key())]

    @pytest.mark.parametrize("status", ENDINGS)
    async def test_an_ending_clears_the_inbox(self, driver: Driver, status: RuntimeStatus) -> None:
        """A terminal turn drops every message that is left, stored or of its batch, delayed or not."""
        await driver.commit(create(key()), append(key(), b"1"), append(key(), b"2", due_at=LATER))
        await driver.commit(append(key(), b"3"), append(key(), b"4", due_at=LATER), turn(key(), status=status))

        assert await driver.inbox(key()) == []
        assert await driver.due() == []
        assert await driver.backend.claim_instances(driver.lease) == []

    @pytest.mark.parametrize("status", ENDINGS)
    async def test_an_ending_drops_the_open_tasks_unless_it_completed(
        self, driver: Driver, status: RuntimeStatus
    ) -> None:
        """FAILED, CANCELED and TERMINATED drop the open tasks; with COMPLETED they stay open."""
        await driver.commit(create(key()), create(key("other")))
        await driver.commit(turn(key(), tasks=[task(key(), 1)]), turn(key("other"), tasks=[task(key("other"))]))
        await driver.commit(turn(key(), 1, tasks=[task(key(), 2)]), turn(key(), 2, status=status))
        kept = [task_key(key(), 1), task_key(key(), 2)] if status is RuntimeStatus.COMPLETED else []

        assert await driver.open_task_keys() == [*kept, task_key(key("other"))]

    async def test_the_last_turn_keeps_its_own_tasks_when_it_completes(self, driver: Driver) -> None:
        """Activities that nobody awaits run, too."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), status=RuntimeStatus.COMPLETED, tasks=[task(key())]))

        assert await driver.open_task_keys() == [task_key(key())]

    async def test_effects_meet_the_turn_s_own_status(self, driver: Driver) -> None:
        """An effect on the instance itself applies after the turn: an ended one takes no message."""
        await driver.apply(create(key()))
        outcome = await driver.apply(turn(key(), status=RuntimeStatus.COMPLETED, effects=[append(key())]))

        assert outcome.code is Code.APPLIED
        assert [(effect.code, effect.status) for effect in outcome.effects] == [
            (Code.TERMINAL, RuntimeStatus.COMPLETED)
        ]
        assert await driver.inbox(key()) == []

    async def test_a_child_answers_its_parent_as_it_ends(self, driver: Driver) -> None:
        """The history of an ended instance stays, and the messages it sent at last are delivered."""
        await driver.commit(create(key("parent")), create(key("child"), parent_id="parent"))
        await driver.apply(
            turn(
                key("child"),
                status=RuntimeStatus.COMPLETED,
                at=START + 7,
                history=[b"done"],
                effects=[append(key("parent"), b"answer", execution_id="g1")],
            )
        )

        assert (await driver.load(key("child"))).history == framed(b"done")
        assert (await driver.record(key("child"))).completed_at == START + 7
        assert await driver.inbox(key("parent")) == [b"start", b"answer"]

    async def test_an_instance_created_anew_begins_at_turn_zero(self, driver: Driver) -> None:
        """A turn decided on a purged instance is STALE on the one created after it, by its generation."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), status=RuntimeStatus.COMPLETED))
        await driver.commit(PurgeInstance(key=key()), create(key(), "g2"))

        assert (await driver.apply(turn(key(), 0, "g1"))).code is Code.STALE
        assert (await driver.apply(turn(key(), 1, "g2"))).code is Code.STALE
        assert (await driver.apply(turn(key(), 0, "g2"))).code is Code.APPLIED
