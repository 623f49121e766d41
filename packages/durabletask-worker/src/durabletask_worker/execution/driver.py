"""Makes one shape of the three that orchestrator code has: `async def`, generator, and plain function.

The one shape is that of a coroutine which is stepped by hand: it yields the task that it waits for, is sent None when the task is
settled, and takes the result from the task.
"""

from __future__ import annotations

from collections.abc import Generator
from inspect import isawaitable, iscoroutine, isgenerator
from typing import Any, Protocol, cast

from durabletask_worker.execution.tasks import Task

__all__ = ["Code", "as_awaitable", "as_code"]


class Code(Protocol):
    """Code that can be stepped."""

    def send(self, value: None, /) -> object:
        """Go on; gives what is waited for."""

    def throw(self, error: BaseException, /) -> object:
        """Go on with an exception; gives what is waited for."""

    def close(self) -> None:
        """Unwind."""


def as_code(started: object) -> Code | None:
    """Make what an orchestrator returned into code that can be stepped.

    Args:
        started: What calling it gave.

    Returns:
        The code; None if what it gave is the result itself.
    """
    if iscoroutine(started):
        return started

    if isgenerator(started):
        return _stepped(cast("Generator[object, object, object]", started))

    # A plain function may return a task, or whatever awaits one.
    return cast("Code", started.__await__()) if isawaitable(started) else None


async def as_awaitable(started: object) -> object:
    """Wait for what an orchestrator returned, whatever its shape; for middleware, which stands between it and the replay.

    Args:
        started: What calling it gave.

    Returns:
        The orchestrator's result.
    """
    if isgenerator(started):
        return await _Stepped(cast("Generator[object, object, object]", started))

    return await started if isawaitable(started) else started


class _Stepped:
    __slots__ = ("_generator",)

    def __init__(self, generator: Generator[object, object, object]) -> None:
        self._generator = generator

    def __await__(self) -> Generator[Any, None, object]:
        return _stepped(self._generator)


def _stepped(generator: Generator[object, object, object]) -> Generator[object, None, object]:
    """Run a generator that yields tasks and is sent their results."""
    try:
        awaited = generator.send(None)

        while True:
            thrown: BaseException | None = None

            # What is no task is passed on, to whom it is an error.
            if not isinstance(awaited, Task) or not awaited.is_complete:
                try:
                    yield awaited
                except GeneratorExit:
                    generator.close()

                    raise
                except BaseException as error:  # noqa: BLE001 - for the generator to see
                    thrown = error

            thrown = thrown or cast("Task[object]", awaited).get_exception()

            if thrown is None:
                awaited = generator.send(cast("Task[object]", awaited).get_result())
            else:
                awaited = generator.throw(thrown)
    except StopIteration as stop:
        return stop.value
