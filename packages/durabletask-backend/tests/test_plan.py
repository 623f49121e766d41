"""The rules of a commit, on their own: what a batch leads to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from durabletask_backend.conformance.samples import (
    HUB,
    answer,
    append,
    create,
    entity_turn,
    generation,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.mutations import (
    Batch,
    Code,
    MarkTasksOut,
    Mutation,
    PurgeEntity,
    PurgeInstance,
    RewindInstances,
)
from durabletask_backend.plan import EntityHead, Head, Stored, WriteSet, plan, rows_read
from durabletask_backend.values import (
    Entity,
    Lease,
    RuntimeStatus,
)
from hypothesis import given
from hypothesis import strategies as st

LEASE = Lease(owner="me", epoch=1)


def batch(*mutations: Mutation) -> Batch:
    return Batch(id="b", lease=LEASE, mutations=mutations)


def head(
    execution_id: str = "g1", status: RuntimeStatus = RuntimeStatus.RUNNING, number: int = 0, owner: str | None = "me"
) -> Head:
    return Head(execution_id, status, number, owner)


def stored(of_key: Head | None = None, **entities: EntityHead) -> Stored:
    """The one hub, perhaps an instance under `key()`, and entities by their names."""
    return Stored(
        instances={} if of_key is None else {key(): of_key},
        entities={key(f"@{name}@a"): each for name, each in entities.items()},
        hubs={HUB},
    )


class TestRowsRead:
    def test_everything_that_a_condition_asks_about(self) -> None:
        read = rows_read(
            batch(
                create(key("created"), on_conflict=append(key("told"))),
                append(key("sent")),
                answer(key("answered")),
                turn(
                    key("turned"),
                    effects=[append(key("effect")), create(key("child"), on_conflict=append(key("parent")))],
                    tasks=[task(key("turned"))],
                ),
                PurgeInstance(key=key("purged")),
                MarkTasksOut(tasks=(task_key(key("marked")),)),
            )
        )

        assert (read.entities, read.inboxes) == (set(), set())
        assert (read.instances, read.tasks, read.hubs) == (
            {
                key(name)
                for name in (["created", "told", "sent", "answered", "turned", "effect", "child", "parent", "purged"])
            },
            {task_key(key("answered"))},
            {HUB},
        )

    def test_everything_about_entities_and_rewinding(self) -> None:
        read = rows_read(
            batch(
                append(key("@sent@a", "other"), otherwise=[append(key("told")), append(key("@told@a"))]),
                entity_turn(key("@turned@a"), effects=[append(key("@effect@a")), create(key("started", "third"))]),
                PurgeEntity(key=key("@purged@a")),
                PurgeEntity(key=key("@emptied@a"), only_empty=True),
                RewindInstances(turns=(turn(key("a"), effects=[append(key("b"))]), turn(key("c")))),
                replace(create(key("replaced")), on_replaced=(append(key("parent")),)),
            )
        )

        assert read.instances == {
            *map(key, ["told", "a", "b", "c", "replaced", "parent"]),
            key("started", "third"),
        }
        assert read.entities == {
            key("@sent@a", "other"),
            *map(key, ["@told@a", "@turned@a", "@effect@a", "@purged@a", "@emptied@a"]),
        }
        assert read.inboxes == {key("@emptied@a")}
        assert read.hubs == {HUB, "other", "third"}

    def test_no_hub_for_what_only_changes_what_is_there(self) -> None:
        """What exists is in a hub that exists: no look-up is spent on it."""
        read = rows_read(
            batch(
                append(key()),
                answer(key()),
                turn(key(), effects=[append(key())]),
                entity_turn(key("@e@1")),
                PurgeEntity(key=key("@e@1")),
            )
        )

        assert read.hubs == set()


class TestWrites:
    def test_sequences_go_on_from_the_first_unused(self) -> None:
        outcomes, writes = plan(batch(append(key()), append(key("nobody")), append(key())), stored(head()), 41)

        assert [outcome.sequence for outcome in outcomes] == [41, 0, 42]
        assert [row.message.sequence for row in writes.inbox] == [41, 42]
        assert writes.next_sequence == 43

    @pytest.mark.parametrize("owner", [None, "me"])
    def test_a_turn_of_one_s_own_or_nobody_s(self, owner: str | None) -> None:
        (outcome,), writes = plan(batch(turn(key())), stored(head(owner=owner)), 1)

        assert outcome.code is Code.APPLIED
        assert writes.turns == [turn(key())]

    def test_a_turn_of_somebody_else_s(self) -> None:
        (outcome,), writes = plan(batch(turn(key(), tasks=[task(key())])), stored(head(owner="you")), 1)

        assert outcome.code is Code.STALE
        assert writes == WriteSet(next_sequence=1)

    def test_what_was_never_stored_is_not_deleted(self) -> None:
        """Deletions name what was there before the batch; turns are only of what is stored."""
        _, writes = plan(
            batch(
                create(key()),
                turn(key(), 0, history=[b"a"], tasks=[task(key())]),
                turn(key(), 1, generation=generation("g2")),
                turn(key(), 2, "g2", status=RuntimeStatus.COMPLETED),
                PurgeInstance(key=key()),
            ),
            stored(),
            1,
        )

        assert (writes.reset, writes.new_generation, writes.created) == (set(), {}, {})
        assert (writes.turns, writes.history, writes.inbox, writes.tasks) == ([], [], [], [])

    def test_a_turn_of_a_created_instance_is_part_of_its_creation(self) -> None:
        _, writes = plan(batch(create(key()), turn(key(), generation=generation("g2", input="in"))), stored(), 1)

        assert writes.turns == []
        assert writes.new_generation == {}
        assert (writes.created[key()].execution_id, writes.created[key()].turn) == ("g2", 1)

    def test_the_first_of_two_generations_is_the_one_that_was_stored(self) -> None:
        _, writes = plan(
            batch(turn(key(), generation=generation("g2")), turn(key(), 1, "g2", generation=generation("g3"))),
            stored(head()),
            1,
        )

        assert writes.new_generation == {key(): "g1"}

    def test_a_replacement_after_a_replacement(self) -> None:
        anyway = frozenset(RuntimeStatus)
        outcomes, writes = plan(
            batch(create(key(), "g2", replace=anyway), create(key(), "g3", replace=anyway)), stored(head()), 1
        )

        assert [outcome.code for outcome in outcomes] == [Code.REPLACED, Code.REPLACED]
        assert writes.reset == {key()}
        assert [row.message.execution_id for row in writes.inbox] == ["g3"]

    def test_an_entity_s_turns_are_part_of_its_creation(self) -> None:
        e = key("@e@a")
        _, writes = plan(batch(append(e), entity_turn(e, state="s"), PurgeEntity(key=e), append(e, at=7)), stored(), 1)

        assert (writes.entities_deleted, writes.entity_turns) == (set(), [])
        assert writes.entities_created == {e: Entity(key=e, modified_at=7)}
        assert [row.message.sequence for row in writes.inbox] == [2]

    def test_what_is_written_of_a_stored_entity(self) -> None:
        e = key("@e@a")
        turns = [entity_turn(e, 3, state="s", consumed=[8]), entity_turn(e, 4)]
        _, writes = plan(batch(append(e), *turns), stored(e=EntityHead(3, True, "me")), 9)

        assert writes.entity_turns == turns
        assert (writes.entities_created, writes.entities_deleted, writes.consumed) == ({}, set(), [8])

        _, purged = plan(batch(*turns, PurgeEntity(key=e)), stored(e=EntityHead(3, True, "me")), 9)

        assert (purged.entity_turns, purged.entities_deleted) == ([], {e})

    @pytest.mark.parametrize("owner", [None, "me", "you"])
    def test_whose_an_entity_is(self, owner: str | None) -> None:
        (outcome,), _ = plan(batch(entity_turn(key("@e@a"))), stored(e=EntityHead(0, False, owner)), 1)

        assert outcome.code is (Code.STALE if owner == "you" else Code.APPLIED)

    @pytest.mark.parametrize("waiting", [{4}, {4, 5}])
    def test_an_entity_is_empty_when_all_that_waited_is_consumed(self, waiting: set[int]) -> None:
        e = key("@e@a")
        head = EntityHead(0, True, "me", frozenset(waiting))
        _, outcome = plan(batch(entity_turn(e, consumed=[4]), PurgeEntity(key=e, only_empty=True)), stored(e=head), 9)[
            0
        ]

        assert outcome.code is (Code.APPLIED if waiting == {4} else Code.NOT_EMPTY)

    def test_a_rewound_history_is_cleared_once(self) -> None:
        """What the batch appended before goes, too; what it appends after stays."""
        failed = head(status=RuntimeStatus.FAILED, number=5)
        rewound = RewindInstances(turns=(turn(key(), 5, history=[b"kept"]),))
        _, writes = plan(batch(rewound, turn(key(), 6, history=[b"x"], history_first=1)), stored(failed), 1)

        assert writes.history_cleared == {key()}
        assert [(row.first, row.length) for row in writes.history] == [(0, 1), (1, 1)]

        replaced = create(key(), "g2", replace=[RuntimeStatus.RUNNING])
        _, writes = plan(batch(rewound, replaced), stored(failed), 1)

        assert (writes.reset, writes.history_cleared, writes.history) == ({key()}, set(), [])

    def test_what_is_no_mutation(self) -> None:
        with pytest.raises(TypeError, match="str is not a mutation"):
            plan(Batch(id="b", lease=LEASE, mutations=["x"]), stored(), 1)  # type: ignore[list-item]


@given(
    st.lists(
        st.sampled_from(
            [
                turn(key(), 7),
                append(key("nobody")),
                answer(key(), 9),
                create(key(), "g1"),
                create(key(), "g2"),
                PurgeInstance(key=key()),
                append(key(), execution_id="g0"),
                turn(key("nobody")),
            ]
        )
    )
)
def test_what_is_refused_is_not_written(refused: list[Mutation]) -> None:
    outcomes, writes = plan(batch(*refused), stored(head()), 5)

    assert Code.APPLIED not in {outcome.code for outcome in outcomes}
    assert writes == WriteSet(next_sequence=5)
