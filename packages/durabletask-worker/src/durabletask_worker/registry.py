"""Which functions and classes a worker has, and under which names."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar, overload

from durabletask_worker._entity_definition import EntityDefinition, define
from durabletask_worker._signature import NAME_ATTRIBUTE, Signature, name_of, signature_of
from durabletask_worker.entity import entity_name
from durabletask_worker.errors import ActivityNotRegisteredError, OrchestratorNotRegisteredError, RegistrationError

__all__ = ["Registration", "Registry", "registered_name"]

F = TypeVar("F", bound=Callable[..., Any])
_K = TypeVar("_K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Registration(Generic[F]):
    """A function and the name it goes by."""

    name: str
    """What histories and work items call it."""
    function: F
    """The function itself."""
    signature: Signature
    """How to call it."""
    version: str | None = None
    """The version of the orchestrations that it is for; None for all that no other function is for."""


class Registry:
    """Orchestrators, activities and entities by name. Registries compose: a module may have one of its own, and a worker include them.

    Orchestrators and activities are functions: an `async def`, a generator (orchestrators only) or a plain function, that takes a
    context and, if it likes, an input. Entities are classes or functions; see `durabletask_worker.entity`. The name is the
    `__name__` unless another one is given; then the function or class carries that as `__durabletask_name__`, where it can, so
    that calls that are given the function find it.
    """

    def __init__(self) -> None:
        self._orchestrators: dict[tuple[str, str | None], Registration[Callable[..., Any]]] = {}
        self._activities: dict[str, Registration[Callable[..., Any]]] = {}
        self._entities: dict[str, EntityDefinition] = {}

    @property
    def orchestrators(self) -> tuple[Registration[Callable[..., Any]], ...]:
        """All orchestrators, each version by itself, in the order of registration."""
        return tuple(self._orchestrators.values())

    @property
    def activities(self) -> tuple[Registration[Callable[..., Any]], ...]:
        """All activities, in the order of registration."""
        return tuple(self._activities.values())

    @property
    def entities(self) -> tuple[EntityDefinition, ...]:
        """All entities, in the order of registration."""
        return tuple(self._entities.values())

    @overload
    def orchestrator(self, function: F, /) -> F: ...
    @overload
    def orchestrator(self, /, *, name: str | None = None, version: str | None = None) -> Callable[[F], F]: ...
    def orchestrator(
        self, function: F | None = None, /, *, name: str | None = None, version: str | None = None
    ) -> F | Callable[[F], F]:
        """Register an orchestrator, as a decorator: `@registry.orchestrator` or `@registry.orchestrator(name="pay", version="2.0")`.

        Args:
            function: The orchestrator.
            name: Its name; None for its own.
            version: See `add_orchestrator`.

        Returns:
            The function, unchanged.

        Raises:
            RegistrationError: See `add_orchestrator`.
        """
        return _decorate(lambda decorated: self.add_orchestrator(decorated, name=name, version=version), function)

    @overload
    def activity(self, function: F, /) -> F: ...
    @overload
    def activity(self, /, *, name: str | None = None) -> Callable[[F], F]: ...
    def activity(self, function: F | None = None, /, *, name: str | None = None) -> F | Callable[[F], F]:
        """Register an activity, as a decorator: `@registry.activity` or `@registry.activity(name="pay")`.

        Args:
            function: The activity.
            name: Its name; None for its own.

        Returns:
            The function, unchanged.

        Raises:
            RegistrationError: See `add_activity`.
        """
        return _decorate(lambda decorated: self.add_activity(decorated, name=name), function)

    @overload
    def entity(self, entity: F, /) -> F: ...
    @overload
    def entity(self, /, *, name: str | None = None) -> Callable[[F], F]: ...
    def entity(self, entity: F | None = None, /, *, name: str | None = None) -> F | Callable[[F], F]:
        """Register an entity, as a decorator: `@registry.entity` or `@registry.entity(name="account")`.

        Args:
            entity: The class or function.
            name: Its name; None for its own.

        Returns:
            The class or function, unchanged.

        Raises:
            RegistrationError: See `add_entity`.
        """
        return _decorate(lambda decorated: self.add_entity(decorated, name=name), entity)

    def add_orchestrator(
        self, function: Callable[..., Any], /, *, name: str | None = None, version: str | None = None
    ) -> str:
        """Register an orchestrator.

        Args:
            function: The orchestrator; called with an `OrchestrationContext` and, if it takes one, the input.
            name: Its name; None for its own.
            version: The version of the orchestrations that it is for, so that several may stand side by side; None for all of
                this name that no other one is for.

        Returns:
            The name.

        Raises:
            RegistrationError: The name is taken in this version or cannot be told, or the parameters do not fit.
        """
        chosen = _chosen("orchestrator", function, name)
        registration = Registration(chosen, function, signature_of(function), version or None)
        _add("orchestrator", self._orchestrators, (chosen, registration.version), registration)

        return _carry(function, chosen)

    def add_activity(self, function: Callable[..., Any], /, *, name: str | None = None) -> str:
        """Register an activity.

        Args:
            function: The activity; called with an `ActivityContext` and, if it takes one, the input.
            name: Its name; None for its own.

        Returns:
            The name.

        Raises:
            RegistrationError: The name is taken or cannot be told, or the parameters do not fit.
        """
        chosen = _chosen("activity", function, name)
        _add("activity", self._activities, chosen, Registration(chosen, function, signature_of(function)))

        return _carry(function, chosen)

    def add_entity(self, entity: Callable[..., Any], /, *, name: str | None = None) -> str:
        """Register an entity.

        Args:
            entity: A class that derives from `DurableEntity`, a class whose instances are the state, or a function that is called
                with an `EntityContext` and, if it takes one, the input.
            name: Its name, in any case; None for its own.

        Returns:
            The name in lower case, as ids of entities have it.

        Raises:
            RegistrationError: The name is taken or cannot be told, or the parameters of the function or of a method do not fit.
        """
        definition = define(entity, name)
        _add("entity", self._entities, definition.name, definition)

        return _carry(entity, definition.name, entity_name)

    def include(self, *others: Registry | ModuleType) -> None:
        """Take over all that other registries have now.

        Args:
            others: The registries, or modules that have registries among their names. They stay as they are.

        Raises:
            RegistrationError: A name is given to different functions, or a module has no registry; nothing is taken over.
        """
        before = self._orchestrators, self._activities, self._entities

        try:
            for other in others:
                for registry in _registries(other):
                    self._absorb(registry)
        except RegistrationError:
            self._orchestrators, self._activities, self._entities = before

            raise

    def find_orchestrator(self, name: str, version: str | None = None) -> Registration[Callable[..., Any]] | None:
        """The orchestrator for orchestrations of that name and version.

        Args:
            name: The name.
            version: The version; None or empty for none.

        Returns:
            The one that is registered for this version, else the one that is registered without a version; None if there is
            neither. `versions_of` tells which there are.
        """
        return self._orchestrators.get((name, version or None)) or self._orchestrators.get((name, None))

    def versions_of(self, name: str) -> tuple[str, ...]:
        """The versions in which an orchestrator is registered, in the order of registration; that without a version is not among them."""
        return tuple(each.version for each in self._orchestrators.values() if each.name == name and each.version)

    def find_activity(self, name: str) -> Registration[Callable[..., Any]] | None:
        """The activity of that name, or None."""
        return self._activities.get(name)

    def find_entity(self, name: str) -> EntityDefinition | None:
        """The entity of that name, in any case, or None."""
        return self._entities.get(name.lower())

    def missing_orchestrator(self, name: str, version: str | None) -> OrchestratorNotRegisteredError:
        """Say that there is no orchestrator of that name and version, and what there is instead."""
        versions = self.versions_of(name)

        if versions:
            asked = f"in version {version!r}" if version else "without a version"

            return OrchestratorNotRegisteredError(name, f" {asked}; it has it in {', '.join(map(repr, versions))}")

        return OrchestratorNotRegisteredError(name, _hint(name, {each.name for each in self._orchestrators.values()}))

    def missing_activity(self, name: str) -> ActivityNotRegisteredError:
        """Say that there is no activity of that name, and what there is instead."""
        return ActivityNotRegisteredError(name, _hint(name, self._activities))

    def _absorb(self, other: Registry) -> None:
        self._orchestrators = _merge("orchestrator", self._orchestrators, other._orchestrators)
        self._activities = _merge("activity", self._activities, other._activities)
        self._entities = _merge("entity", self._entities, other._entities)


def registered_name(function: Callable[..., object] | str) -> str:
    """Say which name a function is registered and called under.

    Args:
        function: The function, or its name.

    Returns:
        The name.

    Raises:
        RegistrationError: It has no name of its own.
    """
    return name_of(function)


class _Entry(Protocol):
    """What stands under a name."""

    @property
    def function(self) -> Callable[..., Any]: ...


_E = TypeVar("_E", bound=_Entry)


def _decorate(add: Callable[[F], str], function: F | None) -> F | Callable[[F], F]:
    def decorator(decorated: F) -> F:
        add(decorated)

        return decorated

    return decorator if function is None else decorator(function)


def _chosen(kind: str, function: Callable[..., Any], name: str | None) -> str:
    chosen = name_of(function) if name is None else name

    if not chosen:
        raise RegistrationError(f"the {kind} {function!r} is given an empty name; give it another one")

    return chosen


def _add(kind: str, entries: dict[_K, _E], key: _K, entry: _E) -> None:
    if key in entries:
        raise RegistrationError(_taken(kind, key, entries[key], entry))

    entries[key] = entry


def _carry(function: Callable[..., Any], name: str, carried: Callable[[Callable[..., Any]], str] = name_of) -> str:
    """Have a function carry the name that it is registered under, if that is not the one it goes by."""
    with suppress(RegistrationError):
        if carried(function) == name:
            return name

    # Bound methods, builtin classes and the like cannot carry a name; they are called by it.
    with suppress(AttributeError, TypeError):
        setattr(function, NAME_ATTRIBUTE, name)

    return name


def _hint(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=3)

    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def _registries(source: Registry | ModuleType) -> list[Registry]:
    if isinstance(source, Registry):
        return [source]

    # By identity: a registry may have two names.
    found = list({id(each): each for each in vars(source).values() if isinstance(each, Registry)}.values())

    if not found:
        raise RegistrationError(f"module {source.__name__!r} has no Registry among its names; give it one")

    return found


def _merge(kind: str, mine: Mapping[_K, _E], others: Mapping[_K, _E]) -> dict[_K, _E]:
    # The same function may come by two ways, when two modules include a third.
    for key in mine.keys() & others.keys():
        if mine[key].function != others[key].function:
            raise RegistrationError(_taken(kind, key, mine[key], others[key]))

    return {**mine, **others}


def _taken(kind: str, key: Hashable, known: _Entry, new: _Entry) -> str:
    name, version = key if isinstance(key, tuple) else (key, None)
    what = f"{kind} {name!r}" if version is None else f"{kind} {name!r} of version {version!r}"

    return (
        f"{what} is registered already, as {known.function!r}; give {new.function!r} another name"
        f"{' or version' if kind == 'orchestrator' else ''}"
    )
