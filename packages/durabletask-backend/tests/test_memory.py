"""The conformance suite on the reference backend, and what only that one has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from durabletask_backend.conformance import BackendConformance, BackendFactory
from durabletask_backend.conformance.samples import HUB, append, create, key, task, task_key, turn
from durabletask_backend.contract import Backend, Hint
from durabletask_backend.errors import LocationError
from durabletask_backend.memory import MemoryBackend, MemoryStore, open_url
from durabletask_backend.mutations import Batch, PurgeEntity


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


class TestMemoryBackend(BackendConformance):
    many_owners = True
    # The store outlives its backends, though not the process.
    durable = True

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def backend_factory(self, clock: Clock) -> BackendFactory:
        store = MemoryStore(clock)

        return lambda: MemoryBackend(store)

    @pytest.fixture
    def pass_time(self, clock: Clock) -> Callable[[float], Awaitable[None]]:
        async def pass_time(seconds: float) -> None:
            clock.now += int(seconds * 1_000_000)

        return pass_time


class TestSingleMemoryBackend(BackendConformance):
    """As `--db memory:` makes it: a store of its own, with one owner."""

    @pytest.fixture
    def backend_factory(self) -> BackendFactory:
        return MemoryBackend


def test_it_is_a_backend() -> None:
    assert isinstance(MemoryBackend(), Backend)


async def test_closing_ends_the_changes() -> None:
    backend = MemoryBackend(MemoryStore())
    await backend.open("one")
    listening = asyncio.ensure_future(_listen(backend))
    # Once round the loop: it waits for its first hint now.
    await asyncio.sleep(0)
    assert not listening.done()
    await backend.close()

    assert await listening == []


async def test_hints_name_what_changed() -> None:
    store = MemoryStore()
    one, two = MemoryBackend(store), MemoryBackend(store)
    await one.open("one")
    lease = await two.open("two")
    await two.create_hub(HUB, b"secret")
    listening = asyncio.ensure_future(_listen(one))
    await asyncio.sleep(0)
    await two.commit(Batch(id="1", lease=lease, mutations=[create(key("a")), append(key("nobody"))]))
    await two.commit(Batch(id="2", lease=lease, mutations=[turn(key("a"), tasks=[task(key("a"))])]))
    await two.commit(Batch(id="3", lease=lease, mutations=[append(key("@Counter@a"))]))
    await two.release(lease, [key("a"), key("nobody")], [task_key(key("a")), task_key(key("a"), 2)])
    await two.commit(Batch(id="4", lease=lease, mutations=[PurgeEntity(key=key("@Counter@a"))]))
    await one.close()

    assert await listening == [
        Hint(key("a"), "two", "orchestrate"),
        Hint(key("a"), "two", "orchestrate"),
        Hint(key("@Counter@a"), "two", "counter"),
        Hint(key("a"), None, "orchestrate"),
        Hint(None, None, "act"),
        Hint(key("@Counter@a")),
    ]


def test_a_location_names_nothing() -> None:
    assert isinstance(open_url("memory:"), MemoryBackend)

    with pytest.raises(LocationError, match="memory:"):
        open_url("memory:somewhere")


async def _listen(backend: MemoryBackend) -> list[Hint]:
    return [hint async for hint in backend.changes()]
