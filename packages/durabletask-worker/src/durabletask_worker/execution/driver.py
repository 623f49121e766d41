"""Runs orchestrator code from wait to wait, whichever of its shapes it has: `async def`, generator, or plain function.

A coroutine is stepped by hand, never by an event loop: all it can wait for are durable tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from inspect import isawaitable, iscoroutine, isgenerator
from typing import TypeAlias, cast

from durabletask_worker.execution.determinism import foreign_wait
from durabletask_worker.execution.tasks import Task

__all__ = ["Driver"]

_Code: TypeAlias = Generator[object, object, object] | Coroutine[object, object, object]


class Driver:
    """The code of one orchestration.

    Args:
        orchestration: Whose code it is, for messages.
    """

    def __init__(self, orchestration: str) -> None:
        self._orchestration = orchestration
        self._code: _Code | None = None
        self._takes_results = False
        self._awaited: Task[object] | None = None
        self.is_ready = False
        self.has_returned = False
        self.result: object = None

    def start(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        """Call the orchestrator, and run it up to its first wait or its end.

        Raises:
            BaseException: What it raised.
        """
        started = function(*arguments)

        if isgenerator(started):
            self._code, self._takes_results = cast("_Code", started), True
        elif iscoroutine(started):
            self._code = started
        elif isawaitable(started):
            # A plain function may return a task, or whatever awaits one.
            self._code = cast("_Code", started.__await__())
        else:
            self._return(started)

            return

        self.run()

    def task_settled(self, task: Task[object]) -> None:
        """Learn that the code can go on."""
        self.is_ready = True

    def run(self) -> None:
        """Run the code up to its next wait for a task that is not complete, or to its end.

        Raises:
            NonDeterminismError: It waits for something that is not a durable task.
            BaseException: What it raised.
        """
        while not self.has_returned:
            self.is_ready = False

            try:
                awaited = self._step()
            except StopIteration as stop:
                self._return(stop.value)

                return

            if not isinstance(awaited, Task):
                raise foreign_wait(awaited, self._code, self._orchestration)

            self._awaited = awaited

            if not awaited.is_complete:
                awaited.join(self)

            # Joining settles a wait whose event is there already.
            if not awaited.is_complete:
                return

    def close(self) -> None:
        """Unwind code that has not returned.

        Raises:
            BaseException: What it raised instead.
        """
        if self._code is not None:
            self._code.close()

    def _step(self) -> object:
        code, task = cast("_Code", self._code), self._awaited

        # A coroutine takes the result from the task itself: it is suspended in Task.__await__.
        if task is None or not self._takes_results:
            return code.send(None)

        error = task.get_exception()

        return code.send(task.get_result()) if error is None else code.throw(error)

    def _return(self, value: object) -> None:
        self.has_returned = True
        self.result = value
