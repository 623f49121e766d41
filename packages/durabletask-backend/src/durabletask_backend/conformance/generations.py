"""Continue-as-new: what stays, what goes, and what the new generation finds."""

from __future__ import annotations

from dataclasses import replace

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    LATER,
    append,
    create,
    framed,
    full_instance,
    generation,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.mutations import Code, CreateInstance
from durabletask_backend.values import TERMINAL_STATUSES, RuntimeStatus


class GenerationConformance(ConformanceBase):
    """What the suite promises of turns that begin a new generation."""

    async def test_the_record_goes_on_as_the_next_generation(self, driver: Driver) -> None:
        """Generation, input, version and tags are the new ones; name, creation and parent stay; turns go on counting."""
        given = full_instance(key())
        await driver.apply(CreateInstance(instance=given, start=b"go"))
        again = turn(key(), generation=generation(input="next"), at=LATER)
        outcome = await driver.apply(again)

        assert outcome.code is Code.APPLIED
        assert await driver.record(key()) == replace(
            given,
            execution_id="g2",
            first_execution_id="g1",
            input="next",
            version="3",
            tags={"round": "g2"},
            status=RuntimeStatus.RUNNING,
            updated_at=LATER,
            turn=1,
        )

    async def test_a_start_that_is_repeated_is_known_in_any_generation(self, driver: Driver) -> None:
        """UNCHANGED for the first generation's id and for the current one's, also once the instance has ended; not for those between."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), generation=generation("g2")))
        await driver.apply(turn(key(), 1, "g2", generation=generation("g3")))
        running = [await driver.apply(create(key(), each, replace=TERMINAL_STATUSES)) for each in ("g1", "g3", "g2")]
        await driver.apply(turn(key(), 2, "g3", status=RuntimeStatus.COMPLETED))
        ended = [await driver.apply(create(key(), each, replace=TERMINAL_STATUSES)) for each in ("g1", "g3", "g2")]

        assert [outcome.code for outcome in running] == [Code.UNCHANGED, Code.UNCHANGED, Code.EXISTS]
        assert [outcome.code for outcome in ended] == [Code.UNCHANGED, Code.UNCHANGED, Code.REPLACED]

    async def test_a_start_that_is_repeated_is_known_in_the_same_batch(self, driver: Driver) -> None:
        """UNCHANGED, too, when the generations follow each other in one batch."""
        steps = (create(key()), turn(key(), generation=generation("g2")), create(key(), "g1"))

        assert [outcome.code for outcome in await driver.commit(*steps)] == [Code.APPLIED, Code.APPLIED, Code.UNCHANGED]
        assert (await driver.record(key())).first_execution_id == "g1"

    async def test_the_next_generation_may_have_no_input(self, driver: Driver) -> None:
        """An input of None takes the old one away, and an empty one is empty."""
        await driver.apply(create(key(), input="old"))
        await driver.apply(turn(key(), generation=generation("g2", input=None)))

        assert (await driver.record(key())).input is None

        await driver.apply(turn(key(), 1, "g2", generation=generation("g3", input="")))

        assert (await driver.record(key())).input == ""

    async def test_history_begins_anew(self, driver: Driver) -> None:
        """The old history is gone, with the events of the turn itself; the next turn begins at position 0."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), history=[b"a", b"b"]))
        await driver.apply(turn(key(), 1, history=[b"c"], history_first=2, generation=generation()))

        assert await driver.history(key()) == []
        assert (await driver.load(key())).history_count == 0

        await driver.apply(turn(key(), 2, "g2", history=[b"new"]))
        loaded = await driver.load(key())

        assert (loaded.history, loaded.history_count) == (framed(b"new"), 1)

    async def test_tasks_go_with_their_generation(self, driver: Driver) -> None:
        """The open tasks of the old generation are dropped, those of other instances are not."""
        await driver.commit(create(key()), create(key("other")))
        await driver.commit(turn(key(), tasks=[task(key())]), turn(key("other"), tasks=[task(key("other"))]))
        await driver.commit(turn(key(), 1, tasks=[task(key(), 2)]), turn(key(), 2, generation=generation()))

        assert await driver.open_task_keys() == [task_key(key("other"))]

        await driver.apply(turn(key(), 3, "g2", tasks=[task(key(), 1, "g2")]))

        assert await driver.open_task_keys() == [task_key(key(), 1, "g2"), task_key(key("other"))]

    async def test_bound_messages_go_and_others_stay(self, driver: Driver) -> None:
        """Messages for the old generation go with it, delayed ones too; the others wait for the new one."""
        await driver.apply(create(key()))
        await driver.commit(
            append(key(), b"bound", execution_id="g1"),
            append(key(), b"event"),
            append(key(), b"old timer", execution_id="g1", due_at=LATER),
            append(key(), b"late event", due_at=LATER),
        )
        await driver.apply(turn(key(), generation=generation()))

        assert await driver.inbox(key()) == [b"event", b"late event"]
        assert len(await driver.due()) == 1

    async def test_messages_of_the_same_batch_are_treated_alike(self, driver: Driver) -> None:
        """A message that its batch brought before the turn stays if it is for any generation, and goes if bound."""
        await driver.apply(create(key()))
        outcomes = await driver.commit(
            append(key(), b"event"),
            append(key(), b"bound", execution_id="g1"),
            turn(key(), generation=generation()),
            append(key(), b"too late", execution_id="g1"),
            append(key(), b"for the new one", execution_id="g2"),
        )

        assert [outcome.code for outcome in outcomes] == [
            Code.APPLIED,
            Code.APPLIED,
            Code.APPLIED,
            Code.SUPERSEDED,
            Code.APPLIED,
        ]
        assert await driver.inbox(key()) == [b"event", b"for the new one"]

    async def test_effects_meet_the_new_generation(self, driver: Driver) -> None:
        """The start and the carried-over events are effects of the turn, in front of what was waiting."""
        started, carried, _ = await driver.commit(create(key()), append(key(), b"carried"), append(key(), b"waiting"))
        outcome = await driver.apply(
            turn(
                key(),
                consumed=[started.sequence, carried.sequence],
                generation=generation(),
                effects=[
                    append(key(), b"start again", execution_id="g2", front=True),
                    append(key(), b"carried", front=True),
                    append(key(), b"old", execution_id="g1"),
                ],
            )
        )

        assert [effect.code for effect in outcome.effects] == [Code.APPLIED, Code.APPLIED, Code.SUPERSEDED]
        assert await driver.inbox(key()) == [b"start again", b"carried", b"waiting"]

    async def test_a_turn_of_the_old_generation_is_stale(self, driver: Driver) -> None:
        """A turn names its generation: the old one's is STALE even with the right count."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), generation=generation()))

        assert (await driver.apply(turn(key(), 1, "g1"))).code is Code.STALE
        assert (await driver.apply(turn(key(), 0, "g2"))).code is Code.STALE
        assert (await driver.apply(turn(key(), 1, "g2"))).code is Code.APPLIED

    async def test_two_generations_in_one_batch(self, driver: Driver) -> None:
        """An instance may go on more than once within a batch; only the last generation is left."""
        await driver.apply(create(key(), input="first"))
        await driver.apply(turn(key(), history=[b"one"], tasks=[task(key())]))
        outcomes = await driver.commit(
            append(key(), b"event"),
            turn(key(), 1, "g1", generation=generation("g2"), effects=[append(key(), b"go 2", execution_id="g2")]),
            turn(key(), 2, "g2", history=[b"of 2"], tasks=[task(key(), 1, "g2")]),
            turn(key(), 3, "g2", generation=generation("g3"), effects=[append(key(), b"go 3", execution_id="g3")]),
            turn(key(), 4, "g3", history=[b"of 3"], tasks=[task(key(), 1, "g3")]),
        )
        loaded = await driver.load(key())

        assert [outcome.code for outcome in outcomes] == [Code.APPLIED] * 5
        assert (loaded.instance.execution_id, loaded.instance.turn) == ("g3", 5)
        assert (loaded.instance.input, loaded.instance.tags) == ("again", {"round": "g3"})
        assert loaded.history == framed(b"of 3")
        assert [message.payload for message in loaded.inbox] == [b"event", b"go 3"]
        assert await driver.open_task_keys() == [task_key(key(), 1, "g3")]

    async def test_a_generation_in_the_batch_that_creates_the_instance(self, driver: Driver) -> None:
        """A new instance may go on within its first batch, also one that takes the place of another."""
        await driver.apply(create(key("old"), input="old"))
        await driver.apply(turn(key("old"), status=RuntimeStatus.COMPLETED, history=[b"old"]))
        await driver.commit(
            create(key("new"), input="first"),
            create(key("old"), "h1", replace=[RuntimeStatus.COMPLETED]),
            turn(key("new"), 0, "g1", history=[b"x"], generation=generation("g2", input="second")),
            turn(key("old"), 0, "h1", generation=generation("h2", input="second")),
        )

        for of, execution_id in ((key("new"), "g2"), (key("old"), "h2")):
            loaded = await driver.load(of)

            assert (loaded.instance.execution_id, loaded.instance.input) == (execution_id, "second")
            assert (loaded.history, loaded.inbox) == (b"", ())

    async def test_a_generation_and_a_replacement_in_one_batch(self, driver: Driver) -> None:
        """An instance that goes on may give way in the same batch; nothing of either generation is left."""
        await driver.apply(create(key()))
        await driver.apply(turn(key(), history=[b"one"], tasks=[task(key())]))
        outcomes = await driver.commit(
            turn(key(), 1, generation=generation("g2"), effects=[append(key(), b"go 2", execution_id="g2")]),
            create(key(), "g3", start=b"go 3", replace=[RuntimeStatus.RUNNING]),
        )
        loaded = await driver.load(key())

        assert [outcome.code for outcome in outcomes] == [Code.APPLIED, Code.REPLACED]
        assert (loaded.instance.execution_id, loaded.instance.turn, loaded.history) == ("g3", 0, b"")
        assert [message.payload for message in loaded.inbox] == [b"go 3"]
        assert await driver.open_task_keys() == []
