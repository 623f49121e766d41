"""A hub for tests: in memory, on a clock that jumps, with activities that can be replaced."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random
from types import TracebackType
from typing import Any
from uuid import UUID

from durabletask_backend.memory import MemoryBackend
from durabletask_client import EntityInstanceId
from durabletask_server.settings import Settings
from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker
from durabletask_worker import Registry

from durabletask_embedded.doubles import SET_STATE, Doubles
from durabletask_embedded.hub import AsyncRunningHub, RunningHub, TaskHub
from durabletask_embedded.readable import described
from durabletask_embedded.virtual_time import VirtualClock, settled

__all__ = ["AsyncTestHub", "RunningTestHub", "TestHub"]

_WAITS = frozenset({"WaitForInstanceCompletion", "WaitForInstanceStart"})
_NEVER = 100 * 365 * 86_400.0
"""Seconds between what an engine does from time to time for others: nobody else is here."""


class TestHub:
    """A hub for tests, in `async with` or in `with`. Time stands still while anything happens, and jumps to what is due next when a test
    waits for an orchestration and nothing else can happen: a sleep of thirty days takes milliseconds.

    `async with` runs it on the test's event loop and gives an `AsyncTestHub`; `with` runs it on a thread of its own and gives a
    `RunningTestHub`, whose client blocks.

    Runs with the same seed have the same histories, as far as the code under test is deterministic: ids and the time that
    activities take follow from the seed.

    Args:
        registry: What the hub hosts.
        seed: What chance follows from.
        start: What time it is at first; a naive time is taken as UTC.
        latency: From how long to how long an activity takes, in virtual time.
        worker_options: Further arguments of `TaskHubGrpcWorker`.
    """

    __test__ = False  # to pytest it looks like tests

    def __init__(
        self,
        registry: Registry,
        *,
        seed: int = 0,
        start: datetime = datetime(2024, 1, 1, tzinfo=UTC),
        latency: tuple[timedelta, timedelta] = (timedelta(milliseconds=1), timedelta(milliseconds=100)),
        **worker_options: Any,
    ) -> None:
        self._clock = VirtualClock(start)
        self._seed = seed
        self._doubles = Doubles(self._clock, seed, latency)
        middleware = (*worker_options.pop("middleware", ()), self._doubles)
        self._hub = _VirtualTaskHub(registry, self._clock, seed, {**worker_options, "middleware": middleware})
        self._running = AsyncTestHub(self._clock, self._doubles, seed)
        self._blocking: RunningTestHub | None = None

    async def __aenter__(self) -> AsyncTestHub:
        await self._hub._begin(self._running)  # noqa: SLF001 - the other half of this class

        return self._running

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.stop()

    def __enter__(self) -> RunningTestHub:
        self._blocking = RunningTestHub(self._hub, self._running)

        return self._blocking

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._blocking is not None:
            self._blocking.stop()


class AsyncTestHub(AsyncRunningHub):
    """A running `TestHub`. Made by `async with TestHub(…)`.

    Args:
        clock: Its time.
        doubles: Its activities.
        seed: What chance follows from.
    """

    __test__ = False

    def __init__(self, clock: VirtualClock, doubles: Doubles, seed: int) -> None:
        super().__init__()
        self.seed = seed
        """What chance follows from."""
        self.clock = clock
        """The time, as orchestrations have it."""
        self.activities = doubles
        """Counts, replaces, fails and delays activities."""
        self._runner: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Begin to let time jump. For `TestHub`."""
        self._runner = asyncio.create_task(self.clock.run(self._is_idle, self._is_awaited), name="virtual time")

    async def advance(self, delay: timedelta) -> None:
        """Let time pass, with all that is due on the way, whether anybody waits for something or not.

        Args:
            delay: How much.
        """
        await self.clock.advance(delay, self._is_idle)

    async def settle(self) -> None:
        """Wait until nothing can happen before the time goes on."""
        await settled(self._is_idle)

    async def set_entity_state(self, entity: EntityInstanceId, state: object) -> None:
        """Give an entity a state, whatever it was before.

        Args:
            entity: The entity; it must not be locked.
            state: Any value that can be written as a payload; None to delete it.
        """
        self.activities.give(entity, state)
        await self.client.signal_entity(entity, SET_STATE)
        await self.settle()

    def describe(self) -> str:
        """Describe each instance and its history, for people to read. Waits for nothing, and may be called from any thread while nothing happens."""
        backend = self.engine.backend
        assert isinstance(backend, MemoryBackend)

        return described(backend, DEFAULT_HUB)

    async def stop(self) -> None:
        """See `AsyncRunningHub.stop`."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])

        await super().stop()

    def _is_idle(self) -> bool:
        engine = self.engine
        calls = sum(number for name, number in self.channel.under_way.items() if name not in _WAITS)

        return not calls and engine.is_quiet(but=self.clock.sleepers)

    def _is_awaited(self) -> bool:
        return any(self.channel.under_way[name] for name in _WAITS)


class RunningTestHub(RunningHub):
    """A running `TestHub` for tests that block. Made by `with TestHub(…)`.

    Args:
        hub: What to run.
        running: What it becomes.
    """

    __test__ = False

    def __init__(self, hub: TaskHub, running: AsyncTestHub) -> None:
        self.clock = running.clock
        """The time, as orchestrations have it."""
        self.seed = running.seed
        """What chance follows from."""
        self.activities = running.activities
        """Counts, replaces, fails and delays activities."""
        self._test_hub = running
        super().__init__(hub, running)

    def advance(self, delay: timedelta) -> None:
        """See `AsyncTestHub.advance`."""
        self._run(self._test_hub.advance(delay))

    def settle(self) -> None:
        """See `AsyncTestHub.settle`."""
        self._run(self._test_hub.settle())

    def set_entity_state(self, entity: EntityInstanceId, state: object) -> None:
        """See `AsyncTestHub.set_entity_state`."""
        self._run(self._test_hub.set_entity_state(entity, state))

    def describe(self) -> str:
        """See `AsyncTestHub.describe`."""
        return self._test_hub.describe()


class _VirtualTaskHub(TaskHub):
    def __init__(self, registry: Registry, clock: VirtualClock, seed: int, worker_options: dict[str, Any]) -> None:
        super().__init__("", registry, grace_period=0.0, **worker_options)
        self._clock = clock
        self._random = Random(seed)
        self._new_id = self._ids

    async def _begin(self, hub: AsyncRunningHub) -> AsyncRunningHub:
        await super()._begin(hub)
        assert isinstance(hub, AsyncTestHub)
        hub.run()

        return hub

    def _engine(self) -> TaskHubWorker:
        settings = Settings(ping_interval=_NEVER, lease=_NEVER, activity_grace=0.0)

        return TaskHubWorker(MemoryBackend(), clock=self._clock, new_id=self._ids, settings=settings)

    def _ids(self) -> str:
        return UUID(int=self._random.getrandbits(128), version=4).hex
