"""What an orchestration waits for besides work: times, events, and parts of its own code."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar, overload

from durabletask_worker.context.facts import Facts
from durabletask_worker.execution.fibers import FiberTask
from durabletask_worker.execution.mailbox import EventTask
from durabletask_worker.execution.scopes import TaskGroup, Timeout
from durabletask_worker.execution.tasks import Task, TimerTask

__all__ = ["Waits"]

T = TypeVar("T")


class Waits(Facts):
    """The part of `OrchestrationContext` that has to do with waiting."""

    def create_timer(self, fire_at: timedelta | datetime) -> Task[None]:
        """Wait for a time. Sent as `CreateTimerAction`.

        Args:
            fire_at: How long from now, or a time; a naive one is taken as UTC. One that is past fires at once.

        Returns:
            The task.
        """
        state = self._live()
        timer = TimerTask()
        state.schedule.start_timer(state.due(fire_at), timer.fire)

        return timer

    @overload
    def wait_for_external_event(
        self, name: str, *, timeout: timedelta | None = None, data_type: type[T]
    ) -> Task[T]: ...
    @overload
    def wait_for_external_event(
        self, name: str, *, timeout: timedelta | None = None, data_type: object = None
    ) -> Task[Any]: ...
    def wait_for_external_event(
        self, name: str, *, timeout: timedelta | None = None, data_type: object = None
    ) -> Task[Any]:
        """Wait for an event from outside. One that came before and that nobody took counts.

        Events of a name are handed out in the order in which they come to the waits in the order in which they were begun.

        Args:
            name: The event's name, in any case.
            timeout: How long to wait; zero to take only what is there already. None for as long as it takes.
            data_type: What to rebuild the event's data as; None for plain values.

        Returns:
            The task. Waiting for it gives the event's data, or raises `TimeoutError`.
        """
        state = self._live()
        event = EventTask(state.mailbox, name, data_type)
        state.mailbox.listen(event)

        if timeout is None or event.is_complete:
            return event

        expire = partial(event.expire, timeout)

        if timeout <= timedelta(0):
            expire()
        else:
            timer_id = state.schedule.start_timer(state.clock.now() + timeout, expire)
            event.on_received = partial(state.schedule.drop_timer, timer_id)

        return event

    def timeout(self, when: timedelta | datetime) -> Timeout:
        """Limit the time of a block of code: `async with ctx.timeout(timedelta(hours=1)):`; in a generator, `with`.

        When the time is over, the wait inside is unwound with `TaskCancelled`, and the block raises `TimeoutError`. The timer is
        sent as `CreateTimerAction`.

        Args:
            when: How long from now, or a time; a naive one is taken as UTC.

        Returns:
            The block's context manager.
        """
        state = self._live()

        return Timeout(state.fibers, state.schedule, state.clock.time(when))

    def group(self) -> TaskGroup:
        """Make a group of work that belongs together: when a part fails, the rest is cancelled.

        `async with ctx.group() as group:` waits for all at its end and raises an `ExceptionGroup` of what failed. In a generator,
        `yield group.join()` does.

        Returns:
            The group, to which `group.start(…)` adds tasks of the context, and coroutines and generators of orchestrator code.
        """
        return TaskGroup(self._live().fibers)

    @overload
    def spawn(self, work: Coroutine[Any, Any, T]) -> FiberTask[T]: ...
    @overload
    def spawn(self, work: Generator[Any, Any, T]) -> FiberTask[T]: ...
    def spawn(self, work: Coroutine[Any, Any, T] | Generator[Any, Any, T]) -> FiberTask[T]:
        """Run a part of this orchestration beside the rest of it. It begins when the code that runs now waits.

        It ends with the orchestrator at the latest, whether it is done or not. In a group, its failures do not get lost.

        Args:
            work: A coroutine or generator of orchestrator code.

        Returns:
            The task of its result, which can be cancelled.
        """
        return FiberTask(self._live().fibers, work)
