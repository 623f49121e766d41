"""How an orchestration calls, signals and locks entities."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar, overload

from durabletask_client.entities import EntityInstanceId
from durabletask_client.errors import InvalidRequestError

from durabletask_worker._entity_definition import operation_of
from durabletask_worker.context.facts import Facts
from durabletask_worker.entity import entity_name, operation_name
from durabletask_worker.entity_context import EntityContext
from durabletask_worker.execution.sections import LockTask
from durabletask_worker.execution.tasks import Task

__all__ = ["EntityCalls", "EntityProxy", "WithInput", "WithoutInput"]

E = TypeVar("E")
I = TypeVar("I")  # noqa: E741 - input, beside O for output
O = TypeVar("O")  # noqa: E741 - output
T = TypeVar("T")
Y = TypeVar("Y")  # what a coroutine yields, and below what it is sent; see activity_calls.py
S = TypeVar("S")

WithInput: TypeAlias = Callable[[E, I], O] | Callable[[E, EntityContext, I], O] | Callable[[E, I, EntityContext], O]
"""A method of an entity's class that takes an input, with the context before or behind it or without."""

WithoutInput: TypeAlias = Callable[[E], O] | Callable[[E, EntityContext], O]
"""A method of an entity's class that takes none."""


class EntityCalls(Facts):
    """The part of `OrchestrationContext` that has to do with entities."""

    @overload
    def call_entity(
        self, entity: EntityInstanceId, operation: WithInput[Any, I, Coroutine[Y, S, O]], input: I
    ) -> Task[O]: ...
    @overload
    def call_entity(self, entity: EntityInstanceId, operation: WithInput[Any, I, O], input: I) -> Task[O]: ...
    @overload
    def call_entity(
        self, entity: EntityInstanceId, operation: WithoutInput[Any, Coroutine[Y, S, O]], input: None = None
    ) -> Task[O]: ...
    @overload
    def call_entity(self, entity: EntityInstanceId, operation: WithoutInput[Any, O], input: None = None) -> Task[O]: ...
    @overload
    def call_entity(
        self,
        entity: EntityInstanceId,
        operation: str | Callable[..., object],
        input: object = None,
        *,
        return_type: type[T],
    ) -> Task[T]: ...
    @overload
    def call_entity(
        self, entity: EntityInstanceId, operation: str, input: object = None, *, return_type: object = None
    ) -> Task[Any]: ...
    def call_entity(
        self,
        entity: EntityInstanceId,
        operation: Callable[..., object] | str,
        input: object = None,
        *,
        return_type: object = None,
    ) -> Task[Any]:
        """Have an entity do something, and get the answer. Sent as `EntityOperationCalledEvent`.

        Args:
            entity: The entity.
            operation: The operation: a method of the entity's class, as in `Counter.add`, or its name.
            input: What it is given.
            return_type: What to rebuild the result as; None for what the method's annotations say, if they are at hand.

        Returns:
            The task. Waiting for it gives the result, or raises `TaskFailedError`, or what the worker's `failure_converter` makes
            of the failure.

        Raises:
            CriticalSectionError: Locks are held and the entity's is not among them, or its last answer has not come yet.
            InvalidRequestError: `entity` is no id.
            RegistrationError: The operation has no name of its own, or the method is none.
            TypeError: The input cannot be written as a payload.
        """
        state = self._live()
        name, payload = operation_name(operation), state.converter.serialize(input)

        if return_type is None and not isinstance(operation, str):
            return_type = operation_of(operation).signature.result_type

        decode = partial(state.converter.deserialize, type_hint=return_type)

        return state.sections.call(_id(entity), name, payload, decode)

    @overload
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation_name: WithInput[Any, I, object],
        input: I,
        scheduled_time: datetime | None = None,
    ) -> None: ...
    @overload
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation_name: WithoutInput[Any, object],
        input: None = None,
        scheduled_time: datetime | None = None,
    ) -> None: ...
    @overload
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation_name: str,
        input: object = None,
        scheduled_time: datetime | None = None,
    ) -> None: ...
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation_name: Callable[..., object] | str,
        input: object = None,
        scheduled_time: datetime | None = None,
    ) -> None:
        """Have an entity do something, without an answer. Sent as `EntityOperationSignaledEvent`.

        Args:
            entity_id: The entity.
            operation_name: The operation: a method of the entity's class, as in `Counter.add`, or its name.
            input: What it is given.
            scheduled_time: Not before this time; a naive one is taken as UTC. None for at once.

        Raises:
            CriticalSectionError: The entity is locked by this orchestration; call it instead.
            InvalidRequestError: `entity_id` is no id.
            RegistrationError: The operation has no name of its own.
            TypeError: The input cannot be written as a payload.
        """
        state = self._live()
        name, payload = _operation_name(operation_name), state.converter.serialize(input)
        state.sections.signal(
            _id(entity_id), name, payload, None if scheduled_time is None else state.clock.time(scheduled_time)
        )

    def lock_entities(self, entities: Iterable[EntityInstanceId | EntityProxy[Any]]) -> LockTask:
        """Lock entities, all or none: until the section ends they answer to this orchestration alone.

        `async with ctx.lock_entities([a, b]):`, or in a generator `with (yield ctx.lock_entities([a, b])):`. Inside, only these
        are called, one call after the other for each; sub-orchestrations are not. Sent as `EntityLockRequestedEvent`.

        Args:
            entities: The entities, one at least.

        Returns:
            The wait for the locks.

        Raises:
            CriticalSectionError: There are locks already, or asked for.
            InvalidRequestError: One is no id.
            ValueError: There are no entities.
        """
        state = self._live()

        return state.sections.lock([each.id if isinstance(each, EntityProxy) else _id(each) for each in entities])

    @overload
    def entity(self, entity: type[E], key: str) -> EntityProxy[E]: ...
    @overload
    def entity(self, entity: Callable[..., object] | str, key: str) -> EntityProxy[Any]: ...
    def entity(self, entity: Callable[..., object] | str, key: str) -> EntityProxy[Any]:
        """Name an entity by its class, so that its operations are checked: `await ctx.entity(Counter, "main").call(Counter.add, 1)`.

        Args:
            entity: The class or function of the entity, or its name.
            key: Which of its kind.

        Returns:
            What calls and signals it.

        Raises:
            RegistrationError: The class or function has no name of its own.
        """
        return EntityProxy(self, EntityInstanceId(entity_name(entity), key))


