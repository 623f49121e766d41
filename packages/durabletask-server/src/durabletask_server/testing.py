"""Doubles for those who test what is built on the engine."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from durabletask_backend.values import Micros


class ManualClock:
    """A clock that stands still until it is told to move.

    Args:
        now: What time it starts at.
    """

    def __init__(self, now: Micros = 1_700_000_000_000_000) -> None:
        self._now = now
        self._alarms: list[tuple[Micros, int, ManualAlarm]] = []
        self._order = count()

    def now(self) -> Micros:
        """The time."""
        return self._now

    def call_at(self, at: Micros, callback: Callable[[], None]) -> ManualAlarm:
        """Call back when the clock is moved to `at` or beyond."""
        alarm = ManualAlarm(callback)
        heapq.heappush(self._alarms, (at, next(self._order), alarm))

        return alarm

    def advance(self, micros: Micros) -> None:
        """Move on, ringing on the way every alarm when it is due."""
        until = self._now + micros

        while self._alarms and self._alarms[0][0] <= until:
            at, _, alarm = heapq.heappop(self._alarms)
            self._now = max(self._now, at)
            alarm.ring()

        self._now = until


class ManualAlarm:
    """A call that is to come.

    Args:
        callback: The call.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not call."""
        self._callback = None

    def ring(self) -> None:
        """Call, unless it was cancelled."""
        if self._callback is not None:
            self._callback()
