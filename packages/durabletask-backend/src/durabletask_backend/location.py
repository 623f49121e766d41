"""From a `--db` location to the backend it names."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import cast

from durabletask_backend.contract import Backend
from durabletask_backend.errors import LocationError

ENTRY_POINT_GROUP = "durabletask.backends"
"""Where a backend registers its factory, `(location: str) -> Backend`, named after its URL scheme."""


def backend_at(location: str) -> Backend:
    """Make the backend, not yet opened, that a location names.

    Args:
        location: A URL (`sqlite:///path`, `postgresql://…`, `memory:`), a plain path (SQLite), or empty (SQLite in memory).

    Raises:
        LocationError: No installed backend has that scheme, or the backend does not understand the rest.
    """
    scheme = _scheme(location)
    found = entry_points(group=ENTRY_POINT_GROUP, name=scheme)

    if not found:
        known = ", ".join(sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)})) or "none"
        raise LocationError(
            f"no backend for {scheme!r} is installed (installed: {known}); install durabletask-{scheme}, or give another location"
        )

    factory = cast("Callable[[str], Backend]", next(iter(found)).load())

    return factory(location)


def _scheme(location: str) -> str:
    scheme, colon, _ = location.partition(":")

    # One letter before a colon is a Windows drive.
    if not colon or len(scheme) == 1 or not scheme.replace("+", "").replace("-", "").isalnum():
        return "sqlite"

    return scheme.lower()
