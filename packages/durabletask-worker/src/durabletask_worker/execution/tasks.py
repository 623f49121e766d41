"""What orchestrator code waits for: tasks, and groups of them.

The replay core settles a task, from an event, and the task tells those who wait for it: groups, and the code itself. It also
learns when nobody waits for it any more, because its group was decided without it: an external event must not be spent on
such a wait.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterable
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["OpenTask", "Task", "TimerTask", "Waiter", "when_all", "when_any"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Waiter(Protocol):
    """Who waits for tasks."""

    def task_settled(self, task: Task[object]) -> None:
        """Learn that a task which was waited for has a result or a failure."""


class Task(Generic[T_co]):
    """Work that an orchestration asked for, to be waited for with `await` (in an `async def`) or `yield` (in a generator)."""

    __slots__ = ("_error", "_result", "_waiters", "is_complete")

    is_complete: bool
    """Whether there is a result or a failure."""

    def __init__(self) -> None:
        self.is_complete = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._waiters: list[Waiter] = []

    @property
    def is_failed(self) -> bool:
        """Whether it failed."""
        return self._error is not None

    def get_result(self) -> T_co:
        """Take the result.

        Returns:
            The result.

        Raises:
            TaskFailedError: The activity or sub-orchestration failed.
            TimeoutError: The event that was waited for did not come in time.
            ValueError: The task is not complete.
        """
        if not self.is_complete:
            raise ValueError("the task is not complete; wait for it first, with await or yield")

        if self._error is not None:
            raise self._error

        result: T_co = self._result

        return result

    def get_exception(self) -> BaseException | None:
        """Say why it failed.

        Returns:
            The error that waiting for it raises; None if it has not failed.
        """
        return self._error

    def __await__(self) -> Generator[Task[Any], object, T_co]:
        if not self.is_complete:
            yield self

        # Not get_result(), for speed: each step of each replay comes by here.
        if self._error is not None:
            raise self._error

        result: T_co = self._result

        return result

    __iter__ = __await__

    def join(self, waiter: Waiter) -> None:
        """Take on somebody who waits for this. For the replay core.

        May settle the task, with an event that is there already.
        """
        self._waiters.append(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Let go of somebody who waited for this, if that is so. For the replay core."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def abandon(self, waiter: Waiter) -> None:
        """Let go of somebody who was cancelled while it waited for this. For the replay core."""
        self.leave(waiter)

    def _settle(self, result: object, error: BaseException | None) -> None:
        if self.is_complete:
            return

        self.is_complete = True
        self._result = result
        self._error = error
        waiters, self._waiters = self._waiters, []

        for waiter in waiters:
            waiter.task_settled(self)


class OpenTask(Task[T]):
    """A task that the core settles."""

    __slots__ = ()

    def complete(self, result: T) -> None:
        """Settle it with a result. Without effect on one that is settled."""
        self._settle(result, None)

    def fail(self, error: BaseException) -> None:
        """Settle it with a failure. Without effect on one that is settled."""
        self._settle(None, error)


class TimerTask(OpenTask[None]):
    """The wait for a time."""

    __slots__ = ()

    def fire(self) -> None:
        """Settle it: it is time."""
        self._settle(None, None)


class _Group(Task[T_co]):
    """Tasks that are waited for together. It waits for its members for as long as somebody may wait for it."""

    __slots__ = ("_is_waiting", "_members")

    def __init__(self, members: tuple[Task[object], ...]) -> None:
        super().__init__()
        self._members = members
        self._wait()

    def join(self, waiter: Waiter) -> None:
        super().join(waiter)

        if not self._is_waiting:
            self._wait()

    def leave(self, waiter: Waiter) -> None:
        super().leave(waiter)

        if not self._waiters:
            self._stop_waiting()

    def task_settled(self, task: Task[object]) -> None:
        self._count(task)

        if self.is_complete:
            self._stop_waiting()

    @abstractmethod
    def _count(self, task: Task[object]) -> None:
        """Take a settled member into account."""

    def _wait(self) -> None:
        self._is_waiting = True

        for member in self._members:
            if member.is_complete:
                self.task_settled(member)
            else:
                member.join(self)

            if self.is_complete:
                return

    def _stop_waiting(self) -> None:
        self._is_waiting = False

        for member in self._members:
            if not member.is_complete:
                member.leave(self)


class _WhenAll(_Group[list[T]]):
    __slots__ = ("_missing",)

    def __init__(self, members: tuple[Task[T], ...]) -> None:
        super().__init__(members)

        if not members:
            self._settle([], None)

    def _wait(self) -> None:
        self._missing = len(self._members)
        super()._wait()

    def _count(self, task: Task[object]) -> None:
        self._missing -= 1

        if task.is_failed:
            self._settle(None, task.get_exception())
        elif not self._missing:
            self._settle([member.get_result() for member in self._members], None)


class _WhenAny(_Group[Task[T]]):
    __slots__ = ()

    def _count(self, task: Task[object]) -> None:
        self._settle(task, None)


def when_all(tasks: Iterable[Task[T]]) -> Task[list[T]]:
    """Wait for all of some tasks.

    Args:
        tasks: The tasks.

    Returns:
        A task whose result are their results, in the order of the tasks. It fails as soon as one of them fails, with that
        one's error; the others go on.

    Raises:
        TypeError: It is one task, not several.
    """
    return _WhenAll(_members(tasks))


def when_any(tasks: Iterable[Task[T]]) -> Task[Task[T]]:
    """Wait for the first of some tasks.

    The others go on and can be waited for again. Only a wait for an external event that was not the first rests until then:
    events that come meanwhile are kept for whoever asks next.

    Args:
        tasks: The tasks, one at least.

    Returns:
        A task whose result is the one that was settled first, even if it failed.

    Raises:
        TypeError: It is one task, not several.
        ValueError: There are no tasks.
    """
    members = _members(tasks)

    if not members:
        raise ValueError("when_any needs one task at least; of none, none is ever the first")

    return _WhenAny(members)


def _members(tasks: Iterable[Task[T]]) -> tuple[Task[T], ...]:
    # It can be iterated over, for `yield from`, and would pass for several.
    if isinstance(tasks, Task):
        raise TypeError("tasks is one task; give a list of tasks, as in when_all([a, b])")

    return tuple(tasks)
