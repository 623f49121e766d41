"""The rules of a commit on random lives of instances and entities: that a batch's making is no matter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace

from durabletask_backend.conformance.samples import (
    HUB,
    LATER,
    answer,
    append,
    create,
    entity_lock,
    entity_turn,
    generation,
    key,
    task,
    task_key,
    turn,
)
from durabletask_backend.memory import MemoryBackend
from durabletask_backend.mutations import (
    AppendMessage,
    Batch,
    Code,
    CompleteEntityTurn,
    CompleteTask,
    CompleteTurn,
    CreateInstance,
    Effect,
    MarkTasksOut,
    Mutation,
    Outcome,
    PurgeEntity,
    PurgeInstance,
    RewindInstances,
)
from durabletask_backend.plan import Stored, plan
from durabletask_backend.values import (
    EntityFilter,
    InstanceFilter,
    InstanceKey,
    Lease,
    LoadedEntity,
    LoadedInstance,
    RuntimeStatus,
)
from hypothesis import given, settings
from hypothesis import strategies as st

LEASE = Lease(owner="me", epoch=1)

# Random lives. A step says what is attempted; what it comes to depends on where the instance stands by then, so that most
# turns are not stale, and some are.

NAMES = ["a", "b"]
ENTITIES = ["@a@1", "@b@1"]
HUBS = [HUB, HUB, HUB, "nowhere"]
STATUSES = [RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED, RuntimeStatus.COMPLETED, RuntimeStatus.FAILED]


@dataclass(frozen=True)
class Step:
    kind: str
    of: InstanceKey
    other: InstanceKey
    number: int
    status: RuntimeStatus
    off: bool
    """Whether to name a generation, or a turn of an entity, that is not the live one."""
    entity: InstanceKey


steps = st.builds(
    Step,
    kind=st.sampled_from(
        [
            *("create", "replace", "collide", "append", "bound", "timer", "turn", "turn", "again", "answer", "out"),
            *(
                "purge",
                "rewind",
                "rewind both",
                "signal",
                "signal",
                "entity turn",
                "entity turn",
                "purge entity",
                "clean",
            ),
        ]
    ),
    of=st.sampled_from(NAMES).map(key),
    other=st.sampled_from(NAMES).map(key),
    number=st.integers(0, 3),
    status=st.sampled_from(STATUSES),
    off=st.integers(0, 9).map(lambda roll: roll == 0),
    entity=st.builds(key, st.sampled_from(ENTITIES), st.sampled_from(HUBS)),
)


def mutation(  # noqa: C901 - one flat list, a step a kind
    step: Step, loaded: LoadedInstance | None, other: LoadedInstance | None, entity: LoadedEntity | None, serial: int
) -> Mutation:
    """What a step comes to for instances and an entity that stand so."""
    payload = b"%d" % serial
    live = "none" if loaded is None else loaded.instance.execution_id
    execution_id = "gone" if step.off else live
    fresh = f"g{serial}"
    turns = 0 if loaded is None else loaded.instance.turn
    consumed = [] if loaded is None else [message.sequence for message in loaded.inbox[: step.number]]
    effects: list[Effect] = [
        append(step.other, b"effect " + payload),
        replace(
            create(step.other, fresh, on_conflict=append(step.of, b"taken " + payload), replace=STATUSES[3:]),
            on_replaced=(append(step.of, b"replaced " + payload),),
        ),
        append(step.of, b"self " + payload, due_at=LATER + step.number),
        append(step.entity, b"signal " + payload, at=serial),
    ]

    match step.kind if step.off else possible(step.kind, loaded, entity):
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
        case "fail":
            return turn(step.of, turns, execution_id, status=RuntimeStatus.FAILED, consumed=consumed)
        case "purge":
            return PurgeInstance(key=step.of)
        case "rewind" | "rewind both":
            rewound = [
                turn(
                    each.instance.key,
                    each.instance.turn,
                    "gone" if step.off else each.instance.execution_id,
                    history=[payload] * step.number,
                    tasks=[task(each.instance.key, each.instance.turn * 4, each.instance.execution_id)],
                    effects=effects[: step.number],
                    generation=generation(fresh) if step.number == 2 else None,
                )
                for each in (loaded, other if step.kind == "rewind both" else None)
                if each is not None
            ]
            return RewindInstances(turns=tuple(rewound))
        case "signal":
            delayed = LATER if step.number == 1 else None
            otherwise = [append(step.of, payload)] if step.number == 2 else []
            return append(step.entity, payload, due_at=delayed, at=serial, otherwise=otherwise)
        case "entity turn":
            waiting = () if entity is None else entity.inbox
            return entity_turn(
                step.entity,
                (0 if entity is None else entity.entity.turn) + step.off,
                state=f"{serial}" if step.number == 1 else None,
                lock=entity_lock(f"{serial}") if step.number == 2 else None,
                at=serial,
                consumed=[message.sequence for message in waiting[: 2 * step.number + 1]],
                effects=effects[: step.number + 1] if step.number else [],
            )
        case "purge entity":
            return PurgeEntity(key=step.entity)
        case _:
            return PurgeEntity(key=step.entity, only_empty=True)


def possible(kind: str, loaded: LoadedInstance | None, entity: LoadedEntity | None) -> str:
    """What to do before a step of this kind can be more than refused, or that kind."""
    if kind in ("signal", "entity turn", "purge entity", "clean"):
        return "signal" if entity is None else kind

    if loaded is None:
        return "create"

    return "fail" if kind.startswith("rewind") and loaded.instance.status is not RuntimeStatus.FAILED else kind


async def opened() -> MemoryBackend:
    backend = MemoryBackend()
    await backend.open(LEASE.owner)
    await backend.create_hub(HUB, b"secret")

    return backend


async def state(backend: MemoryBackend) -> object:
    """All that can be seen of a backend."""
    keys = list(map(key, [*NAMES, *ENTITIES]))
    history = {of: b"".join([chunk.events async for chunk in backend.history(of)]) for of in keys}

    return (
        await backend.load(LEASE, keys),
        history,
        await backend.due(after=None, limit=1000),
        await backend.claim_tasks(LEASE),
        await backend.claim_instances(LEASE),
        await backend.query(HUB, InstanceFilter(), payloads=True),
        await backend.entities(HUB, EntityFilter(empty=True), states=True),
    )


async def one_by_one(walk: list[Step]) -> tuple[list[Mutation], list[Outcome], MemoryBackend]:
    """Apply each step on its own, as it comes out then."""
    backend = await opened()
    mutations: list[Mutation] = []
    outcomes: list[Outcome] = []

    for serial, step in enumerate(walk):
        before = await state(backend)
        loaded = await backend.load(LEASE, [step.of, step.other, step.entity])
        found, other, entity = (loaded.get(of) for of in (step.of, step.other, step.entity))
        assert not isinstance(found, LoadedEntity)
        assert not isinstance(other, LoadedEntity)
        assert not isinstance(entity, LoadedInstance)
        mutations.append(mutation(step, found, other, entity, serial))
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


def effects_of(attempted: Mutation, code: Code) -> int:
    """How many outcomes of effects a mutation has when it comes to this."""
    match attempted, code:
        case (CompleteTurn() | CompleteEntityTurn(), Code.APPLIED):
            return len(attempted.effects)
        case RewindInstances(), Code.APPLIED:
            return len(attempted.turns)
        case CreateInstance(), Code.EXISTS:
            return int(attempted.on_conflict is not None)
        case CreateInstance(), Code.REPLACED:
            return len(attempted.on_replaced)
        case AppendMessage(), (Code.MISSING | Code.TERMINAL | Code.SUPERSEDED | Code.NO_HUB):
            return len(attempted.otherwise)
        case _:
            return 0


@settings(max_examples=200, deadline=None)
@given(walk=st.lists(steps, min_size=8, max_size=30), cut=st.integers(0, 30))
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


@settings(max_examples=200, deadline=None)
@given(walk=st.lists(steps, min_size=8, max_size=30), first=st.integers(1, 1000))
def test_what_a_plan_promises(walk: list[Step], first: int) -> None:
    """One outcome a mutation and an effect; sequences unique and rising; nothing written for what was refused."""

    async def mutations_of() -> list[Mutation]:
        return (await one_by_one(walk))[0]

    mutations = asyncio.run(mutations_of())
    outcomes, writes = plan(Batch(id="b", lease=LEASE, mutations=mutations), Stored(hubs={HUB}), first)
    used = list(sequences(outcomes))

    assert len(outcomes) == len(mutations)
    assert used == list(range(first, writes.next_sequence))
    assert {row.message.sequence for row in writes.inbox} <= set(used)
    assert len({row.message.sequence for row in writes.inbox}) == len(writes.inbox)
    assert (writes.reset, writes.turns, writes.new_generation) == (set(), [], {}), "nothing was stored before"
    assert (writes.history_cleared, writes.entities_deleted, writes.entity_turns) == (set(), set(), [])

    for mutation, outcome in zip(mutations, outcomes, strict=True):
        assert len(outcome.effects) == effects_of(mutation, outcome.code), f"{outcome} of {mutation}"
