"""Prints what a changelog says of a version, for the text of a release.

python -m release.notes durabletask-client-v0.1.0
"""

from __future__ import annotations

import re
import sys

from release.packages import Package, package


def tagged(tag: str) -> Package:
    """The package that a tag releases.

    Args:
        tag: As `durabletask-client-v0.1.0`.

    Raises:
        LookupError: It is no such tag, or its version is not that of the package.
    """
    found = re.fullmatch(r"(durabletask-[a-z]+)-v(\d\S*)", tag)

    if found is None:
        raise LookupError(f"{tag!r} is no tag of a release; one is durabletask-client-v0.1.0")

    released = package(found[1])

    if released.version != found[2]:
        raise LookupError(f"{tag!r}: the version of {released.name} is {released.version}; tag that, or change it")

    return released


if __name__ == "__main__":
    print(tagged(sys.argv[1]).notes(), end="")
