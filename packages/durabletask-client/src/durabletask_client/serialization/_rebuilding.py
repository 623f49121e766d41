"""From a type hint to what rebuilds it."""

from __future__ import annotations

import collections
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import cache, lru_cache
from typing import Any, Literal, NewType, TypeVar, Union, get_args, get_origin

from durabletask_client.serialization._annotations import fill
from durabletask_client.serialization._containers import ARRAYS, OBJECTS, array, entries, row
from durabletask_client.serialization._forms import ANYTHING, Form, MisfitError
from durabletask_client.serialization._records import record
from durabletask_client.serialization._scalars import SCALARS, anything, derived, enum, literal
from durabletask_client.serialization._unions import union

_UNIONS: tuple[object, ...] = (Union, types.UnionType)

_WRAPPERS: tuple[object, ...] = (typing.Annotated, typing.Final, typing.ClassVar, typing.Required, typing.NotRequired)
"""Hints that say something about a type, and nothing about its JSON."""

_ANYTHING = anything()


def form_of(hint: Any) -> Form:
    """Find out how to rebuild what a hint asks for. Remembered, for the same few hints come up again and again."""
    if isinstance(hint, type):
        return _of_class(hint)

    try:
        # Unions are equal whatever their order, which here tells the alternatives apart: hence the text.
        return _remembered(hint, str(hint))
    except TypeError:
        # Annotated with something that cannot be hashed.
        return _form(hint)


@lru_cache(maxsize=4096)
def _remembered(hint: Any, _: str) -> Form:
    return _form(hint)


@lru_cache(maxsize=4096)
def _of_class(cls: type) -> Form:
    if cls is Any or cls is object:
        return _ANYTHING

    scalar = SCALARS.get(cls)

    return _of_generic(cls, (), cls.__qualname__) if scalar is None else scalar


def _form(hint: Any) -> Form:
    origin, arguments = get_origin(hint), get_args(hint)

    if origin in _UNIONS:
        return union([form_of(arm) for arm in _arms(arguments)])

    if origin is Literal:
        return literal(arguments)

    if origin in _WRAPPERS:
        return form_of(arguments[0])

    if isinstance(origin, type):
        return _of_generic(origin, arguments, _name(hint))

    aliased = _aliased(hint)

    if aliased is not None:
        return _later(aliased, _name(hint))

    if isinstance(hint, NewType):
        return form_of(hint.__supertype__)

    if isinstance(hint, TypeVar):
        return _of_variable(hint)

    return form_of(types.NoneType) if hint is None else _ANYTHING if hint in _WRAPPERS else _unknown(_name(hint))


def _of_generic(cls: Any, arguments: Sequence[Any], name: str) -> Form:
    """The form of a class, or of a generic one with arguments."""
    if cls is tuple:
        return _tuple(arguments, name)

    if cls in ARRAYS:
        return array(ARRAYS[cls], form_of(arguments[0]) if arguments else _ANYTHING, name)

    if cls is collections.Counter:
        arguments = (*arguments, int)[:2] if arguments else ()

    if cls in OBJECTS:
        key, item = map(form_of, arguments) if arguments else (form_of(str), _ANYTHING)

        return entries(OBJECTS[cls], key, item, name)

    if issubclass(cls, Enum):
        return enum(cls)

    return record(cls, arguments, name, form_of) or _derived(cls, name) or _unknown(name)


def _derived(cls: Any, name: str) -> Form | None:
    """The form of a class of the user's that derives from something that JSON can say."""
    for base in cls.__mro__[1:]:
        if base in SCALARS:
            return derived(cls, SCALARS[base])

        if base in ARRAYS and isinstance(cls, type) and issubclass(base, (list, set, frozenset)):
            return array(cls, _ANYTHING, name)

        if base is dict:
            return entries(cls, form_of(str), _ANYTHING, name)

        if base is tuple:
            return array(cls, _ANYTHING, name)

    return None


def _tuple(arguments: Sequence[Any], name: str) -> Form:
    if not arguments:
        return row(tuple, [], name) if name.endswith("[()]") else array(tuple, _ANYTHING, name)

    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return array(tuple, form_of(arguments[0]), name)

    return row(tuple, [form_of(argument) for argument in arguments], name)


def _of_variable(variable: TypeVar) -> Form:
    """The form of a type variable that nobody has filled in."""
    if variable.__constraints__:
        return union([form_of(each) for each in variable.__constraints__])

    return _ANYTHING if variable.__bound__ is None else form_of(variable.__bound__)


def _arms(arms: Sequence[Any]) -> Iterator[Any]:
    """The alternatives of a union, without unions among them."""
    for arm in arms:
        inner = arm

        while (aliased := _aliased(inner)) is not None:
            inner = aliased()

        if get_origin(inner) in _UNIONS:
            yield from _arms(get_args(inner))
        else:
            yield arm


def _aliased(hint: Any) -> Callable[[], Any] | None:
    """What the alias of a `type` statement stands for; None of anything else."""
    alias = get_origin(hint) or hint

    if isinstance(alias, type) or not hasattr(alias, "__value__"):
        return None

    filling = dict(zip(alias.__type_params__, get_args(hint), strict=False))

    return lambda: fill(alias.__value__, filling)


def _later(find: Callable[[], Any], name: str) -> Form:
    """The form of an alias, which may be a part of itself, and so is looked into when it is needed."""
    found = cache(lambda: form_of(find()))

    return Form(rebuild=lambda value: found().rebuild(value), name=name, exact=ANYTHING)


def _unknown(name: str) -> Form:
    def rebuild(_: object) -> object:
        raise MisfitError(
            f" is to be a {name}, which JSON does not know; use a dataclass, or a DataConverter that knows the type"
        )

    return Form(rebuild=rebuild, name=name, exact=ANYTHING)


def _name(hint: Any) -> str:
    """The hint, as one would write it with what it names imported."""
    return re.sub(r"(?:\w+\.|<locals>\.)+(?=\w)", "", str(hint))
