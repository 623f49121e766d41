"""What a type hint comes down to: a function that rebuilds, and what unions need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, TypeAlias

Rebuild: TypeAlias = Callable[[Any], Any]
"""From plain JSON to the value; raises MisfitError."""

NOTHING: frozenset[type] = frozenset()
ANYTHING: frozenset[type] = frozenset({dict, list, str, int, float, bool, NoneType})

_WORDS: Mapping[type, str] = {
    dict: "an object",
    list: "an array",
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    NoneType: "null",
}


class MisfitError(Exception):
    """What the payload holds is not what the hint asks for. It collects its way up to the root of the payload.

    Args:
        problem: What is wrong, as it follows on the place: " holds text where int is wanted", ": no such colour".
        kind: What a caller of the converter gets.
    """

    def __init__(self, problem: str, kind: type[TypeError | ValueError] = TypeError) -> None:
        super().__init__(problem)
        self.problem = problem
        self.kind = kind
        self.steps: list[str] = []

    def within(self, step: str) -> None:
        """Take note of where it is: `.name` or `[index]`."""
        self.steps.append(step)

    def text(self, root: str) -> str:
        """Say what is wrong, and where."""
        return root + "".join(reversed(self.steps)) + self.problem

    def error(self) -> Exception:
        """Make what a caller of the converter gets."""
        return self.kind(self.text("payload"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What can be told of a class by the keys of its object."""

    known: frozenset[str]
    """All keys it takes."""
    required: frozenset[str]
    """Those it cannot do without."""
    tags: Mapping[str, frozenset[object]]
    """Those that have one of a few values, and these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How to rebuild what a hint asks for."""

    rebuild: Rebuild
    """From plain JSON to the value."""
    name: str
    """The hint, for messages."""
    exact: frozenset[type]
    """What it is made of: types that a JSON parser yields."""
    loose: frozenset[type] = NOTHING
    """What else it can be made of, if no alternative of a union is more exact."""
    plain: type | None = None
    """The type whose values are left as they are, if there is one: callers may do so without asking."""
    shape: Callable[[], Shape | None] | None = None
    """Of a class with fields: which. Not told before it is needed, as classes may hold themselves."""


def word(value: object) -> str:
    """Name what the payload holds."""
    return _WORDS[type(value)]


def wanted(value: object, name: str) -> MisfitError:
    """The payload holds another kind of value."""
    return MisfitError(f" holds {word(value)} where {name} is wanted")


def refused(error: Exception, by: str = "") -> MisfitError:
    """The type itself does not take the value."""
    misfit = MisfitError(f": {by}{error}", TypeError if isinstance(error, TypeError) else ValueError)
    misfit.__cause__ = error

    return misfit
