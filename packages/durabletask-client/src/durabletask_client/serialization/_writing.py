"""From values to JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, TypeAlias
from uuid import UUID

from durabletask_client.serialization._durations import write_duration

_Plainly: TypeAlias = Callable[[Any], object]
"""From a value to one that is a level nearer to JSON."""


def write(value: object) -> str:
    """Write a value.

    Raises:
        TypeError: A part of it cannot be written.
        ValueError: It contains itself, or NaN.
    """
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError):
        # Slower, but knows what the encoder does not: keys that are no text, and where in the value it is.
        pass

    try:
        return _encode(_plain(value, "payload", ()))
    except RecursionError:
        raise ValueError("the payload is nested too deeply to be written") from None


def nearer(value: Any) -> object:
    """One level of what JSON does not know, in terms that are nearer to it."""
    return _nearer(value.__class__)(value)


_encode = json.JSONEncoder(default=nearer, allow_nan=False).encode


@lru_cache(maxsize=4096)
def _nearer(cls: type) -> _Plainly:
    names = _field_names(cls)

    if names is not None:
        # Not asdict(): it copies deeply, and loses what is a dataclass inside of what is none.
        return lambda value: {name: getattr(value, name) for name in names}

    if hasattr(cls, "model_dump") and hasattr(cls, "model_validate"):
        return lambda value: value.model_dump(mode="json", by_alias=True)

    for known, plainly in _KNOWN:
        if issubclass(cls, known):
            return plainly

    return _unknown


def _field_names(cls: Any) -> tuple[str, ...] | None:
    if is_dataclass(cls):
        return tuple(field.name for field in fields(cls))

    if hasattr(cls, "__attrs_attrs__"):
        return tuple(attribute.name for attribute in cls.__attrs_attrs__)

    return None


def _unknown(value: object) -> object:
    raise TypeError(
        f"a value of type {type(value).__qualname__} cannot be written as JSON; "
        "pass a dataclass or plain values, or give the client and the worker a DataConverter that knows the type"
    )


def _moment(value: datetime) -> str:
    return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()


def _sorted(values: Collection[object]) -> list[object]:
    # The order of a set of texts differs from process to process.
    return sorted(values, key=write)


_KNOWN: tuple[tuple[type, _Plainly], ...] = (
    (Enum, attrgetter("value")),
    (datetime, _moment),
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, write_duration),
    (UUID, str),
    (Decimal, str),
    (PurePath, str),
    (bytes, lambda value: base64.b64encode(value).decode("ascii")),
    (bytearray, lambda value: base64.b64encode(value).decode("ascii")),
    (SimpleNamespace, vars),
    (Mapping, dict),
    (AbstractSet, _sorted),
    (Sequence, list),
)


def _plain(value: object, place: str, around: tuple[int, ...]) -> object:
    """A value in terms of JSON only."""
    if value is None or isinstance(value, (str, int)):
        return value

    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{place} holds {value}, which JSON has no word for; pass None or text instead")

        return value

    if id(value) in around:
        raise ValueError(f"{place}: Circular reference: it is a part of itself")

    around = (*around, id(value))

    if isinstance(value, dict):
        return _plain_entries(value, place, around)

    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{place}[{index}]", around) for index, item in enumerate(value)]

    try:
        plainer = nearer(value)
    except (TypeError, ValueError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{place}: {error}") from error

    if isinstance(plainer, dict) and not isinstance(value, Mapping):
        return {name: _plain(item, f"{place}.{name}", around) for name, item in plainer.items()}

    return _plain(plainer, place, around)


def _plain_entries(entries: dict[Any, object], place: str, around: tuple[int, ...]) -> dict[str, object]:
    plain: dict[str, object] = {}

    for key, item in entries.items():
        name = _key(key, place)

        if name in plain:
            raise ValueError(f"{place}: two of its keys are written as {name!r}; use keys of one type")

        plain[name] = _plain(item, f"{place}[{key!r}]", around)

    return plain


def _key(key: object, place: str) -> str:
    """The keys of a JSON object are always text: that of the value, or its JSON."""
    plain = key

    while isinstance(plain, Enum) or not (plain is None or isinstance(plain, (str, int, float, list, tuple, dict))):
        try:
            plain = nearer(plain)
        except TypeError:
            break

    if isinstance(plain, str):
        return plain

    if plain is None or isinstance(plain, (int, float)):
        return json.dumps(plain, allow_nan=False)

    raise TypeError(f"{place}: a key of type {type(key).__qualname__} cannot be written as JSON; use text or a number")
