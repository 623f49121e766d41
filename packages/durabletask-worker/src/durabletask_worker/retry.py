"""How often, and how soon, an activity or a sub-orchestration is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["RetryPolicy"]

_LONGEST_DELAY = timedelta(days=36_500)
"""Where growing delays end that no `max_retry_interval` ends, so that they stay within what a date can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try again what failed. Times are the orchestration's, never the machine's, so that a replay decides the same."""

    first_retry_interval: timedelta
    """From the first failure to the second attempt; more than zero."""
    max_number_of_attempts: int
    """How often to try in all, the first time included; 1 or more."""
    backoff_coefficient: float = 1.0
    """What each delay is multiplied with to get the next; 1 or more."""
    max_retry_interval: timedelta | None = None
    """The longest delay; None for no limit."""
    retry_timeout: timedelta | None = None
    """Measured from the first attempt: after this long a failure is final. None for no limit."""

    def __post_init__(self) -> None:
        if self.first_retry_interval <= timedelta(0):
            raise ValueError(f"first_retry_interval is {self.first_retry_interval}; it must be more than zero")

        if self.max_number_of_attempts < 1:
            raise ValueError(f"max_number_of_attempts is {self.max_number_of_attempts}; it must be 1 or more")

        if self.backoff_coefficient < 1:
            raise ValueError(f"backoff_coefficient is {self.backoff_coefficient}; it must be 1 or more")

        for name, limit in (("max_retry_interval", self.max_retry_interval), ("retry_timeout", self.retry_timeout)):
            if limit is not None and limit <= timedelta(0):
                raise ValueError(f"{name} is {limit}; it must be more than zero, or None for no limit")

    def next_delay(self, attempts: int, first_attempt_at: datetime, now: datetime) -> timedelta | None:
        """Say how long to wait before the next attempt.

        Args:
            attempts: How many attempts have failed, 1 or more.
            first_attempt_at: When the first began, in the orchestration's time.
            now: The orchestration's time.

        Returns:
            The delay; None if the last failure is final.
        """
        if attempts >= self.max_number_of_attempts:
            return None

        if self.retry_timeout is not None and now - first_attempt_at >= self.retry_timeout:
            return None

        limit = self.max_retry_interval or _LONGEST_DELAY

        try:
            return min(self.first_retry_interval * self.backoff_coefficient ** (attempts - 1), limit)
        except OverflowError:
            return limit
