"""The clock: what time it is, and being called at a time. Injected wherever either matters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from durabletask_backend.values import Micros

_LONGEST_WAIT = 30.0
"""Seconds. The wall clock may be set while we wait; a wait is checked against it at least this often."""


class Alarm(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Do not call. Without effect once it was called."""
        ...


class Clock(Protocol):
    """Tells the time and calls back at a time, on the event loop."""

    def now(self) -> Micros:
        """The time."""
        ...

    def call_at(self, at: Micros, callback: Callable[[], None]) -> Alarm:
        """Call back once it is `at` or later; soon, if it is already."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> Micros:
        """The wall clock's time."""
        return time.time_ns() // 1000

    def call_at(self, at: Micros, callback: Callable[[], None]) -> Alarm:
        """Call back on the running event loop."""
        return _SystemAlarm(self, at, callback)


class _SystemAlarm:
    def __init__(self, clock: SystemClock, at: Micros, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._at = at
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._handle = self._arm()

    def cancel(self) -> None:
        self._handle.cancel()

    def _arm(self) -> asyncio.TimerHandle:
        wait = max((self._at - self._clock.now()) / 1_000_000, 0.0)

        return self._loop.call_later(min(wait, _LONGEST_WAIT), self._ring)

    def _ring(self) -> None:
        if self._clock.now() >= self._at:
            self._callback()
        else:
            self._handle = self._arm()
