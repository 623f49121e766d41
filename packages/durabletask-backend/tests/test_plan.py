"""The rules of a commit, on their own: what a batch leads to, and that its making is no matter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from durabletask_backend.conformance.samples import (
    FOREVER,
    HUB,
    LATER,
    answer,
    append,
    create,
    generation,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.memory import MemoryBackend
from durabletask_backend.mutations import (
    Batch,
    Code,
    CompleteTask,
    CompleteTurn,
    CreateInstance,
    Effect,
    MarkTasksOut,
    Mutation,
    Outcome,
    PurgeInstance,
)
from durabletask_backend.plan import Head, WriteSet, plan, rows_read
from durabletask_backend.values import (
    InstanceFilter,
    InstanceKey,
    Lease,
    LoadedInstance,
    RuntimeStatus,
)
from hypothesis import given, settings
from hypothesis import strategies as st

LEASE = Lease(owner="me", epoch=1)


def batch(*mutations: Mutation) -> Batch:
    return Batch(id="b", lease=LEASE, mutations=mutations)


def head(
    execution_id: str = "g1", status: RuntimeStatus = RuntimeStatus.RUNNING, number: int = 0, owner: str | None = "me"
) -> Head:
    return Head(execution_id, status, number, owner)


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

        assert read == (
            {
                key(name)
                for name in (["created", "told", "sent", "answered", "turned", "effect", "child", "parent", "purged"])
            },
            {task_key(key("answered"))},
        )


class TestWrites:
    def test_sequences_go_on_from_the_first_unused(self) -> None:
        outcomes, writes = plan(batch(append(key()), append(key("nobody")), append(key())), {key(): head()}, set(), 41)

        assert [outcome.sequence for outcome in outcomes] == [41, 0, 42]
        assert [row.message.sequence for row in writes.inbox] == [41, 42]
        assert writes.next_sequence == 43

    @pytest.mark.parametrize("owner", [None, "me"])
    def test_a_turn_of_one_s_own_or_nobody_s(self, owner: str | None) -> None:
        (outcome,), writes = plan(batch(turn(key())), {key(): head(owner=owner)}, set(), 1)

        assert outcome.code is Code.APPLIED
        assert writes.turns == [turn(key())]

    def test_a_turn_of_somebody_else_s(self) -> None:
        (outcome,), writes = plan(batch(turn(key(), tasks=[task(key())])), {key(): head(owner="you")}, set(), 1)

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
            {},
            set(),
            1,
        )

        assert (writes.reset, writes.new_generation, writes.created) == (set(), {}, {})
        assert (writes.turns, writes.history, writes.inbox, writes.tasks) == ([], [], [], [])

    def test_a_turn_of_a_created_instance_is_part_of_its_creation(self) -> None:
        _, writes = plan(batch(create(key()), turn(key(), generation=generation("g2", input="in"))), {}, set(), 1)

        assert writes.turns == []
        assert writes.new_generation == {}
        assert (writes.created[key()].execution_id, writes.created[key()].turn) == ("g2", 1)

    def test_the_first_of_two_generations_is_the_one_that_was_stored(self) -> None:
        _, writes = plan(
            batch(turn(key(), generation=generation("g2")), turn(key(), 1, "g2", generation=generation("g3"))),
            {key(): head()},
            set(),
            1,
        )

        assert writes.new_generation == {key(): "g1"}

    def test_a_replacement_after_a_replacement(self) -> None:
        anyway = frozenset(RuntimeStatus)
        outcomes, writes = plan(
            batch(create(key(), "g2", replace=anyway), create(key(), "g3", replace=anyway)), {key(): head()}, set(), 1
        )

        assert [outcome.code for outcome in outcomes] == [Code.REPLACED, Code.REPLACED]
        assert writes.reset == {key()}
        assert [row.message.execution_id for row in writes.inbox] == ["g3"]

    def test_what_is_no_mutation(self) -> None:
        with pytest.raises(TypeError, match="str is not a mutation"):
            plan(Batch(id="b", lease=LEASE, mutations=["x"]), {}, set(), 1)  # type: ignore[list-item]


# Random lives. A step says what is attempted; what it comes to depends on where the instance stands by then, so that most
# turns are not stale, and some are.

NAMES = ["a", "b", "c"]
STATUSES = [RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED, RuntimeStatus.COMPLETED, RuntimeStatus.FAILED]


@dataclass(frozen=True)
class Step:
    kind: str
    of: InstanceKey
    other: InstanceKey
    number: int
    status: RuntimeStatus
    off: bool
    """Whether to name a generation that is not the live one."""


steps = st.builds(
    Step,
    kind=st.sampled_from(
        ["create", "replace", "collide", "append", "bound", "timer", "turn", "turn", "again", "answer", "out", "purge"]
    ),
    of=st.sampled_from(NAMES).map(key),
    other=st.sampled_from(NAMES).map(key),
    number=st.integers(0, 3),
    status=st.sampled_from(STATUSES),
    off=st.integers(0, 9).map(lambda roll: roll == 0),
)


def mutation(step: Step, loaded: LoadedInstance | None, serial: int) -> Mutation:
    """What a step comes to for an instance that stands so."""
    payload = b"%d" % serial
    live = "none" if loaded is None else loaded.instance.execution_id
    execution_id = "gone" if step.off else live
    fresh = f"g{serial}"
    turns = 0 if loaded is None else loaded.instance.turn
    consumed = [] if loaded is None else [message.sequence for message in loaded.inbox[: step.number]]
    effects: list[Effect] = [
        append(step.other, b"effect " + payload),
        create(step.other, fresh, on_conflict=append(step.of, b"taken " + payload)),
        append(step.of, b"self " + payload, due_at=LATER + step.number),
    ]

    match step.kind:
        case "create":
            return create(step.of, live if step.off else fresh, start=payload)
        case "replace":
            return create(step.of, fresh, start=payload, replace=STATUSES[step.number :])
        case "collide":
            return create(step.of, fresh, on_conflict=append(step.other, payload))
        case "append":
            return append(step.of, payload, front=step.number == 0)
        case "bound":
            return append(step.of, payload, execution_id=execution_id)
        case "timer":
            return append(step.of, payload, execution_id=execution_id, due_at=LATER - step.number)
        case "turn":
            return turn(
                step.of,
                turns,
                execution_id,
                status=step.status,
                history=[payload] * step.number,
                history_first=0 if loaded is None else loaded.history_count,
                consumed=consumed,
                tasks=[task(step.of, number, execution_id) for number in range(4 * turns, 4 * turns + step.number)],
                effects=effects[: step.number],
            )
        case "again":
            return turn(
                step.of, turns, execution_id, consumed=consumed, generation=generation(fresh), effects=effects[:2]
            )
        case "answer":
            return answer(step.of, 4 * max(turns - 1, 0) + step.number, execution_id, payload=payload)
        case "out":
            return MarkTasksOut(tasks=(task_key(step.of, 4 * max(turns - 1, 0) + step.number, live),))
        case _:
            return PurgeInstance(key=step.of)


async def opened() -> MemoryBackend:
    backend = MemoryBackend()
    await backend.open(LEASE.owner)
    await backend.create_hub(HUB, b"secret")

    return backend


async def state(backend: MemoryBackend) -> object:
    """All that can be seen of a backend."""
    keys = list(map(key, NAMES))
    history = {of: b"".join([chunk.events async for chunk in backend.history(of)]) for of in keys}

    return (
        await backend.load(keys, now=FOREVER),
        history,
        await backend.due(after=None, limit=1000),
        await backend.claim_tasks(LEASE),
        await backend.claim_instances(LEASE),
        await backend.query(HUB, InstanceFilter(), payloads=True),
    )


async def one_by_one(walk: list[Step]) -> tuple[list[Mutation], list[Outcome], MemoryBackend]:
    """Apply each step on its own, as it comes out then."""
    backend = await opened()
    mutations: list[Mutation] = []
    outcomes: list[Outcome] = []

    for serial, step in enumerate(walk):
        before = await state(backend)
        loaded = (await backend.load([step.of], now=FOREVER)).get(step.of)
        mutations.append(mutation(step, loaded, serial))
        (outcome,) = await backend.commit(Batch(id=f"single {serial}", lease=LEASE, mutations=mutations[-1:]))
        outcomes.append(outcome)

        if outcome.code not in (Code.APPLIED, Code.REPLACED) and not is_refusal_with_effect(mutations[-1], outcome):
            assert await state(backend) == before, f"{outcome} of {mutations[-1]} changed something"

    return mutations, outcomes, backend


def is_refusal_with_effect(attempted: Mutation, outcome: Outcome) -> bool:
    """A creation that told of its conflict, and an answer that closed its task though nobody waits."""
    return bool(outcome.effects) or (
        isinstance(attempted, CompleteTask) and outcome.code in (Code.TERMINAL, Code.SUPERSEDED)
    )


def sequences(outcomes: list[Outcome]) -> Iterator[int]:
    for outcome in outcomes:
        if outcome.sequence:
            yield outcome.sequence

        yield from sequences(list(outcome.effects))


@settings(max_examples=300, deadline=None)
@given(walk=st.lists(steps, max_size=30), cut=st.integers(0, 30))
def test_a_batch_is_the_sum_of_its_mutations(walk: list[Step], cut: int) -> None:
    """Committed as one batch, or as two, mutations come to what they come to one by one."""

    async def compare() -> None:
        mutations, outcomes, singly = await one_by_one(walk)
        together = await opened()
        found = [
            *await together.commit(Batch(id="1", lease=LEASE, mutations=mutations[:cut])),
            *await together.commit(Batch(id="2", lease=LEASE, mutations=mutations[cut:])),
        ]

        assert found == outcomes
        assert await state(together) == await state(singly)

    asyncio.run(compare())


@settings(max_examples=300, deadline=None)
@given(walk=st.lists(steps, max_size=30), first=st.integers(1, 1000))
def test_what_a_plan_promises(walk: list[Step], first: int) -> None:
    """One outcome a mutation and an effect; sequences unique and rising; nothing written for what was refused."""

    async def mutations_of() -> list[Mutation]:
        return (await one_by_one(walk))[0]

    mutations = asyncio.run(mutations_of())
    outcomes, writes = plan(batch(*mutations), {}, set(), first)
    used = list(sequences(outcomes))

    assert len(outcomes) == len(mutations)
    assert used == list(range(first, writes.next_sequence))
    assert {row.message.sequence for row in writes.inbox} <= set(used)
    assert len({row.message.sequence for row in writes.inbox}) == len(writes.inbox)
    assert (writes.reset, writes.turns, writes.new_generation) == (set(), [], {}), "nothing was stored before"

    for mutation, outcome in zip(mutations, outcomes, strict=True):
        if isinstance(mutation, CompleteTurn):
            assert len(outcome.effects) == (len(mutation.effects) if outcome.code is Code.APPLIED else 0)
        elif isinstance(mutation, CreateInstance):
            told = outcome.code is Code.EXISTS and mutation.on_conflict is not None
            assert len(outcome.effects) == int(told)
        else:
            assert outcome.effects == ()


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
    outcomes, writes = plan(batch(*refused), {key(): head()}, set(), 5)

    assert Code.APPLIED not in {outcome.code for outcome in outcomes}
    assert writes == WriteSet(next_sequence=5)
