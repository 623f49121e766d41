"""What the registry, the context and the worker need to know of a user's function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from durabletask_client.annotations import result_type
from durabletask_client.serialization import DataConverter

from durabletask_worker.errors import RegistrationError

NAME_ATTRIBUTE = "__durabletask_name__"
"""Where a function carries the name it was registered under, if that is not its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How to call a function, and what goes in and comes out."""

    takes_input: bool
    """Whether there is a parameter after the context."""
    input_has_default: bool
    """Whether that parameter can be left out."""
    input_type: object
    """Its annotation; None where there is none that says anything."""
    result_type: object
    """What a caller gets in the end; None where no annotation says."""
    is_async: bool
    """Whether calling it gives a coroutine."""

    def arguments(self, context: object, payload: str | None, converter: DataConverter) -> tuple[object, ...]:
        """What to call it with.

        Args:
            context: Its context.
            payload: The input as it came; None for none.
            converter: Turns it into a value.

        Returns:
            The positional arguments.
        """
        if not self.takes_input or (payload is None and self.input_has_default):
            return (context,)

        return context, converter.deserialize(payload, self.input_type)


def name_of(function: Callable[..., object] | str) -> str:
    """The name that a function is registered and called under.

    Raises:
        RegistrationError: It has no name of its own.
    """
    if isinstance(function, str):
        return function

    name = getattr(function, NAME_ATTRIBUTE, None) or getattr(function, "__name__", None)

    if not isinstance(name, str) or name == "<lambda>":
        raise RegistrationError(f"{function!r} has no name of its own; give it one, as in add_activity(…, name='pay')")

    return name


@lru_cache(maxsize=4096)
def signature_of(function: Callable[..., object]) -> Signature:
    """Inspect a function.

    Raises:
        RegistrationError: It cannot be called with a context and an input, or with a context alone.
    """
    if inspect.isasyncgenfunction(function):
        raise RegistrationError(f"{function!r} is an async generator; write `await` instead of `yield` in an async def")

    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError:
        # Annotations that name what only a type checker imports, or a local class. They are hints and may be missing.
        signature = inspect.signature(function)

    positional = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    required = [parameter for parameter in positional if _is_required(parameter)]
    named_only = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    ]

    if not positional or len(required) > 2 or named_only:
        raise RegistrationError(
            f"{function!r} takes {signature}; it must take a context, or a context and one input: put several values into one"
        )

    has_many = positional[-1].kind is inspect.Parameter.VAR_POSITIONAL
    input_parameter = positional[1] if len(positional) > 1 else positional[0] if has_many else None

    return Signature(
        takes_input=input_parameter is not None,
        input_has_default=input_parameter is not None and not _is_required(input_parameter),
        input_type=None if input_parameter is None or has_many else _hint(input_parameter.annotation),
        result_type=result_type(signature.return_annotation),
        is_async=inspect.iscoroutinefunction(function)
        or inspect.iscoroutinefunction(getattr(function, "__call__", None)),  # noqa: B004
    )


@lru_cache(maxsize=4096)
def callee_of(function: Callable[..., object] | str) -> tuple[str, object]:
    """What whoever calls a function from afar needs to know of it.

    Args:
        function: The function, or its name.

    Returns:
        Its name, and the type of its result; None where no annotation says.

    Raises:
        RegistrationError: It has no name of its own, or cannot be called with a context.
    """
    return name_of(function), None if isinstance(function, str) else signature_of(function).result_type


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL


def _hint(annotation: object) -> object:
    """An annotation, if it says something: a text could not be resolved, and Any says nothing."""
    if annotation in (inspect.Parameter.empty, Any, object, None) or isinstance(annotation, str):
        return None

    return annotation