class EntityProxy(Generic[E]):
    """An entity, as an orchestration reaches it. Made by `OrchestrationContext.entity`.

    Args:
        context: The orchestration's context.
        id: The entity.
    """

    def __init__(self, context: EntityCalls, id: EntityInstanceId) -> None:
        self._context = context
        self._id = id

    @property
    def id(self) -> EntityInstanceId:
        """The entity's id."""
        return self._id

    @overload
    def call(self, operation: WithInput[E, I, Coroutine[Y, S, O]], input: I) -> Task[O]: ...
    @overload
    def call(self, operation: WithInput[E, I, O], input: I) -> Task[O]: ...
    @overload
    def call(self, operation: WithoutInput[E, Coroutine[Y, S, O]], input: None = None) -> Task[O]: ...
    @overload
    def call(self, operation: WithoutInput[E, O], input: None = None) -> Task[O]: ...
    @overload
    def call(
        self, operation: str | Callable[..., object], input: object = None, *, return_type: type[T]
    ) -> Task[T]: ...
    @overload
    def call(self, operation: str, input: object = None, *, return_type: object = None) -> Task[Any]: ...
    def call(self, operation: Callable[..., Any] | str, input: object = None, *, return_type: Any = None) -> Task[Any]:
        """Have the entity do something, and get the answer. See `OrchestrationContext.call_entity`."""
        call: Callable[..., Task[Any]] = self._context.call_entity

        return call(self._id, operation, input, return_type=return_type)

    @overload
    def signal(
        self, operation: WithInput[E, I, object], input: I, *, scheduled_time: datetime | None = None
    ) -> None: ...
    @overload
    def signal(
        self, operation: WithoutInput[E, object], input: None = None, *, scheduled_time: datetime | None = None
    ) -> None: ...
    @overload
    def signal(self, operation: str, input: object = None, *, scheduled_time: datetime | None = None) -> None: ...
    def signal(
        self, operation: Callable[..., Any] | str, input: object = None, *, scheduled_time: datetime | None = None
    ) -> None:
        """Have the entity do something, without an answer. See `OrchestrationContext.signal_entity`."""
        signal: Callable[..., None] = self._context.signal_entity
        signal(self._id, operation, input, scheduled_time=scheduled_time)


_operation_name = operation_name


def _id(entity: object) -> EntityInstanceId:
    if not isinstance(entity, EntityInstanceId):
        raise InvalidRequestError(f"entity: {entity!r} is no entity's id; pass an EntityInstanceId('counter', 'main')")

    return entity
