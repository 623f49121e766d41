"""Code of the user's that stands around orchestrations, activities and operations of entities."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from durabletask_client.serialization import DataConverter

from durabletask_worker.execution.driver import as_awaitable
from durabletask_worker.registry import Registration

if TYPE_CHECKING:
    from durabletask_worker.context import ActivityContext, OrchestrationContext
    from durabletask_worker.entity_context import EntityContext
    from durabletask_worker.execution.host import Begin

__all__ = ["Middleware", "Pipeline", "Proceed"]

Proceed: TypeAlias = Callable[[Any], Awaitable[Any]]
"""Goes on with an input, and gives the result. Called twice, it does it twice."""


class Middleware:
    """Stands around what a worker runs. Override what you need; what you do not override costs nothing.

    Each method awaits `proceed` to go on, and returns the result; it may change both the input and the result, catch and raise
    errors, or not go on at all.
    """

    async def orchestration(self, ctx: OrchestrationContext, input: Any, proceed: Proceed) -> Any:
        """Stand around an orchestration, from its start to its end.

        This is orchestrator code: it runs anew with each replay, and must be deterministic. It may await what orchestrators
        may await, and nothing else.

        Args:
            ctx: The context of the orchestration.
            input: Its input, of the type that its function asks for; None for none.
            proceed: Goes on to the next, and at last to the function, whether that is an `async def`, a generator or plain.

        Returns:
            The result of the orchestration.
        """
        return await proceed(input)

    async def activity(self, ctx: ActivityContext, input: Any, proceed: Proceed) -> Any:
        """Stand around an activity. Runs on the worker's event loop, also where the activity runs in a thread: it must not block.

        Args:
            ctx: The context of the activity.
            input: Its input, of the type that its function asks for; None for none.
            proceed: Goes on to the next, and at last to the function.

        Returns:
            The result of the activity.
        """
        return await proceed(input)

    async def entity(self, ctx: EntityContext, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Stand around one operation of an entity. Runs on the worker's event loop: it must not block.

        Args:
            ctx: The context of the operation.
            proceed: Goes on to the next, and at last to the operation.

        Returns:
            The result of the operation.
        """
        return await proceed()


class Pipeline:
    """Middleware in its order.

    Args:
        middleware: The first is the outermost.
        converter: Turns inputs into values.
    """

    def __init__(self, middleware: Sequence[Middleware], converter: DataConverter) -> None:
        self._converter = converter
        # Innermost first, as they are wrapped.
        inwards = tuple(reversed(middleware))
        self._orchestration = [each for each in inwards if type(each).orchestration is not Middleware.orchestration]
        self._activity = [each for each in inwards if type(each).activity is not Middleware.activity]
        self._entity = [each for each in inwards if type(each).entity is not Middleware.entity]

    @property
    def begin(self) -> Begin | None:
        """How an orchestrator is called; None for directly."""
        return self._begin if self._orchestration else None

    @property
    def has_activity(self) -> bool:
        """Whether anything stands around activities."""
        return bool(self._activity)

    @property
    def around(self) -> Callable[[EntityContext, Callable[[], Awaitable[Any]]], Awaitable[Any]] | None:
        """How an operation of an entity is called; None for directly."""
        return self._around if self._entity else None

    async def activity(
        self,
        found: Registration[Callable[..., Any]],
        context: ActivityContext,
        payload: str | None,
        run: Callable[[Callable[[], object]], Awaitable[object]],
    ) -> object:
        """Run an activity.

        Args:
            found: The activity.
            context: Its context.
            payload: Its input; None for none.
            run: Calls the function, wherever it is to run, and waits for the result.

        Returns:
            The result.
        """
        value, call = self._input(found, context, payload)

        def innermost(given: object) -> Awaitable[object]:
            return run(partial(call, given))

        proceed: Proceed = innermost

        for each in self._activity:
            proceed = partial(each.activity, context, proceed=proceed)

        return await proceed(value)

    async def _begin(
        self, found: Registration[Callable[..., Any]], context: OrchestrationContext, payload: str | None
    ) -> object:
        value, call = self._input(found, context, payload)

        async def innermost(given: object) -> object:
            return await as_awaitable(call(given))

        proceed: Proceed = innermost

        for each in self._orchestration:
            proceed = partial(each.orchestration, context, proceed=proceed)

        return await proceed(value)

    async def _around(self, context: EntityContext, proceed: Callable[[], Awaitable[Any]]) -> Any:
        for each in self._entity:
            proceed = partial(each.entity, context, proceed)

        return await proceed()

    def _input(
        self, found: Registration[Callable[..., Any]], context: object, payload: str | None
    ) -> tuple[object, Callable[[object], object]]:
        """The input that a function is meant to get, and what calls it with one."""
        _, *inputs = found.signature.arguments(context, payload, self._converter)

        def call(given: object) -> object:
            # An input that may be left out, and is, gets its default.
            takes = found.signature.takes_input and (bool(inputs) or given is not None)

            return found.function(context, given) if takes else found.function(context)

        return inputs[0] if inputs else None, call
