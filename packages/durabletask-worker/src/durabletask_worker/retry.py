"""How often, and how soon, an activity or a sub-orchestration is tried again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from durabletask_client.failures import FailureDetails

__all__ = ["ErrorType", "RetryAttempt", "RetryPolicy", "fraction"]

ErrorType: TypeAlias = type[BaseException] | str
"""An exception class, or the name of an error's type; see `FailureDetails.is_caused_by`."""

_LONGEST_DELAY = timedelta(days=36_500)
"""Where growing delays end that no `max_retry_interval` ends, so that they stay within what a date can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAttempt:
    """An attempt that failed, as a policy and its handler see it."""

    number: int
    """Which attempt it was; 1 for the first."""
    failure: FailureDetails
    """Why it failed."""
    first_attempt_at: datetime
    """When the first attempt began, in the orchestration's time; aware."""
    now: datetime
    """The orchestration's time: when it learned of the failure; aware."""
    random: float
    """From 0 up to, not including, 1: the chance of this attempt, the same in each replay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try again what failed. Times are the orchestration's, never the machine's, so that a replay decides the same.

    A failure that says of itself that it is not to be retried is final whatever the policy says.

    Raises:
        TypeError: `retryable` or `non_retryable` is, or has in it, what is not an error type.
        ValueError: A number is out of range.
    """

    first_retry_interval: timedelta
    """From the first failure to the second attempt; more than zero."""
    max_number_of_attempts: int | None
    """How often to try in all, the first time included; 1 or more, or None for no limit."""
    backoff_coefficient: float = 1.0
    """What each delay is multiplied with to get the next; 1 or more."""
    max_retry_interval: timedelta | None = None
    """The longest delay; None for no limit."""
    retry_timeout: timedelta | None = None
    """Measured from the first attempt: no attempt begins later than this. None for no limit."""
    jitter: float = 0.0
    """Which share of each delay is random, from 0 to 1: with 0.2 a delay of 10 seconds becomes one between 8 and 10."""
    retryable: Collection[ErrorType] | None = None
    """The only types that are tried again, as causes too; None for all."""
    non_retryable: Collection[ErrorType] = ()
    """The types that are final, as causes too, also if `retryable` has them."""
    handler: Callable[[RetryAttempt], bool | timedelta] | None = None
    """Asked about what is not final yet: False gives up, True tries again after the usual delay, a timedelta after that one. It is
    asked again in each replay, so it must be a pure function of what it is given."""

    def __post_init__(self) -> None:
        if self.first_retry_interval <= timedelta(0):
            raise ValueError(f"first_retry_interval is {self.first_retry_interval}; it must be more than zero")

        if self.max_number_of_attempts is not None and self.max_number_of_attempts < 1:
            raise ValueError(
                f"max_number_of_attempts is {self.max_number_of_attempts}; it must be 1 or more, or None for no limit"
            )

        # Written so that it refuses NaN, too.
        if not self.backoff_coefficient >= 1:
            raise ValueError(f"backoff_coefficient is {self.backoff_coefficient}; it must be 1 or more")

        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is {self.jitter}; it must be from 0 to 1")

        for name, limit in (("max_retry_interval", self.max_retry_interval), ("retry_timeout", self.retry_timeout)):
            if limit is not None and limit <= timedelta(0):
                raise ValueError(f"{name} is {limit}; it must be more than zero, or None for no limit")

        if self.retryable is not None:
            object.__setattr__(self, "retryable", _error_types("retryable", self.retryable))

        object.__setattr__(self, "non_retryable", _error_types("non_retryable", self.non_retryable))

    @classmethod
    def never(cls) -> RetryPolicy:
        """Make the policy of one attempt, for a call that is to go without the default policy of its worker."""
        return cls(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=1)

    def next_delay(self, attempt: RetryAttempt) -> timedelta | None:
        """Say how long to wait before the next attempt.

        Args:
            attempt: The attempt that failed.

        Returns:
            The delay; None if the failure is final.

        Raises:
            TypeError: The handler answered with neither a bool nor a timedelta.
            ValueError: The handler answered with a negative delay.
            Exception: Whatever else the handler raises.
        """
        if self._is_final(attempt):
            return None

        answer = True if self.handler is None else self.handler(attempt)

        if answer is False:
            return None

        delay = self._usual_delay(attempt) if answer is True else _checked(answer)
        limit = self.retry_timeout

        # Not at the end of the delay: an attempt that cannot begin is no reason to let the orchestration wait.
        if limit is not None and attempt.now - attempt.first_attempt_at + delay > limit:
            return None

        return delay

    def _is_final(self, attempt: RetryAttempt) -> bool:
        failure = attempt.failure

        return (
            failure.is_non_retriable
            or (self.max_number_of_attempts is not None and attempt.number >= self.max_number_of_attempts)
            or (self.retryable is not None and not any(map(failure.is_caused_by, self.retryable)))
            or any(map(failure.is_caused_by, self.non_retryable))
        )

    def _usual_delay(self, attempt: RetryAttempt) -> timedelta:
        limit = self.max_retry_interval or _LONGEST_DELAY

        try:
            delay = min(self.first_retry_interval * self.backoff_coefficient ** (attempt.number - 1), limit)
        except OverflowError:
            delay = limit

        return delay * (1 - self.jitter * attempt.random) if self.jitter else delay


def _error_types(name: str, given: Collection[ErrorType]) -> tuple[ErrorType, ...]:
    # One alone is taken as one. Text would be a collection, too: of letters.
    types = (given,) if isinstance(given, (str, type)) else tuple(given)

    for each in types:
        if not isinstance(each, str) and not _is_error(each):
            raise TypeError(
                f"{name} has {each!r} in it; it must be a collection of exception classes and names of types"
            )

    return types


def _is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _checked(delay: object) -> timedelta:
    if not isinstance(delay, timedelta):
        raise TypeError(f"handler: it answered with {delay!r}; it must answer with True, False or a timedelta")

    if delay < timedelta(0):
        raise ValueError(f"handler: it answered with {delay}; a delay must not be negative")

    return delay


def fraction(seed: str) -> float:
    """Make a number of a text: the same for the same text, on any machine, and otherwise as if by chance.

    Args:
        seed: The text.

    Returns:
        A number from 0 up to, not including, 1.
    """
    digest = hashlib.blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=8).digest()

    # A float has room for 53 bits; with all 64 the result could be rounded to 1.
    return (int.from_bytes(digest) >> 11) / (1 << 53)
