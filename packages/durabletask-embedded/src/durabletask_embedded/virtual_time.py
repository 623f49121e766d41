"""Time that jumps: to the next thing that is due, when nothing else can happen before it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

__all__ = ["VirtualAlarm", "VirtualClock"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STEADY = 4
"""How many looks in a row must find nothing to do: what one step of the event loop ends, another may begin."""
_PAUSE = 0.0005
"""Seconds between looks while something runs in a thread, at the most."""
_FIRST_PAUSE = 0.00005
"""Seconds; each is a little longer than the one before."""
_IMPATIENT = 16
"""Looks without a pause before there are pauses."""


class VirtualAlarm:
    """A call that is to come, or a sleep.

    Args:
        callback: The call.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    @property
    def is_pending(self) -> bool:
        """Whether it is still to come."""
        return self._callback is not None

    def cancel(self) -> None:
        """Do not call."""
        self._callback = None

    def ring(self) -> None:
        """Call, unless it was cancelled."""
        callback, self._callback = self._callback, None

        if callback is not None:
            callback()


class VirtualClock:
    """A clock that stands still while anything happens. It is a `durabletask_server.clock.Clock`.

    Args:
        start: What time it starts at; a naive time is taken as UTC.
    """

    def __init__(self, start: datetime) -> None:
        aware = start if start.tzinfo is not None else start.replace(tzinfo=UTC)
        self._now = (aware - _EPOCH) // _MICROSECOND
        self._alarms: list[tuple[int, int, VirtualAlarm]] = []
        self._order = count()
        self.sleepers = 0
        """How many sleep."""

    def now(self) -> int:
        """The time, in microseconds since 1970."""
        return self._now

    @property
    def datetime(self) -> datetime:
        """The time, aware and in UTC."""
        return _EPOCH + self._now * _MICROSECOND

    def call_at(self, at: int, callback: Callable[[], None]) -> VirtualAlarm:
        """Call back when it is `at`."""
        alarm = VirtualAlarm(callback)
        heapq.heappush(self._alarms, (at, next(self._order), alarm))

        return alarm

    async def sleep(self, delay: timedelta) -> None:
        """Sleep until the time has come that far."""
        woken = asyncio.Event()
        alarm = self.call_at(self._now + delay // _MICROSECOND, woken.set)
        self.sleepers += 1

        try:
            await woken.wait()
        finally:
            self.sleepers -= 1
            alarm.cancel()

    def jump(self, limit: int | None = None) -> bool:
        """Go on to the next alarm, and ring it.

        Args:
            limit: Not beyond this time; None for as far as it takes.

        Returns:
            Whether there was one.
        """
        while self._alarms and not self._alarms[0][2].is_pending:
            heapq.heappop(self._alarms)

        if not self._alarms or (limit is not None and self._alarms[0][0] > limit):
            return False

        at, _, alarm = heapq.heappop(self._alarms)
        self._now = max(self._now, at)
        alarm.ring()

        return True

    async def run(self, is_idle: Callable[[], bool], is_awaited: Callable[[], bool]) -> None:
        """Jump whenever nothing else can happen and somebody waits for something, until cancelled.

        Args:
            is_idle: Whether nothing happens but for what sleeps.
            is_awaited: Whether somebody waits.
        """
        while True:
            if is_awaited():
                await settled(is_idle)

                if is_awaited() and self.jump():
                    continue

            await asyncio.sleep(_PAUSE)

    async def advance(self, delay: timedelta, is_idle: Callable[[], bool]) -> None:
        """Let time pass, with all that is due on the way.

        Args:
            delay: How much.
            is_idle: As for `run`.
        """
        until = self._now + delay // _MICROSECOND
        await settled(is_idle)

        while self.jump(until):
            await settled(is_idle)

        self._now = max(self._now, until)


async def settled(is_idle: Callable[[], bool]) -> None:
    """Wait until nothing happens any more.

    Args:
        is_idle: Whether nothing happens now.
    """
    steady = looks = 0

    while steady < _STEADY:
        await asyncio.sleep(0 if looks < _IMPATIENT or steady else min(_PAUSE, _FIRST_PAUSE * looks / _IMPATIENT))
        looks += 1
        steady = steady + 1 if is_idle() else 0
