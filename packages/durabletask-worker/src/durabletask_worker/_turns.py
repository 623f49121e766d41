"""The thread that orchestrator code runs on, and the watch over it.

One is enough: code of two orchestrations never runs at the same moment. It is not the thread of the event loop, so that code which
blocks holds up the other orchestrations for a while, and nothing else; then it is left behind with its thread.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from durabletask_worker.errors import OrchestratorBlocked

__all__ = ["TurnThread", "TurnTimeoutError"]

T = TypeVar("T")

_LATEST = 0.01
"""Seconds after which the event loop looks for results of itself."""
_DONE_AT_ONCE = 16
"""How many results the event loop learns of at once, at most."""
_CLOSE_TIMEOUT = 1.0
"""Seconds that what is there gets at the end."""


class TurnTimeoutError(Exception):
    """A job took too long and was left behind."""


class _Job(Generic[T]):
    """Something to be done on the thread.

    Args:
        what: What it is, for messages.
        work: Does it.
        future: Where the result goes; None for nowhere.
    """

    __slots__ = ("future", "is_reported", "started", "what", "work")

    def __init__(self, what: object, work: Callable[[], T], future: asyncio.Future[T] | None) -> None:
        self.what = what
        self.work = work
        self.future = future
        self.started = 0.0
        self.is_reported = False


class _Thread:
    """A thread that does one job after the other, until it is left behind.

    Args:
        inbox: Where jobs come from; None is the last.
        publish: Takes a job's result, or what it raised.
    """

    def __init__(
        self,
        inbox: SimpleQueue[_Job[Any] | None],
        publish: Callable[[_Job[Any], object, BaseException | None], None],
    ) -> None:
        self.current: _Job[Any] | None = None
        """The job that is done now."""
        self._inbox = inbox
        self._publish = publish
        self._is_left_behind = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="durabletask-orchestrators", daemon=True)
        self._thread.start()

    def stack(self) -> str:
        """Where the code is that runs now, without what leads to it."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - it is documented
        frames = traceback.extract_stack(frame) if frame is not None else []
        ours = [index for index, entry in enumerate(frames) if entry.filename == __file__]

        return "".join(traceback.format_list(frames[ours[-1] + 1 if ours else 0 :])).rstrip()

    def leave(self, job: _Job[Any]) -> bool:
        """Let it go on alone with a job, of which nobody hears any more.

        Args:
            job: What it is believed to do.

        Returns:
            Whether it still did.
        """
        with self._lock:
            if self.current is not job:
                return False

            self._is_left_behind = True
            # Code that waits in C goes on waiting; all other unwinds.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident or 0), ctypes.py_object(OrchestratorBlocked)
            )

            return True

    def _run(self) -> None:
        # It may arrive when the job is just done.
        with suppress(OrchestratorBlocked):
            while (job := self._inbox.get()) is not None:
                result, error = None, None
                job.started = time.monotonic()
                self.current = job

                try:
                    result = job.work()
                except BaseException as raised:  # noqa: BLE001 - for whoever waits; nothing ends the thread
                    error = raised

                with self._lock:
                    if self._is_left_behind:
                        return

                    self.current = None

                self._publish(job, result, error)
                del job, result, error


