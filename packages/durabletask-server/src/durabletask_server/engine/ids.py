"""Where new ids come from; injected, so that the engine is a function of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from uuid import uuid4

NewId: TypeAlias = Callable[[], str]
"""Makes ids for executions, and for instances whose starter gave none: 32 lowercase hex digits, never the same twice."""


def random_id() -> str:
    """An id from the operating system's randomness."""
    return uuid4().hex


def entity_id(raw: str) -> str:
    """The id of an entity, `@name@key`, with the name in lower case, however it was written."""
    name, at, key = raw[1:].partition("@")

    return f"{raw[:1]}{name.lower()}{at}{key}"
