"""Forms of what is one piece of JSON: text, numbers and what is written as one of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath
from types import NoneType, SimpleNamespace
from typing import Any
from uuid import UUID

from durabletask_client.serialization._durations import read_duration
from durabletask_client.serialization._forms import ANYTHING, Form, MisfitError, refused, wanted
from durabletask_client.serialization._writing import write

_TEXT: frozenset[type] = frozenset({str})
_NUMBERS: frozenset[type] = frozenset({int, float})


def _same(cls: type) -> Form:
    def rebuild(value: object) -> object:
        if not isinstance(value, cls):
            raise wanted(value, cls.__name__)

        return value

    return Form(rebuild=rebuild, name=cls.__name__, exact=frozenset({cls}), plain=cls)


def _from_text(cls: Any, parse: Callable[[str], object], numbers: Callable[[Any], object] | None = None) -> Form:
    def rebuild(value: object) -> object:
        make = parse if isinstance(value, str) else None if isinstance(value, bool) else numbers

        if make is None or not isinstance(value, (str, int, float)):
            raise wanted(value, cls.__qualname__)

        try:
            return make(value)  # type: ignore[arg-type] # `parse` gets text, `numbers` the rest
        except (ValueError, ArithmeticError) as error:
            raise refused(error, f"no {cls.__qualname__}: ") from error

    return Form(
        rebuild=rebuild, name=cls.__qualname__, exact=_TEXT, loose=_NUMBERS if numbers is not None else frozenset()
    )


def _int(value: object) -> object:
    # Other languages have one kind of number, and may write 3.0.
    if isinstance(value, float) and value.is_integer():
        return int(value)

    if not isinstance(value, int):
        raise wanted(value, "int")

    return value


def _float(value: object) -> object:
    if not isinstance(value, (int, float)):
        raise wanted(value, "float")

    try:
        return float(value)
    except OverflowError as error:
        raise refused(error) from error


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)

    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _namespace(value: object) -> object:
    if not isinstance(value, dict):
        raise wanted(value, "SimpleNamespace")

    return SimpleNamespace(**value)


def anything() -> Form:
    """The form of hints that say nothing."""
    return Form(rebuild=lambda value: value, name="anything", exact=ANYTHING)


SCALARS: Mapping[type, Form] = {
    str: _same(str),
    bool: _same(bool),
    NoneType: Form(rebuild=_same(NoneType).rebuild, name="None", exact=frozenset({NoneType}), plain=NoneType),
    int: Form(rebuild=_int, name="int", exact=frozenset({int}), loose=frozenset({bool, float}), plain=int),
    float: Form(rebuild=_float, name="float", exact=frozenset({float}), loose=frozenset({bool, int}), plain=float),
    datetime: _from_text(datetime, _moment),
    date: _from_text(date, date.fromisoformat),
    time: _from_text(time, time.fromisoformat),
    timedelta: _from_text(timedelta, read_duration, lambda seconds: timedelta(seconds=seconds)),
    UUID: _from_text(UUID, UUID),
    # By way of text: 0.1 is to be 0.1.
    Decimal: _from_text(Decimal, Decimal, lambda number: Decimal(str(number))),
    bytes: _from_text(bytes, _bytes),
    bytearray: _from_text(bytearray, lambda text: bytearray(_bytes(text))),
    SimpleNamespace: Form(rebuild=_namespace, name="SimpleNamespace", exact=frozenset({dict})),
} | {path: _from_text(path, path) for path in (Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath)}


def enum(cls: type[Enum]) -> Form:
    """The form of an enum: the value of a member."""
    # A value that is no plain JSON is found by how it is written.
    members = {write(member.value): member for member in cls}

    def rebuild(value: object) -> object:
        try:
            return cls(value)
        except ValueError as error:
            member = members.get(write(value))

            if member is None:
                raise refused(error) from error

            return member

    return Form(rebuild=rebuild, name=cls.__qualname__, exact=frozenset(_kind(member.value) for member in cls))


def literal(values: tuple[Any, ...]) -> Form:
    """The form of `Literal[...]`."""
    by_json = {tag(_json(value)): value for value in values}
    name = f"Literal[{', '.join(map(repr, values))}]"

    def rebuild(value: Any) -> object:
        try:
            return by_json[tag(value)]
        except (KeyError, TypeError):
            raise MisfitError(f" holds {value!r:.100} where {name} is wanted", ValueError) from None

    return Form(rebuild=rebuild, name=name, exact=frozenset(_kind(value) for value in values))


def tags(values: tuple[Any, ...]) -> frozenset[object]:
    """What the values of `Literal[...]` are in JSON, as `tag` has them."""
    return frozenset(tag(_json(value)) for value in values)


def tag(value: object) -> object:
    """What to look a value up by: True, 1 and 1.0 differ."""
    return type(value), value


def _json(value: object) -> Any:
    return json.loads(write(value))


def _kind(value: object) -> type:
    return type(_json(value))


def derived(cls: type, base: Form) -> Form:
    """The form of a class of the user's that derives from a scalar."""

    def rebuild(value: object) -> object:
        plain = base.rebuild(value)

        try:
            return cls(plain)
        except (TypeError, ValueError) as error:
            raise refused(error, f"{cls.__qualname__} refuses it: ") from error

    return Form(rebuild=rebuild, name=cls.__qualname__, exact=base.exact, loose=base.loose)
