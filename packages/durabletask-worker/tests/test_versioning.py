"""Versions: how they compare, and which a worker takes."""

from __future__ import annotations

import pytest
from durabletask_worker import VersionFailureStrategy, VersioningOptions, VersionMatchStrategy
from durabletask_worker.versioning import compare_versions

STRICT, OLDER, NONE = VersionMatchStrategy.STRICT, VersionMatchStrategy.CURRENT_OR_OLDER, VersionMatchStrategy.NONE


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        (None, None, 0),
        (None, "", 0),
        ("", "1", -1),
        (None, "0", -1),
        ("", "word", -1),
        ("1", "1", 0),
        ("1", "1.0.0", 0),
        ("v1.2", "1.2", 0),
        ("V1.2", "v1.2.0", 0),
        ("1.2", "1.10", -1),
        ("2", "1.99.99", 1),
        ("1.0.1", "1", 1),
        ("2.0-beta", "2.0", -1),
        ("2.0-beta", "1.9", 1),
        ("2.0-beta.2", "2.0-beta.11", -1),
        ("2.0-beta", "2.0-beta.1", -1),
        ("2.0-alpha", "2.0-BETA", -1),
        ("2.0-1", "2.0-alpha", -1),
        ("1.0+build1", "1.0+build2", 0),
        ("alpha", "Beta", -1),
        ("same", "SAME", 0),
        ("1.x", "1.1", 1),
        ("10", "9a", -1),
    ],
)
def test_which_is_lower(left: str | None, right: str | None, order: int) -> None:
    def sign(number: int) -> int:
        return (number > 0) - (number < 0)

    assert sign(compare_versions(left, right)) == order
    assert sign(compare_versions(right, left)) == -order


@pytest.mark.parametrize(
    ("strategy", "own", "version", "accepted"),
    [
        (NONE, "1.0", "2.0", True),
        (NONE, None, None, True),
        (STRICT, "1.0", "1.0", True),
        (STRICT, "1.0", "1", True),
        (STRICT, "1.0", "0.9", False),
        (STRICT, "1.0", None, False),
        (STRICT, None, None, True),
        (STRICT, None, "1.0", False),
        (OLDER, "2.0", "2.0", True),
        (OLDER, "2.0", "1.9", True),
        (OLDER, "2.0", None, True),
        (OLDER, "2.0", "2.0.1", False),
        (OLDER, None, "1.0", False),
    ],
)
def test_which_a_worker_takes(
    strategy: VersionMatchStrategy, own: str | None, version: str | None, accepted: bool
) -> None:
    assert VersioningOptions(version=own, match_strategy=strategy).accepts(version) is accepted


def test_what_is_wrong_is_said() -> None:
    mismatch = VersioningOptions(version="2.0", match_strategy=OLDER).mismatch("3.0")

    assert (mismatch.error_type, mismatch.is_non_retriable) == ("VersionMismatch", True)
    assert mismatch.message == "the orchestration has version '3.0', and the worker takes '2.0' or older"


def test_without_options_all_are_taken() -> None:
    options = VersioningOptions()

    assert (options.version, options.default_version) == (None, None)
    assert (options.match_strategy, options.failure_strategy) == (NONE, VersionFailureStrategy.REJECT)
