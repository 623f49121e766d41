"""Which versions of orchestrations a worker runs, and what becomes of the others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from itertools import zip_longest
from typing import TypeAlias, TypeVar

from durabletask_client.failures import FailureDetails

__all__ = ["VersionFailureStrategy", "VersionMatchStrategy", "VersioningOptions", "compare_versions"]

_SEMANTIC = re.compile(r"v?(\d+(?:\.\d+)*)(?:-([0-9a-z.-]+))?(?:\+[0-9a-z.-]+)?", re.IGNORECASE | re.ASCII)
"""Numbers, perhaps what it is a forerunner of, perhaps a build, which counts for nothing."""

_Part: TypeAlias = tuple[int, int, str]
"""Of a forerunner's name, so that they can be compared: numbers come before words."""

T = TypeVar("T", str, list[_Part])


class VersionMatchStrategy(Enum):
    """Which orchestrations a worker takes, by their version."""

    NONE = auto()
    """All."""
    STRICT = auto()
    """Those of the worker's version."""
    CURRENT_OR_OLDER = auto()
    """Those of the worker's version, of lower ones, and of none."""


class VersionFailureStrategy(Enum):
    """What becomes of an orchestration whose version a worker does not take."""

    REJECT = auto()
    """It is given back to the server, which offers it again, to another worker where there is one."""
    FAIL = auto()
    """It ends as FAILED, with the error type `VersionMismatch`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersioningOptions:
    """How a worker treats the versions of orchestrations; the code is the same for all workers with these options."""

    version: str | None = None
    """The worker's own; None is lower than all others."""
    default_version: str | None = None
    """The version of sub-orchestrations that are started without one; None for none."""
    match_strategy: VersionMatchStrategy = VersionMatchStrategy.NONE
    """Which orchestrations the worker takes."""
    failure_strategy: VersionFailureStrategy = VersionFailureStrategy.REJECT
    """What becomes of the others."""

    def accepts(self, version: str | None) -> bool:
        """Say whether the worker takes an orchestration.

        Args:
            version: The orchestration's; None for none.

        Returns:
            Whether it does.
        """
        match self.match_strategy:
            case VersionMatchStrategy.NONE:
                return True
            case VersionMatchStrategy.STRICT:
                return compare_versions(version, self.version) == 0
            case VersionMatchStrategy.CURRENT_OR_OLDER:
                return compare_versions(version, self.version) <= 0

    def mismatch(self, version: str | None) -> FailureDetails:
        """Describe what is wrong with an orchestration that the worker does not take.

        Args:
            version: The orchestration's; None for none.

        Returns:
            The failure it ends with under `VersionFailureStrategy.FAIL`.
        """
        wanted = "" if self.match_strategy is VersionMatchStrategy.STRICT else " or older"

        return FailureDetails(
            error_type="VersionMismatch",
            message=f"the orchestration has version {version or ''!r}, and the worker takes {self.version or ''!r}{wanted}",
            is_non_retriable=True,
        )


def compare_versions(left: str | None, right: str | None) -> int:
    """Say which of two versions is lower.

    No version, or an empty one, is lower than every other. Numbers with dots compare number by number, `1.10` after `1.9` and
    `1` like `1.0`; a forerunner as `2.0-beta` comes before its `2.0`. Where one of the two is written in another way, both are
    compared as words, without regard to case.

    Args:
        left: A version; None for none.
        right: Another one.

    Returns:
        Less than 0 if `left` is lower, 0 if both are the same, more than 0 if `right` is lower.
    """
    if not left or not right:
        return bool(left) - bool(right)

    ours, theirs = _SEMANTIC.fullmatch(left.strip()), _SEMANTIC.fullmatch(right.strip())

    if ours is None or theirs is None:
        return _order(left.casefold(), right.casefold())

    for mine, other in zip_longest(_numbers(ours[1]), _numbers(theirs[1]), fillvalue=0):
        if mine != other:
            return mine - other

    if ours[2] is None or theirs[2] is None:
        return (ours[2] is None) - (theirs[2] is None)

    return _order(_parts(ours[2]), _parts(theirs[2]))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(".")]


def _parts(text: str) -> list[_Part]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part.casefold()) for part in text.split(".")]


def _order(left: T, right: T) -> int:
    return 0 if left == right else -1 if left < right else 1
