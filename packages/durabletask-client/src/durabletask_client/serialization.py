"""How values become payloads and payloads become values.

Payloads are opaque to the server; by convention of every SDK they hold JSON. What a payload holds is never marked with Python
types, so that other languages read it as well: the reader says which type it wants.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import lru_cache
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Protocol, TypeAlias, Union, get_args, get_origin
from uuid import UUID

__all__ = ["DataConverter", "JsonDataConverter"]


class DataConverter(Protocol):
    """Turns values into payloads and back. Whoever writes a payload and whoever reads it need converters that agree."""

    def serialize(self, value: object) -> str | None:
        """Turn a value into a payload.

        Args:
            value: The value; None stands for "no payload".

        Returns:
            The payload, or None, which travels as an absent one.

        Raises:
            TypeError: A part of the value cannot be written.
            ValueError: The value contains itself.
        """

    def deserialize(self, data: str | None, type_hint: object = None) -> Any:
        """Turn a payload into a value.

        Args:
            data: The payload; None for an absent one.
            type_hint: The type to rebuild, or a form of one such as `list[Order]` or `Order | None`. None: whatever the
                payload holds, in plain Python.

        Returns:
            The value; None for an absent payload, whatever the hint says.

        Raises:
            TypeError: The payload holds something else than the hint asks for.
            ValueError: The payload is malformed, or is no value of the type that the hint asks for.
        """


class JsonDataConverter:
    """Writes plain JSON, and rebuilds Python types from it when told which.

    Beyond what JSON knows, it writes dataclasses and `SimpleNamespace` as objects, tuples (named ones too) as arrays, enums as
    their value, dates, times and UUIDs as text. With a hint it rebuilds all of these, wherever they are nested in dataclasses,
    lists, tuples, dicts and unions. Keys that a dataclass does not know are ignored, so that it may lose a field while older
    payloads are about; alternatives of a union are tried in their order.
    """

    def serialize(self, value: object) -> str | None:
        """See `DataConverter.serialize`."""
        return None if value is None else json.dumps(value, default=_plain)

    def deserialize(self, data: str | None, type_hint: object = None) -> Any:
        """See `DataConverter.deserialize`."""
        # Some SDKs send an empty payload where they mean none.
        if not data:
            return None

        value = json.loads(data)

        # At the top null is what others write for an absent payload.
        return value if type_hint is None or value is None else _rebuild(value, type_hint)


def _plain(value: object) -> object:
    """One level of what JSON does not know, in terms that are nearer to it."""
    if is_dataclass(value) and not isinstance(value, type):
        # Not asdict(): it copies deeply, and loses what is a dataclass inside of what is none.
        return {field.name: getattr(value, field.name) for field in fields(value)}

    if isinstance(value, SimpleNamespace):
        return vars(value)

    if isinstance(value, Enum):
        return value.value

    if isinstance(value, date):
        return value.isoformat()

    if isinstance(value, UUID):
        return str(value)

    raise TypeError(
        f"a value of type {type(value).__qualname__} cannot be written as JSON; "
        "pass a dataclass or plain values, or give the client and the worker a DataConverter that knows the type"
    )


def _rebuild(value: object, hint: Any) -> object:
    """The plain JSON value as the hint wants it; unchanged for hints that say nothing about JSON."""
    if hint in _UNCHECKED:
        return value

    if isinstance(hint, type) and get_origin(hint) is None:
        return _rebuild_class(value, hint)

    rebuild = _FORMS.get(get_origin(hint))

    return value if rebuild is None else rebuild(value, get_args(hint))


def _rebuild_class(value: object, cls: type) -> object:
    simple = _SCALARS.get(cls)

    if simple is not None:
        return simple(value)

    if issubclass(cls, Enum):
        return cls(value)

    if is_dataclass(cls):
        hints = _hints(cls)
        known = _expect(value, dict, cls)

        return cls(
            **{
                field.name: _rebuild(known[field.name], hints[field.name])
                for field in fields(cls)
                if field.init and field.name in known
            }
        )

    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _rebuild_named(_expect(value, list, cls), cls)

    rebuild = _FORMS.get(cls)

    return value if rebuild is None else rebuild(value, ())


def _rebuild_named(items: list[object], cls: Any) -> object:
    names, hints = cls._fields, _hints(cls)

    if len(items) > len(names):
        raise TypeError(f"the payload holds an array of {len(items)} where {cls.__qualname__} takes {len(names)}")

    return cls(*(_rebuild(item, hints.get(name)) for name, item in zip(names, items, strict=False)))


@lru_cache(maxsize=1024)
def _hints(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def _expect(value: object, kind: type, wanted: object) -> Any:
    if not isinstance(value, kind):
        raise TypeError(
            f"the payload holds {_NAMES[type(value)]} where {getattr(wanted, '__qualname__', wanted)} is wanted"
        )

    return value


def _int(value: object) -> object:
    # Other languages have one kind of number, and may write 3.0.
    if isinstance(value, float) and value.is_integer():
        return int(value)

    return _expect(value, int, int)


def _float(value: object) -> object:
    return float(_expect(value, int, float)) if isinstance(value, int) else _expect(value, float, float)


def _none(value: object) -> object:
    return _expect(value, NoneType, None)


def _union(value: object, arms: tuple[Any, ...]) -> object:
    if value is None and NoneType in arms:
        return None

    failures: list[str] = []

    for arm in arms:
        try:
            return _rebuild(value, arm)
        except (TypeError, ValueError) as failure:
            failures.append(str(failure))

    raise TypeError("no alternative fits: " + "; ".join(failures))


def _list(value: object, arguments: tuple[Any, ...]) -> object:
    items = _expect(value, list, list)

    return [_rebuild(item, arguments[0]) for item in items] if arguments else items


def _tuple(value: object, arguments: tuple[Any, ...]) -> object:
    items = _expect(value, list, tuple)

    if not arguments:
        return tuple(items)

    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_rebuild(item, arguments[0]) for item in items)

    if len(items) != len(arguments):
        raise TypeError(f"the payload holds an array of {len(items)} where a tuple of {len(arguments)} is wanted")

    return tuple(_rebuild(item, hint) for item, hint in zip(items, arguments, strict=True))


def _dict(value: object, arguments: tuple[Any, ...]) -> object:
    entries = _expect(value, dict, dict)

    if not arguments:
        return entries

    key_hint, value_hint = arguments

    return {_key(key, key_hint): _rebuild(item, value_hint) for key, item in entries.items()}


def _key(key: str, hint: Any) -> object:
    # The keys of a JSON object are always text.
    return hint(key) if hint in {int, float} else _rebuild(key, hint)


def _namespace(value: object) -> object:
    return SimpleNamespace(**_expect(value, dict, SimpleNamespace))


_Form: TypeAlias = Callable[[object, tuple[Any, ...]], object]

_UNCHECKED: tuple[object, ...] = (None, Any, object)

_NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "an array",
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    NoneType: "null",
}

_SCALARS: Mapping[type, Callable[[object], object]] = {
    str: lambda value: _expect(value, str, str),
    int: _int,
    float: _float,
    bool: lambda value: _expect(value, bool, bool),
    NoneType: _none,
    datetime: lambda value: datetime.fromisoformat(_expect(value, str, datetime)),
    date: lambda value: date.fromisoformat(_expect(value, str, date)),
    UUID: lambda value: UUID(_expect(value, str, UUID)),
    SimpleNamespace: _namespace,
}

_FORMS: Mapping[Any, _Form] = {
    Union: _union,
    UnionType: _union,
    list: _list,
    Sequence: _list,
    tuple: _tuple,
    dict: _dict,
    Mapping: _dict,
}
