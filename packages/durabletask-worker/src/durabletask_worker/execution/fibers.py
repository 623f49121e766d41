"""The orchestrator's code, and the coroutines that it started beside it, each from wait to wait.

One runs at a time, in an order that follows from the history alone: those whose task is settled, in the order of settling. None is
ever run by an event loop; all that they can wait for are durable tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeAlias, TypeVar

from durabletask_worker.errors import NonDeterminismError, TaskCancelled
from durabletask_worker.execution.determinism import foreign_wait
from durabletask_worker.execution.driver import Code, as_code
from durabletask_worker.execution.tasks import OpenTask, Task

__all__ = ["Fiber", "FiberTask", "Fibers", "Work"]

T = TypeVar("T")

Work: TypeAlias = Coroutine[Any, Any, T] | Generator[Any, Any, T] | Task[T]
"""What can be started beside the orchestrator's code."""


class Fiber:
    """Code that runs from wait to wait.

    Args:
        fibers: Those it runs among.
        on_end: Told at the end: the result and None, or what was raised.
    """

    __slots__ = ("_awaited", "_code", "_fibers", "_is_ready", "_on_end", "_thrown", "is_done", "started")

    def __init__(self, fibers: Fibers, on_end: Callable[[object, BaseException | None], None]) -> None:
        self._fibers = fibers
        self._on_end = on_end
        self._code: Code | None = None
        self._awaited: Task[object] | None = None
        self._thrown: BaseException | None = None
        self._is_ready = False
        self.is_done = False
        self.started: object = None
        """What stands for the code in messages: the coroutine or generator of the user's own."""

    def begin(self, call: Callable[[], object]) -> None:
        """Call the code, and run it up to its first wait or its end.

        Raises:
            NonDeterminismError: It waits for something that is not a durable task.
        """
        try:
            self.started = call()
            self._code = as_code(self.started)
        except KeyboardInterrupt:
            # Meant for the process; the server hands the turn out again.
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the code raises is its failure
            self._end(None, error)

            return

        if self._code is None:
            self._end(self.started, None)
        else:
            self._is_ready = True
            self.go_on()

    def prepare(self, work: Coroutine[Any, Any, Any] | Generator[Any, Any, Any]) -> None:
        """Take on code that is called already, to be run when it is its turn."""
        self.started, self._code = work, as_code(work)
        self.make_ready()

    def task_settled(self, task: Task[object]) -> None:
        """Learn that the code can go on."""
        self.make_ready()

    def make_ready(self) -> None:
        """Have the code go on when it is its turn."""
        if not self._is_ready:
            self._is_ready = True
            self._fibers.ready.append(self)

    def cancel(self, error: BaseException) -> None:
        """Have the code go on with an exception where it waits. Without effect on code that is done."""
        if self.is_done:
            return

        self._thrown = error

        if self._awaited is not None:
            self._awaited.abandon(self)
            self._awaited = None

        self.make_ready()

    def withdraw(self, error: BaseException) -> None:
        """Take back a cancellation that the code has not met yet. Without effect on one that it has met."""
        if self._thrown is error:
            self._thrown = None
            self._is_ready = False

    def close(self) -> None:
        """Unwind code that is not done.

        Raises:
            BaseException: What it raised instead.
        """
        try:
            if self._code is not None:
                self._code.close()
        finally:
            # They know of it, too.
            self._on_end = _unheard
            self._awaited = None

    def go_on(self) -> None:
        """Run the code to its next wait or its end, if there is a reason to.

        Raises:
            NonDeterminismError: It waits for something that is not a durable task.
        """
        code = self._code

        if code is None or self.is_done or not self._is_ready:
            return

        while True:
            # Here, not later: joining a task may settle it, and make this ready while it goes on already.
            self._is_ready = False
            self._awaited = None
            thrown, self._thrown = self._thrown, None

            try:
                awaited = code.send(None) if thrown is None else code.throw(thrown)
            except StopIteration as stop:
                self._end(stop.value, None)

                return
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever the code raises is its failure
                self._end(None, error)

                return

            if not isinstance(awaited, Task):
                raise foreign_wait(awaited, self.started, self._fibers.orchestration)

            # Cancelled while it ran: what it waits for must not wake it later, when it waits for something else, and an event
            # is left for others.
            if self._thrown is not None:
                awaited.abandon(self)
                continue

            if not awaited.is_complete:
                awaited.join(self)

            if not awaited.is_complete:
                self._awaited = awaited

                return

    def _end(self, result: object, error: BaseException | None) -> None:
        self.is_done = True
        self._is_ready = False
        self._fibers.ended(self)
        on_end, self._on_end = self._on_end, _unheard
        on_end(result, error)


