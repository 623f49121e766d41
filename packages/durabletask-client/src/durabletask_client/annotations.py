"""What the annotations of a function say about its result."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any, get_args, get_origin

__all__ = ["result_type", "return_type"]

_AWAITABLES = (Awaitable, Coroutine)


def return_type(function: Callable[..., object]) -> object:
    """Say what a call of a function comes to in the end.

    Args:
        function: An `async def`, a generator or a plain function.

    Returns:
        The type of its result, in any form that a `DataConverter` takes; None where no annotation says.
    """
    try:
        annotation = inspect.signature(function, eval_str=True).return_annotation
    except NameError:
        # Annotations that name what only a type checker imports, or a local class. They are hints and may be missing.
        annotation = inspect.signature(function).return_annotation

    return result_type(annotation)


def result_type(annotation: object) -> object:
    """Read the annotation of what a function returns.

    Args:
        annotation: The annotation; of an `async def` what it is to be awaited for, of a generator the whole `Generator[…]`.

    Returns:
        The type of the result; None where the annotation says nothing.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)

    if origin in _AWAITABLES and arguments:
        return _meaning(arguments[-1])

    if origin is Generator:
        return _meaning(arguments[2]) if len(arguments) > 2 else None

    return None if origin is Iterator or annotation in (Generator, Iterator, *_AWAITABLES) else _meaning(annotation)


def _meaning(annotation: object) -> object:
    # A text could not be resolved, and Any says nothing.
    if annotation in (inspect.Signature.empty, Any, object, None) or isinstance(annotation, str):
        return None

    return annotation
