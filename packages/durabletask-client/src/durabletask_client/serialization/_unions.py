"""Forms of unions: which alternative a piece of JSON is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import NoneType
from typing import Any

from durabletask_client.serialization._forms import Form, MisfitError, Shape, word
from durabletask_client.serialization._scalars import tag


def union(arms: Sequence[Form]) -> Form:
    """The form of a union.

    What may be several alternatives becomes the one that fits best. Numbers stay what they are if they can. An object becomes the
    class whose `Literal` fields and required fields it has, which knows most of its keys and misses fewest of its own. Beyond
    that the first alternative that takes it wins.

    Args:
        arms: The forms of the alternatives, unions among them already resolved.
    """
    name = " | ".join(arm.name for arm in arms)

    if len(arms) == 1:
        return arms[0]

    others = [arm for arm in arms if arm.exact != {NoneType}]

    if len(others) == 1 and len(others) < len(arms):
        return _optional(others[0], name)

    @cache
    def taking(kind: type) -> list[Form]:
        exact = [arm for arm in arms if kind in arm.exact]

        return exact + [arm for arm in arms if kind in arm.loose and arm not in exact]

    def rebuild(value: Any) -> object:
        candidates: Sequence[Form] = taking(value.__class__)

        if isinstance(value, dict) and len(candidates) > 1:
            candidates = _by_keys(value, candidates)

        if not candidates:
            raise MisfitError(f" holds {word(value)}, and no alternative fits: {name}")

        if len(candidates) == 1:
            return candidates[0].rebuild(value)

        return _first(value, candidates)

    return Form(
        rebuild=rebuild,
        name=name,
        exact=frozenset().union(*(arm.exact for arm in arms)),
        loose=frozenset().union(*(arm.loose for arm in arms)),
    )


def _optional(arm: Form, name: str) -> Form:
    each = arm.rebuild

    def rebuild(value: object) -> object:
        return None if value is None else each(value)

    return Form(
        rebuild=rebuild, name=name, exact=arm.exact | {NoneType}, loose=arm.loose, plain=arm.plain, shape=arm.shape
    )


def _first(value: object, candidates: Sequence[Form]) -> object:
    problems: list[str] = []

    for arm in candidates:
        try:
            return arm.rebuild(value)
        except MisfitError as misfit:
            problems.append(f"{arm.name}: {misfit.text('it')}")

    raise MisfitError(f" holds {word(value)}, and no alternative fits: {'; '.join(problems)}")


def _by_keys(value: dict[str, Any], candidates: Sequence[Form]) -> Sequence[Form]:
    """The candidates that the tags of the object allow, best first; all of them if none is left, to say what is wrong."""
    shapes = [(arm, None if arm.shape is None else arm.shape()) for arm in candidates]
    allowed = [(arm, shape) for arm, shape in shapes if shape is None or _is_tagged(value, shape)] or shapes
    fitting = [(arm, shape) for arm, shape in allowed if shape is None or shape.required <= value.keys()] or allowed

    return [arm for arm, _ in sorted(fitting, key=lambda each: _distance(value, each[1]))]


def _is_tagged(value: dict[str, Any], shape: Shape) -> bool:
    return all(key not in value or _is_one(value[key], values) for key, values in shape.tags.items())


def _is_one(value: object, values: frozenset[object]) -> bool:
    return not isinstance(value, (dict, list)) and tag(value) in values


def _distance(value: dict[str, Any], shape: Shape | None) -> tuple[float, int]:
    # A dict takes everything, and so comes before classes that do not, and after those that do.
    return (0.5, 0) if shape is None else (len(value.keys() - shape.known), len(shape.known - value.keys()))
