"""The hints of a class's fields, with the type variables of generic classes filled in."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin


def field_hints(cls: type, arguments: Sequence[object]) -> Mapping[str, Any]:
    """Find out the hint of each field.

    Args:
        cls: A class.
        arguments: What it is parametrized with, as in `Page[Order]`.

    Raises:
        NameError: A hint names what cannot be found: a local class, or what only a type checker imports.
    """
    return _filled(cls, arguments, typing.get_type_hints(cls))


def _filled(cls: type, arguments: Sequence[object], hints: Mapping[str, Any]) -> dict[str, Any]:
    # A variable may be used again further up, with another meaning: each class fills in its own.
    filling = dict(zip(getattr(cls, "__parameters__", ()), arguments, strict=False))
    found: dict[str, Any] = {}

    for base in reversed(cls.__dict__.get("__orig_bases__", cls.__bases__)):
        origin = get_origin(base) or base

        if isinstance(origin, type) and origin is not object:
            found |= _filled(origin, [fill(argument, filling) for argument in get_args(base)], hints)

    return found | {name: fill(hints[name], filling) for name in inspect.get_annotations(cls) if name in hints}


def fill(hint: Any, filling: Mapping[Any, object]) -> Any:
    """Put arguments in the place of type variables; those that have none stay."""
    if isinstance(hint, TypeVar):
        return filling.get(hint, hint)

    variables = () if isinstance(hint, type) else getattr(hint, "__parameters__", ())

    return hint[tuple(filling.get(variable, variable) for variable in variables)] if variables else hint
