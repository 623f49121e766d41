"""The suite itself: nothing in it hides anything else of it."""

from __future__ import annotations

from collections import Counter

from durabletask_backend.conformance import BackendConformance
from durabletask_backend.conformance.base import ConformanceBase

THEMES = [theme for theme in BackendConformance.__mro__ if issubclass(theme, ConformanceBase)]
TESTS = [(name, test) for theme in THEMES for name, test in vars(theme).items() if name.startswith("test_")]


def test_no_theme_hides_a_test_of_another() -> None:
    assert [name for name, count in Counter(name for name, _ in TESTS).items() if count > 1] == []


def test_every_test_names_its_promise() -> None:
    assert [name for name, test in TESTS if not test.__doc__] == []
    assert len(TESTS) > 100
