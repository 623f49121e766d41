"""The journal: groups, order, and what becomes of a batch that failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from durabletask_backend.errors import LeaseLostError, StorageFailedError
from durabletask_backend.mutations import Batch, Code, CreateInstance, MarkTasksOut, Outcome
from durabletask_backend.testing import FaultyBackend
from durabletask_backend.values import Instance, InstanceKey, RuntimeStatus
from durabletask_server.journal import Journal, JournalClosedError, JournalFullError, JournalSettings


def creation(instance_id: str) -> CreateInstance:
    instance = Instance(
        key=InstanceKey("hub", instance_id),
        execution_id="e",
        name="n",
        status=RuntimeStatus.PENDING,
        created_at=1,
        updated_at=1,
    )

    return CreateInstance(instance=instance, start=b"start")


def ignore(_: Outcome) -> None: ...


@asynccontextmanager
async def journal(backend: FaultyBackend, **settings: float) -> AsyncIterator[Journal]:
    lease = await backend.open("owner")
    await backend.create_hub("hub", b"secret")
    made = Journal(backend, lease, "test", JournalSettings(ask_again=0.0, **settings))  # type: ignore[arg-type]
    made.start()

    try:
        yield made
    finally:
        await made.close()


async def test_what_comes_together_is_committed_together_and_in_order() -> None:
    backend = FaultyBackend()
    applied: list[str] = []

    async with journal(backend) as made:
        names = [f"i{number}" for number in range(20)]
        results = [
            made.submit(creation(name), lambda outcome, name=name: applied.append(name))  # type: ignore[misc]
            for name in names
        ]
        outcomes = await asyncio.gather(*results)

    assert len(backend.batches) == 1
    assert applied == names
    assert [outcome.code for outcome in outcomes] == [Code.APPLIED] * 20


async def test_a_limit_of_one_is_a_commit_a_mutation() -> None:
    backend = FaultyBackend()

    async with journal(backend, batch_limit=1) as made:
        await asyncio.gather(*(made.submit(creation(f"i{number}"), ignore) for number in range(5)))

    assert [len(batch.mutations) for batch in backend.batches] == [1] * 5


async def test_nothing_is_applied_of_a_batch_that_was_not_committed() -> None:
    backend = FaultyBackend()
    applied: list[Outcome] = []
    backend.fail_next(applied=False)

    async with journal(backend) as made:
        with pytest.raises(StorageFailedError):
            await made.submit(creation("lost"), applied.append)

        again = await made.submit(creation("lost"), ignore)

    assert applied == []
    assert again.code is Code.APPLIED


async def test_a_commit_whose_acknowledgement_was_lost_counts_once() -> None:
    backend = FaultyBackend()
    applied: list[Outcome] = []
    backend.fail_next(applied=True, silent=2)

    async with journal(backend) as made:
        outcome = await made.submit(creation("kept"), applied.append)

    assert applied == [outcome]
    assert outcome.code is Code.APPLIED
    assert await backend.get(InstanceKey("hub", "kept")) is not None


async def test_what_follows_from_one_mutation_cannot_stop_the_others() -> None:
    def broken(_: Outcome) -> None:
        raise ValueError("what follows is broken")

    async with journal(FaultyBackend()) as made:
        first = made.submit(creation("a"), broken)
        second = made.submit(creation("b"), ignore)

        assert (await first).code is (await second).code is Code.APPLIED


async def test_closing_commits_what_waits_and_refuses_what_comes_later() -> None:
    backend = FaultyBackend()

    async with journal(backend) as made:
        waiting = made.submit(creation("in time"), ignore)
        await made.close()
        late = made.submit(creation("too late"), ignore)

    assert (await waiting).code is Code.APPLIED

    with pytest.raises(JournalClosedError):
        await late


async def test_a_full_journal_admits_nobody() -> None:
    async with journal(FaultyBackend(), capacity=3) as made:
        made.admit()
        waiting = made.submit(creation("large"), ignore)

        with pytest.raises(JournalFullError, match="try again later"):
            made.admit()

        await waiting
        made.admit()


async def test_a_lost_lease_ends_the_journal() -> None:
    backend = FaultyBackend()
    lease = await backend.open("owner")
    await backend.create_hub("hub", b"secret")
    made = Journal(backend, lease, "test", JournalSettings())
    task = made.start()
    await backend.open("owner")

    with pytest.raises(LeaseLostError):
        await made.submit(creation("fenced"), ignore)

    with pytest.raises(LeaseLostError):
        await task


async def test_riders_come_along_but_are_no_reason_to_commit() -> None:
    backend = FaultyBackend()
    lease = await backend.open("owner")
    await backend.create_hub("hub", b"secret")
    made = Journal(backend, lease, "test", JournalSettings(), piggyback=lambda: (MarkTasksOut(tasks=()),))
    made.start()
    await made.submit(creation("a"), ignore)
    await made.close()

    assert [type(mutation) for mutation in backend.batches[0].mutations] == [CreateInstance, MarkTasksOut]
    assert len(backend.batches) == 1


async def test_the_failed_callback_is_called_also_when_nobody_waits_any_more() -> None:
    backend = FaultyBackend()
    failures: list[Exception] = []
    backend.fail_next(applied=False)

    async with journal(backend, batch_limit=1) as made:
        made.submit(creation("lost"), ignore, failures.append).cancel()
        await made.submit(creation("kept"), ignore)

    assert [type(error) for error in failures] == [StorageFailedError]


async def test_a_journal_that_ended_says_so_to_all() -> None:
    class Broken(FaultyBackend):
        async def commit(self, batch: Batch) -> Sequence[Outcome]:
            raise MemoryError("no more")

    backend = Broken()
    lease = await backend.open("owner")
    made = Journal(backend, lease, "test", JournalSettings(batch_limit=1))
    task = made.start()
    waiting = [made.submit(creation(name), ignore) for name in ("first", "second")]
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    late = await asyncio.gather(made.submit(creation("late"), ignore), return_exceptions=True)

    with pytest.raises(MemoryError):
        await task

    assert [type(end) for end in ends] == [StorageFailedError, StorageFailedError]
    assert [type(end) for end in late] == [JournalClosedError]
