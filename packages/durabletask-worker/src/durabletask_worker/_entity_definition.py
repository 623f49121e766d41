"""What the batch needs to know of an entity's class or function: which operations there are, and how to call them."""

from __future__ import annotations

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, wraps
from types import FunctionType
from typing import Any

from durabletask_worker._signature import NAME_ATTRIBUTE, Signature, signature_of
from durabletask_worker.entity import DurableEntity, entity_name, operation_name
from durabletask_worker.entity_context import EntityContext
from durabletask_worker.errors import EntityStateError, EntityTaskNotFoundError, RegistrationError
from durabletask_worker.execution.operation import OperationState

_LIBRARIES = {*sys.stdlib_module_names, "pydantic"}
"""Whose classes have no operations, when an entity's class derives from them."""

_RESERVED = vars(DurableEntity).keys() - {"delete"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A function that carries out an operation."""

    function: Callable[..., Any]
    """Called with what the operation is of, and with an input and the context if it takes them."""
    signature: Signature
    """How to call it, but for its context."""
    context: inspect.Parameter | None = None
    """The parameter that takes the context; None for none."""
    context_position: int = 0
    """Where it stands among the parameters."""

    def call(self, target: object, context: EntityContext, state: OperationState, payload: str | None) -> object:
        """Call it.

        Args:
            target: What the operation is of.
            context: The context, for operations that take it.
            state: What converts the input.
            payload: The input as it came; None for none.

        Returns:
            Its result, or what is to be awaited for it.
        """
        arguments = self.signature.arguments(target, payload, state.converter)

        if self.context is None:
            return self.function(*arguments)

        at = self.context_position

        # Behind an input that was left out, or among the parameters that go by name.
        if at > len(arguments) or self.context.kind is inspect.Parameter.KEYWORD_ONLY:
            return self.function(*arguments, **{self.context.name: context})

        return self.function(*arguments[:at], context, *arguments[at:])


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityDefinition(ABC):
    """A class or function, and the name that its entities go by."""

    name: str
    """What ids of entities have in front, in lower case."""
    function: Callable[..., Any]
    """The class or function."""

    @abstractmethod
    def find(self, operation: str) -> Operation:
        """The operation of that name.

        Raises:
            EntityTaskNotFoundError: There is none.
        """

    @abstractmethod
    def enter(self, operation: Operation, context: EntityContext, state: OperationState) -> object:
        """Make what the operation is of. Runs user code."""

    @abstractmethod
    def leave(self, target: object, state: OperationState) -> None:
        """Keep what the operation made of it."""


class EntityFunction(EntityDefinition):
    """A function that carries out all operations."""

    __slots__ = ()

    def find(self, operation: str) -> Operation:
        """The function."""
        return Operation(function=self.function, signature=signature_of(self.function))

    def enter(self, operation: Operation, context: EntityContext, state: OperationState) -> object:
        """The context."""
        return context

    def leave(self, target: object, state: OperationState) -> None:
        """Nothing: the function sets the state by its context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _EntityClass(EntityDefinition):
    operations: Mapping[str, Operation]
    """By name, without regard to case."""

    def find(self, operation: str) -> Operation:
        """The method for that operation."""
        found = self.operations.get(operation.casefold())

        if found is None:
            raise EntityTaskNotFoundError(
                f"entity {self.name!r} has no operation {operation!r}; it has {', '.join(sorted(self.operations)) or 'none'}"
            )

        return found


class ContextClass(_EntityClass):
    """A class that derives from `DurableEntity`."""

    __slots__ = ()

    def enter(self, operation: Operation, context: EntityContext, state: OperationState) -> object:
        """An instance for this operation."""
        target: DurableEntity = self.function()
        target.entity_context = context

        return target

    def leave(self, target: object, state: OperationState) -> None:
        """Nothing: the method sets the state by its context."""


class StateClass(_EntityClass):
    """A class whose instances are the state."""

    __slots__ = ()

    def enter(self, operation: Operation, context: EntityContext, state: OperationState) -> object:
        """The instance that the operation before left, or a new one."""
        # A state that nothing can read any more can still be deleted.
        if operation is _DELETE:
            return context

        target = state.read(self.function)

        if target is None:
            return self._first(state)

        if not isinstance(target, self._class):
            raise EntityStateError(
                f"the state of entity {str(state.entity_id)!r} comes back as {type(target).__qualname__} and not as "
                f"{self._class.__qualname__}; make that a dataclass, or give the worker a DataConverter that knows it"
            )

        return target

    def leave(self, target: object, state: OperationState) -> None:
        """Write the instance, unless the operation itself has set the state by its context."""
        if not state.has_set_state:
            state.write(target)

    @property
    def _class(self) -> type:
        assert isinstance(self.function, type)

        return self.function

    def _first(self, state: OperationState) -> object:
        try:
            # Classes that derive from a builtin may tell nothing about their arguments.
            with suppress(ValueError):
                inspect.signature(self.function).bind()
        except TypeError as error:
            raise EntityStateError(
                f"entity {str(state.entity_id)!r} has no state yet, and {self._class.__qualname__} cannot be made without "
                f"arguments: {error}; give its fields defaults"
            ) from None

        return self.function()


def define(entity: Callable[..., Any], name: str | None) -> EntityDefinition:
    """Inspect an entity's class or function.

    Args:
        entity: The class or function.
        name: Its name; None for its own.

    Returns:
        What there is to know.

    Raises:
        RegistrationError: It has no name, or one that no id can have, or parameters do not fit.
    """
    chosen = (entity_name(entity) if name is None else name).lower()

    if not chosen or "@" in chosen:
        raise RegistrationError(f"the entity {entity!r} is given the name {chosen!r}; give it one, without '@'")

    if not isinstance(entity, type):
        _require_prompt(entity, f"{entity!r}")
        signature_of(entity)

        return EntityFunction(name=chosen, function=entity)

    operations = _operations_of(entity)

    if issubclass(entity, DurableEntity):
        return ContextClass(name=chosen, function=entity, operations=operations)

    return StateClass(name=chosen, function=entity, operations={"delete": _DELETE} | operations)


def _operations_of(entity: type) -> dict[str, Operation]:
    owners = [
        each
        for each in entity.__mro__
        if each is entity or each is DurableEntity or each.__module__.partition(".")[0] not in _LIBRARIES
    ]
    methods = {name: inspect.getattr_static(entity, name) for owner in reversed(owners) for name in vars(owner)}
    operations: dict[str, Operation] = {}

    for method_name, method in methods.items():
        if not isinstance(method, FunctionType) or (issubclass(entity, DurableEntity) and method_name in _RESERVED):
            continue

        # One that begins with an underscore is an operation if it is given a name for it.
        if method_name.startswith("_") and not hasattr(method, NAME_ATTRIBUTE):
            continue

        name = operation_name(method).casefold()

        if name in operations:
            raise RegistrationError(
                f"{entity.__qualname__} has two operations {name!r}, {operations[name].function!r} and {method!r}; names "
                "of operations do not differ by case"
            )

        operations[name] = operation_of(method)

    return operations


@lru_cache(maxsize=4096)
def operation_of(method: Callable[..., Any]) -> Operation:
    """Inspect a method that is an operation.

    Args:
        method: The method, as in `Counter.add`.

    Returns:
        How to call it, and what comes out.

    Raises:
        RegistrationError: It is a generator, or its parameters do not fit.
    """
    what = getattr(method, "__qualname__", repr(method))
    _require_prompt(method, what)

    try:
        signature = inspect.signature(method, eval_str=True)
    except NameError:
        # Annotations that name what only a type checker imports, or a local class.
        signature = inspect.signature(method)

    parameters = list(signature.parameters.values())
    contexts = [
        position for position, each in enumerate(parameters) if each.annotation in (EntityContext, "EntityContext")
    ]
    at = contexts[0] if contexts else 0
    context = parameters.pop(at) if contexts else None

    # For the rest a method is like a function: what it is of, and then an input.
    @wraps(method)
    def rest(*arguments: object) -> object:
        return method(*arguments)

    rest.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]

    try:
        read = signature_of(rest)
    except RegistrationError:
        raise RegistrationError(
            f"{what} takes {signature}; an operation takes self, and one input or none, and if it likes a parameter that is "
            "annotated as EntityContext. What is no operation begins with an underscore"
        ) from None

    return Operation(
        function=method,
        signature=replace(read, is_async=inspect.iscoroutinefunction(method)),
        context=context,
        context_position=at,
    )


def _require_prompt(function: Callable[..., Any], what: str) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise RegistrationError(f"{what} is a generator; an operation returns its result, and waits with `await`")


def _delete(context: EntityContext) -> None:
    context.set_state(None)


_DELETE = Operation(function=_delete, signature=signature_of(_delete))
"""What a class does on `delete` that has no such method."""
