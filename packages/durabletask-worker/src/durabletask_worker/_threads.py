"""The threads that plain functions run in, so that they may block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import NamedTuple, TypeVar

__all__ = ["THREAD_NAME", "Threads", "is_cancellation"]

T = TypeVar("T")

THREAD_NAME = "durabletask-activity"
"""What the names of the threads begin with."""


class _Raised(NamedTuple):
    """An exception, as a value: not every one passes from a thread to an event loop."""

    error: BaseException


class Threads:
    """A pool of threads.

    Args:
        limit: How many there are at most.
    """

    def __init__(self, limit: int) -> None:
        self._pool = ThreadPoolExecutor(limit, thread_name_prefix=THREAD_NAME)

    async def run(self, call: Callable[[], T]) -> T:
        """Call a function in a thread.

        Args:
            call: The function.

        Returns:
            What it returns.

        Raises:
            BaseException: Whatever it raises.
        """

        def attempt() -> T | _Raised:
            try:
                return call()
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                return _Raised(error)

        # With the caller's context variables, which a trace or a log of the user's may depend on.
        result = await asyncio.get_running_loop().run_in_executor(self._pool, copy_context().run, attempt)

        if isinstance(result, _Raised):
            try:
                raise result.error
            finally:
                # Its traceback has this frame.
                del result

        return result

    def close(self) -> None:
        """Start nothing more, and do not wait for what runs."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception is the cancellation of the task that runs, and no failure of what it does."""
    task = asyncio.current_task()

    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
