"""How long to pause before something that failed is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ldexp
from random import random

__all__ = ["Backoff"]

_LAST_DOUBLING = 30
"""Far above any cap that makes sense, and far below what a float can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses that double from failure to failure up to a cap, each cut to a random part of itself.

    The cut spreads out the many who lost the same server at the same moment.
    """

    initial: float = 0.1
    """The longest pause after the first failure, in seconds."""
    cap: float = 5.0
    """The longest pause of all, in seconds."""
    random: Callable[[], float] = random
    """Where the parts come from: numbers from 0 to 1."""

    def delay(self, failures: int) -> float:
        """Say how long to pause.

        Args:
            failures: How many tries have failed in a row, 1 or more.

        Returns:
            The pause, in seconds.
        """
        return self.random() * min(self.cap, ldexp(self.initial, min(failures - 1, _LAST_DOUBLING)))
