"""When the next attempt is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from durabletask_worker import RetryPolicy

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def delays(policy: RetryPolicy, attempts: int, now: datetime = BEGIN) -> list[float | None]:
    found = [policy.next_delay(attempt, BEGIN, now) for attempt in range(1, attempts + 1)]

    return [None if delay is None else delay.total_seconds() for delay in found]


def test_delays_grow_to_the_limit_until_attempts_are_used_up() -> None:
    policy = RetryPolicy(
        first_retry_interval=2 * SECOND,
        max_number_of_attempts=6,
        backoff_coefficient=2,
        max_retry_interval=10 * SECOND,
    )

    assert delays(policy, 6) == [2, 4, 8, 10, 10, None]


def test_delays_stay_without_a_coefficient() -> None:
    assert delays(RetryPolicy(first_retry_interval=2 * SECOND, max_number_of_attempts=3), 3) == [2, 2, None]


def test_the_timeout_counts_from_the_first_attempt() -> None:
    policy = RetryPolicy(first_retry_interval=SECOND, max_number_of_attempts=9, retry_timeout=5 * SECOND)

    assert policy.next_delay(1, BEGIN, BEGIN + 4 * SECOND) == SECOND
    assert policy.next_delay(1, BEGIN, BEGIN + 5 * SECOND) is None


def test_delays_without_a_limit_stay_within_what_a_date_can_hold() -> None:
    policy = RetryPolicy(first_retry_interval=SECOND, max_number_of_attempts=10**6, backoff_coefficient=10)
    delay = policy.next_delay(10**5, BEGIN, BEGIN)

    assert delay is not None
    assert BEGIN + delay > BEGIN


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_retry_interval", timedelta(0)),
        ("max_number_of_attempts", 0),
        ("backoff_coefficient", 0.5),
        ("max_retry_interval", timedelta(0)),
        ("retry_timeout", timedelta(0)),
    ],
)
def test_an_argument_that_cannot_be_is_named(field: str, value: object) -> None:
    arguments: dict[str, Any] = {"first_retry_interval": SECOND, "max_number_of_attempts": 3, field: value}

    with pytest.raises(ValueError, match=field):
        RetryPolicy(**arguments)
