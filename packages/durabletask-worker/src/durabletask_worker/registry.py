"""Which functions a worker has, and under which names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from durabletask_worker._signature import NAME_ATTRIBUTE, Signature, name_of, signature_of
from durabletask_worker.errors import RegistrationError

__all__ = ["Registration", "Registry"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Registration(Generic[F]):
    """A function and the name it goes by."""

    name: str
    """What histories and work items call it."""
    function: F
    """The function itself."""
    signature: Signature
    """How to call it."""


class Registry:
    """Orchestrators and activities by name. Registries compose: a module may have one of its own, and a worker include them.

    A function may be an `async def`, a generator (orchestrators only) or a plain function. It takes a context and, if it
    likes, an input. Its name is its `__name__` unless another one is given; then the function carries that as
    `__durabletask_name__`, where it can, so that calls that are given the function find it.
    """

    def __init__(self) -> None:
        self._orchestrators: dict[str, Registration[Callable[..., Any]]] = {}
        self._activities: dict[str, Registration[Callable[..., Any]]] = {}

    @overload
    def orchestrator(self, function: F, /) -> F: ...
    @overload
    def orchestrator(self, /, *, name: str | None = None) -> Callable[[F], F]: ...
    def orchestrator(self, function: F | None = None, /, *, name: str | None = None) -> F | Callable[[F], F]:
        """Register an orchestrator, as a decorator: `@registry.orchestrator` or `@registry.orchestrator(name="pay")`.

        Args:
            function: The orchestrator.
            name: Its name; None for its own.

        Returns:
            The function, unchanged.

        Raises:
            RegistrationError: See `add_orchestrator`.
        """
        return _decorate(self.add_orchestrator, function, name)

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
        return _decorate(self.add_activity, function, name)

    def add_orchestrator(self, function: Callable[..., Any], /, *, name: str | None = None) -> str:
        """Register an orchestrator.

        Args:
            function: The orchestrator; called with an `OrchestrationContext` and, if it takes one, the input.
            name: Its name; None for its own.

        Returns:
            The name.

        Raises:
            RegistrationError: The name is taken or cannot be told, or the parameters do not fit.
        """
        return _add(self._orchestrators, "orchestrator", function, name)

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
        return _add(self._activities, "activity", function, name)

    def include(self, other: Registry) -> None:
        """Take over all that another registry has now.

        Args:
            other: The registry; it stays as it is.

        Raises:
            RegistrationError: Both have a name for different functions; nothing is taken over.
        """
        orchestrators = _merge("orchestrator", self._orchestrators, other._orchestrators)
        activities = _merge("activity", self._activities, other._activities)
        self._orchestrators, self._activities = orchestrators, activities

    def find_orchestrator(self, name: str) -> Registration[Callable[..., Any]] | None:
        """The orchestrator of that name, or None."""
        return self._orchestrators.get(name)

    def find_activity(self, name: str) -> Registration[Callable[..., Any]] | None:
        """The activity of that name, or None."""
        return self._activities.get(name)


def _decorate(add: Callable[..., str], function: F | None, name: str | None) -> F | Callable[[F], F]:
    def decorator(decorated: F) -> F:
        add(decorated, name=name)

        return decorated

    return decorator if function is None else decorator(function)


def _add(
    registrations: dict[str, Registration[Callable[..., Any]]],
    kind: str,
    function: Callable[..., Any],
    name: str | None,
) -> str:
    chosen = name_of(function) if name is None else name

    if not chosen:
        raise RegistrationError(f"the {kind} {function!r} is given an empty name; give it another one")

    if chosen in registrations:
        raise RegistrationError(_taken(kind, registrations[chosen]))

    registrations[chosen] = Registration(chosen, function, signature_of(function))

    if chosen != getattr(function, NAME_ATTRIBUTE, getattr(function, "__name__", None)):
        # Bound methods and the like cannot carry a name; they are called by it.
        with suppress(AttributeError):
            setattr(function, NAME_ATTRIBUTE, name)

    return chosen


def _merge(
    kind: str,
    mine: dict[str, Registration[Callable[..., Any]]],
    others: dict[str, Registration[Callable[..., Any]]],
) -> dict[str, Registration[Callable[..., Any]]]:
    # The same function may come by two ways, when two modules include a third.
    for name in mine.keys() & others.keys():
        if mine[name].function != others[name].function:
            raise RegistrationError(_taken(kind, mine[name]))

    return mine | others


def _taken(kind: str, known: Registration[Callable[..., Any]]) -> str:
    return f"{kind} {known.name!r} is registered already, as {known.function!r}; give one of the two another name"
