"""What stands in for activities and entities in a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from inspect import isawaitable
from random import Random
from typing import Any

from durabletask_client import EntityInstanceId
from durabletask_worker import ActivityContext, EntityContext, Middleware
from durabletask_worker.middleware import Proceed
from durabletask_worker.registry import registered_name

from durabletask_embedded.virtual_time import VirtualClock

__all__ = ["Doubles"]

SET_STATE = "durabletask-testing.set-state"
"""The operation that gives an entity a state."""


class Doubles(Middleware):
    """Activities that are counted, replaced, failed and delayed, and entities that are given a state.

    Args:
        clock: The time that delays take.
        seed: Decides how long each activity takes.
        latency: From how long to how long an activity takes, unless it is delayed.
    """

    def __init__(self, clock: VirtualClock, seed: int, latency: tuple[timedelta, timedelta]) -> None:
        self._clock = clock
        self._seed = seed
        self._latency = latency
        self._calls: Counter[str] = Counter()
        self._inputs: dict[str, list[Any]] = {}
        self._replacements: dict[str, Callable[[ActivityContext, Any], Any]] = {}
        self._failures: dict[str, list[BaseException]] = {}
        self._delays: dict[str, timedelta] = {}
        self._states: dict[EntityInstanceId, Any] = {}

    def calls(self, activity: Callable[..., Any] | str) -> int:
        """How often an activity has been run, failed attempts included."""
        return self._calls[registered_name(activity)]

    def inputs(self, activity: Callable[..., Any] | str) -> list[Any]:
        """What an activity was given, each time that it was run."""
        return list(self._inputs.get(registered_name(activity), ()))

    def replace(self, activity: Callable[..., Any] | str, replacement: Callable[[ActivityContext, Any], Any]) -> None:
        """Have another function run in the place of an activity, from now on.

        Args:
            activity: The activity, or its name. It has to be registered, so that its input can be read.
            replacement: Called with the context and the input; it may be an `async def`.
        """
        self._replacements[registered_name(activity)] = replacement

    def fail(self, activity: Callable[..., Any] | str, error: BaseException, *, times: int = 1) -> None:
        """Have an activity fail the next times that it is run.

        Args:
            activity: The activity, or its name.
            error: What it raises.
            times: How often.
        """
        self._failures.setdefault(registered_name(activity), []).extend([error] * times)

    def delay(self, activity: Callable[..., Any] | str, delay: timedelta) -> None:
        """Have an activity take that long, from now on, in virtual time."""
        self._delays[registered_name(activity)] = delay

    def give(self, entity: EntityInstanceId, state: Any) -> None:
        """Have an entity take a state with its next operation, which has to be `SET_STATE`. For `TestHub`."""
        self._states[entity] = state

    async def activity(self, ctx: ActivityContext, input: Any, proceed: Proceed) -> Any:
        """See `Middleware.activity`."""
        name = ctx.name
        self._calls[name] += 1
        self._inputs.setdefault(name, []).append(input)
        await self._clock.sleep(self._delays[name] if name in self._delays else self._drawn(ctx))
        failures = self._failures.get(name)

        if failures:
            raise failures.pop(0)

        if name not in self._replacements:
            return await proceed(input)

        result = self._replacements[name](ctx, input)

        return await result if isawaitable(result) else result

    async def entity(self, ctx: EntityContext, proceed: Any) -> Any:
        """See `Middleware.entity`."""
        if ctx.operation != SET_STATE:
            return await proceed()

        ctx.set_state(self._states.pop(ctx.entity_id))

        return None

    def _drawn(self, ctx: ActivityContext) -> timedelta:
        least, most = self._latency
        # By the task, not by turns: which activity is asked first does not matter then.
        lot = Random(f"{self._seed} {ctx.orchestration_id} {ctx.task_id}").random()

        return least + (most - least) * lot
