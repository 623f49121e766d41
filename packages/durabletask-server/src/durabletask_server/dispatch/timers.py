"""When delayed messages are due: a heap of those that come next, refilled from the store."""

from __future__ import annotations

import asyncio
import heapq
import logging
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence

from durabletask_backend.errors import StorageFailedError
from durabletask_backend.values import DueMessage

from durabletask_server.clock import Alarm, Clock

log = logging.getLogger(__name__)

_RETRY = 1_000_000
"""Microseconds to wait before a failed refill is tried again."""


class Timers:
    """Calls back when a delayed message is due. Keeps a bounded number of them in memory; the others are in the store.

    Args:
        clock: The time.
        fire: Called with each message that is due, in order.
        refill: Reads the next messages from the store: `(after, limit)`.
        window: How many to keep in memory, about.
    """

    def __init__(
        self,
        clock: Clock,
        fire: Callable[[DueMessage], None],
        refill: Callable[[DueMessage | None, int], Awaitable[Sequence[DueMessage]]],
        *,
        window: int = 100_000,
    ) -> None:
        self._clock = clock
        self._fire = fire
        self._refill = refill
        self._window = window
        self._heap: list[DueMessage] = []
        # What is in the heap, by sequence: an instance that is loaded again has its timers again.
        self._known: set[int] = set()
        # Everything that sorts behind it is in the store only; None: all is in memory.
        self._horizon: DueMessage | None = None
        self._alarm: Alarm | None = None
        self._alarm_at = 0
        self._refilling: asyncio.Task[None] | None = None
        # How many reads of the store are under way.
        self._reading = 0

    async def start(self) -> None:
        """Read what comes next from the store; again, to find what other servers have left.

        Raises:
            StorageFailedError: It cannot be read.
        """
        self._reading += 1

        try:
            self._merge(await self._refill(None, self._window))
        finally:
            self._reading -= 1

    def stop(self) -> None:
        """Call back no more."""
        if self._alarm is not None:
            self._alarm.cancel()

        if self._refilling is not None:
            self._refilling.cancel()

        self._heap.clear()
        self._known.clear()

    def add(self, message: DueMessage) -> None:
        """A delayed message was committed, or loaded."""
        if message.sequence in self._known:
            return

        # What is read now may miss what is committed now.
        if self._horizon is not None and message > self._horizon and not self._reading:
            return

        heapq.heappush(self._heap, message)
        self._known.add(message.sequence)

        if len(self._heap) > 2 * self._window and not self._reading:
            self._heap = sorted(self._heap)[: self._window]
            self._known = {message.sequence for message in self._heap}
            self._horizon = self._heap[-1]

        self._arm()

    def __len__(self) -> int:
        return len(self._heap)

    def _arm(self) -> None:
        if not self._heap:
            return

        at = self._heap[0].due_at

        if self._alarm is not None:
            if self._alarm_at <= at:
                return

            self._alarm.cancel()

        self._alarm_at = at
        self._alarm = self._clock.call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now = self._clock.now()

        while self._heap and self._heap[0].due_at <= now:
            message = heapq.heappop(self._heap)
            self._known.discard(message.sequence)
            self._fire(message)

        if not self._heap and self._horizon is not None and self._refilling is None:
            self._reading += 1
            self._refilling = asyncio.create_task(self._load(self._horizon), name="timers")

        self._arm()

    async def _load(self, after: DueMessage) -> None:
        try:
            messages = await self._refill(after, self._window)
        except StorageFailedError as error:
            log.warning("cannot read the timers that come next, trying again: %s", error)
            self._clock.call_at(self._clock.now() + _RETRY, self._ring)
        else:
            self._merge(messages)
        finally:
            self._reading -= 1
            self._refilling = None

    def _merge(self, messages: Sequence[DueMessage]) -> None:
        self._heap = sorted({*self._heap, *messages})
        self._horizon = None

        if len(messages) >= self._window:
            # What was added behind it meanwhile is in the store, and read when its time is nearer.
            self._horizon = messages[-1]
            del self._heap[bisect_right(self._heap, self._horizon) :]

        self._known = {message.sequence for message in self._heap}
        self._arm()
