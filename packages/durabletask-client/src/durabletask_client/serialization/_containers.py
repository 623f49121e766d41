"""Forms of arrays, and of objects that are dicts."""

from __future__ import annotations

import collections
import json
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
)
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from durabletask_client.serialization._forms import Form, MisfitError, refused, wanted

FormOf: TypeAlias = Callable[[Any], Form]

_ARRAY: frozenset[type] = frozenset({list})
_OBJECT: frozenset[type] = frozenset({dict})

ARRAYS: Mapping[Any, Callable[[list[Any]], object]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.deque: collections.deque,
    Sequence: list,
    MutableSequence: list,
    Collection: list,
    Iterable: list,
    AbstractSet: set,
    MutableSet: set,
}
"""What is made of an array, by the class or the protocol that a hint names."""

OBJECTS: Mapping[Any, Callable[[dict[Any, Any]], object]] = {
    dict: dict,
    Mapping: dict,
    MutableMapping: dict,
    collections.OrderedDict: collections.OrderedDict,
    collections.Counter: collections.Counter,
    collections.defaultdict: lambda entries: collections.defaultdict(None, entries),
}
"""What is made of an object, in the same way."""


def array(make: Callable[[list[Any]], object], item: Form, name: str) -> Form:
    """The form of an array of any length."""
    each, plain = item.rebuild, item.plain

    def rebuild(value: object) -> object:
        if not isinstance(value, list):
            raise wanted(value, name)

        items: list[object] = []

        try:
            for entry in value:
                items.append(entry if type(entry) is plain else each(entry))  # noqa: PERF401 - its length tells where
        except MisfitError as misfit:
            misfit.within(f"[{len(items)}]")
            raise

        return items if make is list else _made(make, items, name)

    return Form(rebuild=rebuild, name=name, exact=_ARRAY)


def row(make: Callable[[list[Any]], object], items: Sequence[Form], name: str, least: int | None = None) -> Form:
    """The form of an array with a place for each item.

    Args:
        make: Makes the value.
        items: The forms of the places.
        name: The hint.
        least: How many places have to be there; None for all.
    """
    least = len(items) if least is None else least

    def rebuild(value: object) -> object:
        if not isinstance(value, list):
            raise wanted(value, name)

        if not least <= len(value) <= len(items):
            raise MisfitError(f" holds an array of {len(value)} where {name} takes {len(items)}")

        rebuilt: list[object] = []

        try:
            for item, entry in zip(items, value, strict=False):
                rebuilt.append(item.rebuild(entry))
        except MisfitError as misfit:
            misfit.within(f"[{len(rebuilt)}]")
            raise

        return _made(make, rebuilt, name)

    return Form(rebuild=rebuild, name=name, exact=_ARRAY)


def entries(make: Callable[[dict[Any, Any]], object], key: Form, item: Form, name: str) -> Form:
    """The form of an object with any keys."""
    each, plain = item.rebuild, item.plain
    keys = None if key.plain is str else _key(key)

    def rebuild(value: object) -> object:
        if not isinstance(value, dict):
            raise wanted(value, name)

        rebuilt: dict[object, object] = {}
        at = ""

        try:
            for at, entry in value.items():
                rebuilt[at if keys is None else keys(at)] = entry if type(entry) is plain else each(entry)
        except MisfitError as misfit:
            misfit.within(f"[{at!r}]")
            raise

        return rebuilt if make is dict else _made(make, rebuilt, name)

    return Form(rebuild=rebuild, name=name, exact=_OBJECT)


def _made(make: Callable[[Any], object], parts: object, name: str) -> object:
    try:
        return make(parts)
    except (TypeError, ValueError) as error:
        # Items of a set that cannot be hashed, say, or a class of the user's.
        raise refused(error, f"{name} refuses it: ") from error


def _key(form: Form) -> Callable[[str], object]:
    """The keys of a JSON object are always text: that of the value, or its JSON."""
    takes_text = str in form.exact

    def rebuild(key: str) -> object:
        if takes_text:
            try:
                return form.rebuild(key)
            except MisfitError:
                if form.exact | form.loose == {str}:
                    raise

        try:
            plain = json.loads(key)
        except ValueError:
            plain = key

        return form.rebuild(plain if type(plain) in form.exact | form.loose or not takes_text else key)

    return rebuild