class TurnThread:
    """Does jobs one after the other, off the event loop, and leaves those behind that do not come to an end.

    To be used on the event loop that it is made on, but for `post`.

    Args:
        slow: After how many seconds a job is reported, with the stack; None for never.
        timeout: After how many seconds a job is left behind; None for never.
        logger: Where it is reported.
    """

    def __init__(self, *, slow: float | None, timeout: float | None, logger: logging.Logger) -> None:
        self.blocked = 0
        """How many jobs were left behind."""
        self._slow = slow
        self._timeout = timeout
        self._logger = logger
        self._loop = asyncio.get_running_loop()
        self._inbox: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._done: deque[tuple[_Job[Any], object, BaseException | None]] = deque()
        self._is_waking = False
        self._unsettled: set[asyncio.Future[Any]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._thread: _Thread | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._is_idle = False

    def run(self, what: object, work: Callable[[], T]) -> asyncio.Future[T]:
        """Do a job.

        Args:
            what: What it is, for messages.
            work: Does it, on the thread.

        Returns:
            Its result. `TurnTimeoutError` if it is left behind.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self.post(what, work, future)

        self._unsettled.add(future)
        self._is_idle = False

        if self._done:
            self._deliver()

        if self._sweep is None:
            self._sweep = self._loop.call_later(_LATEST, self._look_for_results)

        if self._thread is None:
            self._thread = _Thread(self._inbox, self._publish)

        if self._watch is None:
            self._watch_again(None)

        return future

    def post(self, what: object, work: Callable[[], T], future: asyncio.Future[T] | None = None) -> None:
        """Do a job that nobody waits for, after those that are there. Jobs may post jobs.

        Args:
            what: What it is, for messages.
            work: Does it, on the thread.
            future: Where the result goes nevertheless.
        """
        self._inbox.put(_Job(what, work, future))

    async def close(self) -> None:
        """Come to an end with what is there; or leave it behind, if it takes long."""
        if self._thread is not None:
            with suppress(TimeoutError, TurnTimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await self.run("the end", lambda: None)

            self._inbox.put(None)
            thread, self._thread = self._thread, None

            if thread.current is not None:
                thread.leave(thread.current)

        for timer in (self._watch, self._sweep):
            if timer is not None:
                timer.cancel()

        for future in self._unsettled:
            if not future.done():
                future.set_exception(TurnTimeoutError("it was not done when the worker stopped"))

    def _publish(self, job: _Job[Any], result: object, error: BaseException | None) -> None:
        """On the thread: have the event loop learn of a result, and of those that follow until it has the time."""
        if job.future is not None:
            self._done.append((job, result, error))
        elif error is not None:
            self._logger.error("%s broke", job.what, exc_info=error)

        # Waking the event loop takes longer than many a turn. While turns wait here, results wait for each other; should one of
        # the turns block, then until `_look_for_results`.
        if self._done and not self._is_waking and (self._inbox.empty() or len(self._done) >= _DONE_AT_ONCE):
            self._is_waking = True

            # Nobody is left to learn of it if the event loop is closed.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # First: what comes from now on wakes the event loop again.
        self._is_waking = False

        while self._done:
            job, result, error = self._done.popleft()

            if job.future is None:
                continue

            self._unsettled.discard(job.future)

            if job.future.done():
                continue

            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

    def _look_for_results(self) -> None:
        self._sweep = None
        self._deliver()

        if self._unsettled:
            self._sweep = self._loop.call_later(_LATEST, self._look_for_results)

    # The watch: a timer that runs only while there is something to watch.

    def _watch_again(self, job: _Job[Any] | None) -> None:
        """Look again when there may be something to say of a job, or of one that begins now."""
        now = time.monotonic()
        started, is_reported = (now, False) if job is None else (job.started, job.is_reported)
        limits = [self._timeout, None if is_reported else self._slow]
        due = [started + limit for limit in limits if limit is not None]

        if due:
            self._watch = self._loop.call_later(max(0.0, min(due) - now), self._look)

    def _look(self) -> None:
        self._watch = None
        thread = self._thread

        if thread is None:
            return

        job = thread.current

        if job is None:
            # Twice, as a job that was taken out a moment ago is not the current one yet.
            was_idle, self._is_idle = self._is_idle, self._inbox.empty()

            if not (was_idle and self._is_idle):
                self._watch_again(None)

            return

        self._is_idle = False
        age = time.monotonic() - job.started

        if self._timeout is not None and age >= self._timeout:
            if self._give_up(thread, job, age):
                job = None
        elif self._slow is not None and age >= self._slow and not job.is_reported:
            job.is_reported = True
            self._logger.warning(
                "%s has blocked for %.1f seconds; orchestrator code must not block. It is here:\n%s",
                job.what,
                age,
                thread.stack(),
            )

        self._watch_again(job)

    def _give_up(self, thread: _Thread, job: _Job[Any], age: float) -> bool:
        stack = thread.stack()

        if not thread.leave(job):
            return False

        self.blocked += 1
        self._logger.error(
            "%s has blocked for %.1f seconds and is given up. It is here:\n%s",
            job.what,
            age,
            stack,
        )
        self._thread = _Thread(self._inbox, self._publish)

        if job.future is not None:
            self._unsettled.discard(job.future)

        if job.future is not None and not job.future.done():
            job.future.set_exception(TurnTimeoutError(f"{job.what} took longer than {self._timeout} seconds"))

        return True
