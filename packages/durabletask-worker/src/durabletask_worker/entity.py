"""How entities are written: as classes whose methods are their operations, or as functions.

A class that derives from `DurableEntity` reads and writes the state of the entity. Any other class, a dataclass say, is the state:
an operation finds it as the one before left it. A function is given each operation's name in its context.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar, overload

from durabletask_client.entities import EntityInstanceId

from durabletask_worker._signature import NAME_ATTRIBUTE, name_of
from durabletask_worker.entity_context import EntityContext

__all__ = ["DurableEntity", "entity_name", "operation", "operation_name"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def operation(*, name: str) -> Callable[[F], F]:
    """Give an operation another name than that of its method, as a decorator: `@operation(name="add")`.

    Args:
        name: The name, in any case.

    Returns:
        What leaves the method as it is, but for the name that it carries for those who call it.
    """

    def decorator(method: F) -> F:
        setattr(method, NAME_ATTRIBUTE, name)

        return method

    return decorator


def operation_name(operation: Callable[..., object] | str) -> str:
    """The name that an operation is called under.

    Args:
        operation: The method of an entity's class, as in `Counter.add`, or the name.

    Returns:
        The name. Entities compare it without regard to case.

    Raises:
        RegistrationError: It has no name of its own.
    """
    return name_of(operation)


def entity_name(entity: Callable[..., object] | str) -> str:
    """The name that the entities of a class or function are addressed under.

    Args:
        entity: The class or function, or the name.

    Returns:
        The name, in lower case.

    Raises:
        RegistrationError: It has no name of its own.
    """
    # A class does not go by the name that its base was registered under.
    if isinstance(entity, type) and NAME_ATTRIBUTE not in vars(entity):
        return entity.__name__.lower()

    return name_of(entity).lower()


class DurableEntity:
    """The base of entities that handle their state themselves.

    Public methods are operations; those whose names begin with an underscore are not, nor are those of this class, but for
    `delete`. A method takes one input or none, is an `async def` or a plain function, and gives the operation's result. For each
    operation an instance is made, without arguments: what an attribute holds is gone with it, the state stays.
    """

    entity_context: EntityContext
    """The operation that the instance is made for."""

    @overload
    def get_state(self, intended_type: type[T], default: T) -> T: ...
    @overload
    def get_state(self, intended_type: type[T], default: None = None) -> T | None: ...
    @overload
    def get_state(self, intended_type: object = None, default: object = None) -> Any: ...
    def get_state(self, intended_type: Any = None, default: Any = None) -> Any:
        """Read the state. See `EntityContext.get_state`."""
        return self.entity_context.get_state(intended_type, default)

    def set_state(self, state: object) -> None:
        """Replace the state. See `EntityContext.set_state`."""
        self.entity_context.set_state(state)

    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation: str | Callable[..., object],
        input: object = None,
        *,
        scheduled_time: datetime | None = None,
    ) -> None:
        """Have an entity do something later. See `EntityContext.signal_entity`, which checks the types of inputs as well."""
        name = name_of(operation)
        self.entity_context.signal_entity(entity_id, name, input, scheduled_time=scheduled_time)

    def schedule_new_orchestration(
        self,
        orchestrator: str | Callable[..., object],
        input: object = None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        start_at: datetime | None = None,
    ) -> str:
        """Start an orchestration. See `EntityContext.schedule_new_orchestration`, which checks the types of inputs as well."""
        name = name_of(orchestrator)

        return self.entity_context.schedule_new_orchestration(
            name, input, instance_id, version=version, start_at=start_at
        )

    def delete(self) -> None:
        """The operation that every entity has: deletes the state, and with it the entity."""
        self.set_state(None)
