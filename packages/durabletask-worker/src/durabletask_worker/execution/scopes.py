"""Scopes of orchestrator code: groups, whose members end together, and limits of time."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from durabletask_worker.errors import TaskCancelled
from durabletask_worker.execution.fibers import Fiber, Fibers, FiberTask
from durabletask_worker.execution.schedule import Schedule
from durabletask_worker.execution.tasks import OpenTask, Task, Waiter

__all__ = ["TaskGroup", "Timeout"]

T = TypeVar("T")


class Timeout:
    """A limit of time for a block of orchestrator code, in `with` or `async with`.

    When the time is over, `TaskCancelled` is raised where the block waits, and becomes a `TimeoutError` at the end of the block.
    Activities and sub-orchestrations that were begun go on; nobody waits for them any more.

    Args:
        fibers: The code of the orchestration.
        schedule: Where the timer goes.
        fire_at: When the time is over.
    """

    def __init__(self, fibers: Fibers, schedule: Schedule, fire_at: datetime) -> None:
        self._fibers = fibers
        self._schedule = schedule
        self._fire_at = fire_at
        self._timer: int | None = None
        self._reason: TaskCancelled | None = None

    @property
    def expired(self) -> bool:
        """Whether the time is over and the block was left for it."""
        return self._reason is not None

    def __enter__(self) -> Self:
        if self._timer is not None:
            raise RuntimeError("a timeout can be entered once; make another one with ctx.timeout(…)")

        owner = self._fibers.current

        def expire() -> None:
            self._reason = TaskCancelled(f"the time was over at {self._fire_at.isoformat()}")

            if owner is not None:
                owner.cancel(self._reason)

        self._timer = self._schedule.start_timer(self._fire_at, expire)

        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._schedule.drop_timer(self._timer)

        if error is not None and error is self._reason:
            raise TimeoutError(str(error)) from error

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class TaskGroup:
    """Work that belongs together: when a part fails, the rest is cancelled, and nothing is left running at the end.

    `async with` waits for all members at its end. In a generator, `yield group.join()` does.

    Args:
        fibers: The code of the orchestration.
    """

    def __init__(self, fibers: Fibers) -> None:
        self._fibers = fibers
        self._open: dict[Task[object], None] = {}
        self._errors: list[Exception] = []
        self._end: _JoinTask | None = None
        self._is_closed = False
        self._owner: Fiber | None = None
        self._reason: TaskCancelled | None = None

    @overload
    def start(self, work: Task[T]) -> Task[T]: ...
    @overload
    def start(self, work: Coroutine[Any, Any, T]) -> Task[T]: ...
    @overload
    def start(self, work: Generator[Any, Any, T]) -> Task[T]: ...
    def start(self, work: Task[T] | Coroutine[Any, Any, T] | Generator[Any, Any, T]) -> Task[T]:
        """Add a member.

        Args:
            work: A coroutine or generator of orchestrator code, which begins when the code that runs now waits; or a task.

        Returns:
            The task of its result.

        Raises:
            RuntimeError: The group is at its end.
        """
        if self._is_closed or self._reason is not None:
            if not isinstance(work, Task):
                work.close()

            raise RuntimeError("the group is at its end and takes no further members")

        member = work if isinstance(work, Task) else FiberTask(self._fibers, work)

        if member.is_complete:
            self._note(member)
        else:
            self._open[member] = None
            member.join(self)

        return member

    def join(self) -> Task[None]:
        """Close the group, and wait for its members.

        Returns:
            A task that is complete when all members are. Waiting for it raises an `ExceptionGroup` if members failed. Code that
            is cancelled while it waits for it cancels the group.
        """
        self._is_closed = True

        if self._end is None:
            self._end = _JoinTask(self)
            self._settle()

        return self._end

    def cancel(self) -> None:
        """Cancel all members, and the code of `async with` where it waits next in its block. Without effect the second time.

        Coroutines and generators are unwound with `TaskCancelled`. Activities and sub-orchestrations go on, and nobody waits for
        them any more.
        """
        if self._reason is not None:
            return

        self._reason = TaskCancelled("the group was cancelled, or another member of it failed")

        for member in list(self._open):
            if isinstance(member, FiberTask):
                member.cancel(self._reason)
            else:
                # Nobody waits for it any more; an event is left for others.
                member.leave(self)
                self._open.pop(member, None)

        if self._owner is not None:
            self._owner.cancel(self._reason)

        self._settle()

    def task_settled(self, task: Task[object]) -> None:
        """Learn that a member is at its end. For the replay core."""
        self._open.pop(task, None)
        self._note(task)
        self._settle()

    async def __aenter__(self) -> Self:
        self._owner = self._fibers.current

        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        owner, self._owner = self._owner, None

        # It came while the code ran, and would unwind whatever the code waits for next.
        if owner is not None and self._reason is not None:
            owner.withdraw(self._reason)

        if error is not None:
            self.cancel()

            if isinstance(error, Exception):
                self._errors.append(error)

        cancelled = None if error is None or error is self._reason or isinstance(error, Exception) else error

        while True:
            try:
                await self.join()
            except TaskCancelled as outer:
                # Somebody who is outside gives up on all of this.
                cancelled = outer
                self.cancel()
                continue
            except ExceptionGroup:
                if cancelled is None:
                    raise

            break

        if cancelled is not None and cancelled is not error:
            raise cancelled

    def _note(self, task: Task[object]) -> None:
        error = task.get_exception()

        if isinstance(error, Exception):
            self._errors.append(error)
            self.cancel()

    def _settle(self) -> None:
        if self._end is None or self._open:
            return

        if self._errors:
            self._end.fail(ExceptionGroup("members of a group failed", self._errors))
        else:
            self._end.complete(None)


class _JoinTask(OpenTask[None]):
    """The wait for all members of a group."""

    __slots__ = ("_group",)

    def __init__(self, group: TaskGroup) -> None:
        super().__init__()
        self._group = group

    def abandon(self, waiter: Waiter) -> None:
        """See `Task.abandon`. Nothing is left running behind code that is gone."""
        super().abandon(waiter)
        self._group.cancel()
