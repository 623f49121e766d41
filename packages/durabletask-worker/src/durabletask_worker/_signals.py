"""Signals that ask a process to end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["stopped_by_signals"]


@contextmanager
def stopped_by_signals(stop: Callable[[], None], logger: logging.Logger) -> Iterator[list[int]]:
    """Have SIGTERM and SIGINT stop something, for as long as the context lasts.

    Args:
        stop: Stops it; called on the event loop that runs, with each signal.
        logger: Where signals are noted.

    Yields:
        The signals that came, as they come.

    Raises:
        ValueError: Not in the main thread, which alone gets signals.
    """
    loop = asyncio.get_running_loop()
    came: list[int] = []

    def note(number: int) -> None:
        came.append(number)
        logger.info("%s: stopping", signal.Signals(number).name)
        stop()

    def handle(number: int, frame: FrameType | None) -> None:
        # Not every event loop takes signal handlers, but each can be woken up by one.
        loop.call_soon_threadsafe(note, number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}

    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