def _unheard(result: object, error: BaseException | None) -> None:
    """Nobody is told: in place of who was, and holds what holds it."""


class FiberTask(OpenTask[T]):
    """The task whose result is that of a fiber."""

    __slots__ = ("_fiber",)

    def __init__(self, fibers: Fibers, work: Coroutine[Any, Any, T] | Generator[Any, Any, T]) -> None:
        super().__init__()
        self._fiber = fibers.start(work, self._ended)

    def cancel(self, error: TaskCancelled | None = None) -> None:
        """Unwind the coroutine: `TaskCancelled` is raised where it waits. Without effect on one that is done.

        Args:
            error: The exception to raise; None for one that says so.
        """
        self._fiber.cancel(error or TaskCancelled("the task was cancelled"))

    def _ended(self, result: object, error: BaseException | None) -> None:
        # It is about the whole orchestration, not about this part of it.
        if isinstance(error, NonDeterminismError):
            raise error

        self._settle(result, error)


class Fibers:
    """The running code of an orchestration.

    Args:
        orchestration: Whose code it is, for messages.
    """

    def __init__(self, orchestration: str) -> None:
        self.orchestration = orchestration
        self.ready: deque[Fiber] = deque()
        self.current: Fiber | None = None
        """The one that runs now."""
        self.main: Fiber | None = None
        """The orchestrator's own."""
        self._open: dict[Fiber, None] = {}

    @property
    def is_done(self) -> bool:
        """Whether all code is at its end, so that there is nothing to unwind."""
        return not self._open

    def begin(self, call: Callable[[], object], on_end: Callable[[object, BaseException | None], None]) -> None:
        """Call the orchestrator, and run its code as far as it goes.

        Args:
            call: Calls it.
            on_end: Told at its end.

        Raises:
            NonDeterminismError: Code waits for something that is not a durable task.
        """
        self.main = self.current = self._new(on_end)
        self.main.begin(call)
        self.run()

    def start(
        self,
        work: Coroutine[Any, Any, Any] | Generator[Any, Any, Any],
        on_end: Callable[[object, BaseException | None], None],
    ) -> Fiber:
        """Take on code to run beside the orchestrator's. It begins when what runs now waits.

        Args:
            work: The code.
            on_end: Told at its end.

        Returns:
            What runs it.
        """
        fiber = self._new(on_end)
        fiber.prepare(work)

        return fiber

    def ended(self, fiber: Fiber) -> None:
        """Learn that code is at its end."""
        self._open.pop(fiber, None)

    def run(self) -> None:
        """Run what can go on, until nothing can or the orchestrator is at its end.

        Raises:
            NonDeterminismError: Code waits for something that is not a durable task.
        """
        ready, main = self.ready, self.main

        while ready and main is not None and not main.is_done:
            self.current = ready.popleft()
            self.current.go_on()

        self.current = None

    def close(self) -> None:
        """Unwind what is not done, the latest first.

        Raises:
            BaseExceptionGroup: What the code raised while it unwound.
        """
        errors: list[BaseException] = []

        for fiber in reversed(list(self._open)):
            try:
                fiber.close()
            except BaseException as error:  # noqa: BLE001 - the user's `finally` and `except` may raise anything
                errors.append(error)

        # They know of this.
        self._open.clear()
        self.main = None

        if errors:
            raise BaseExceptionGroup("code that was unloaded raised", errors)

    def _new(self, on_end: Callable[[object, BaseException | None], None]) -> Fiber:
        fiber = Fiber(self, on_end)
        self._open[fiber] = None

        return fiber
