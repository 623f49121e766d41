"""Which code is measured: programs that start one after the other must not each find another one."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("durabletask_protos", "durabletask_client", "durabletask_worker", "durabletask_server")


class SourcesChangedError(Exception):
    """The code was edited while it was measured, so that the figures are of no version in particular."""


def digest() -> str:
    """A short hash of our packages, as this interpreter would import them now."""
    found = hashlib.sha256()

    for package in _PACKAGES:
        spec = find_spec(package)

        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            for path in sorted(Path(place).rglob("*.py")):
                found.update(str(path.relative_to(place)).encode())
                found.update(path.read_bytes())

    return found.hexdigest()[:12]


def require_unchanged(before: str) -> None:
    """See that the code is still the one it was.

    Raises:
        SourcesChangedError: It is not.
    """
    now = digest()

    if now != before:
        raise SourcesChangedError(
            f"the sources changed from {before} to {now} while they were measured; measure a copy, see benchmarks/README.md"
        )
