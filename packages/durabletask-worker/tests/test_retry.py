"""When the next attempt is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from durabletask_client import FailureDetails
from durabletask_worker import RetryAttempt, RetryPolicy
from durabletask_worker.retry import fraction

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BROKEN = FailureDetails(message="no", error_type="builtins.OSError")


def attempt(
    number: int = 1, *, failure: FailureDetails = BROKEN, after: timedelta = timedelta(0), random: float = 0.0
) -> RetryAttempt:
    return RetryAttempt(number=number, failure=failure, first_attempt_at=BEGIN, now=BEGIN + after, random=random)


def policy(**fields: Any) -> RetryPolicy:
    return RetryPolicy(**{"first_retry_interval": SECOND, "max_number_of_attempts": 3, **fields})


def failure(error_type: str, inner: FailureDetails | None = None) -> FailureDetails:
    return FailureDetails(message="no", error_type=error_type, inner=inner)


def delays(policy: RetryPolicy, attempts: int) -> list[float | None]:
    found = [policy.next_delay(attempt(number)) for number in range(1, attempts + 1)]

    return [None if delay is None else delay.total_seconds() for delay in found]


def test_delays_grow_to_the_limit_until_attempts_are_used_up() -> None:
    growing = policy(
        first_retry_interval=2 * SECOND,
        max_number_of_attempts=6,
        backoff_coefficient=2,
        max_retry_interval=10 * SECOND,
    )

    assert delays(growing, 6) == [2, 4, 8, 10, 10, None]


def test_delays_stay_without_a_coefficient() -> None:
    assert delays(policy(first_retry_interval=2 * SECOND), 3) == [2, 2, None]


def test_attempts_without_a_limit_go_on() -> None:
    assert policy(max_number_of_attempts=None).next_delay(attempt(10**6)) == SECOND


def test_never_is_one_attempt() -> None:
    assert RetryPolicy.never().next_delay(attempt()) is None


class TestTimeout:
    def test_it_counts_from_the_first_attempt(self) -> None:
        limited = policy(max_number_of_attempts=9, retry_timeout=5 * SECOND)

        assert limited.next_delay(attempt(2, after=3 * SECOND)) == SECOND
        assert limited.next_delay(attempt(2, after=6 * SECOND)) is None

    def test_no_attempt_begins_after_it(self) -> None:
        limited = policy(first_retry_interval=4 * SECOND, retry_timeout=5 * SECOND)

        assert limited.next_delay(attempt(after=SECOND)) == 4 * SECOND
        assert limited.next_delay(attempt(after=1.5 * SECOND)) is None

    def test_it_holds_for_delays_of_a_handler(self) -> None:
        limited = policy(retry_timeout=5 * SECOND, handler=lambda _: 6 * SECOND)

        assert limited.next_delay(attempt()) is None


def test_delays_without_a_limit_stay_within_what_a_date_can_hold() -> None:
    delay = policy(max_number_of_attempts=10**6, backoff_coefficient=10).next_delay(attempt(10**5))

    assert delay is not None
    assert BEGIN + delay > BEGIN


class TestJitter:
    @pytest.mark.parametrize(("random", "seconds"), [(0.0, 10), (0.5, 9), (0.75, 8.5)])
    def test_it_takes_from_its_share_of_the_delay(self, random: float, seconds: float) -> None:
        shaken = policy(first_retry_interval=10 * SECOND, jitter=0.2)

        assert shaken.next_delay(attempt(random=random)) == seconds * SECOND

    def test_it_stays_within_the_longest_delay(self) -> None:
        shaken = policy(first_retry_interval=10 * SECOND, jitter=1, max_retry_interval=4 * SECOND)

        assert shaken.next_delay(attempt(random=0.0)) == 4 * SECOND
        assert shaken.next_delay(attempt(random=0.75)) == SECOND

    def test_its_chance_is_the_same_for_the_same_text(self) -> None:
        drawn = [fraction(f"instance:{number}") for number in range(1000)]

        assert drawn == [fraction(f"instance:{number}") for number in range(1000)]
        assert len(set(drawn)) == 1000
        assert all(0 <= each < 1 for each in drawn)
        assert 0.45 < sum(drawn) / 1000 < 0.55

    def test_its_chance_is_the_same_in_every_release(self) -> None:
        """Timers in histories were set with it."""
        assert fraction("a:1") == 0.17320485933823504


class TestErrorTypes:
    @pytest.mark.parametrize(
        ("fields", "error_type", "again"),
        [
            ({"non_retryable": [ValueError]}, "builtins.ValueError", False),
            ({"non_retryable": [ValueError]}, "builtins.UnicodeDecodeError", False),
            ({"non_retryable": [ValueError]}, "ValueError", False),
            ({"non_retryable": [ValueError]}, "builtins.KeyError", True),
            ({"non_retryable": ["ArgumentException"]}, "System.ArgumentException", False),
            ({"non_retryable": "OSError"}, "builtins.OSError", False),
            ({"non_retryable": ValueError}, "builtins.ValueError", False),
            ({"retryable": [OSError]}, "builtins.ConnectionResetError", True),
            ({"retryable": [OSError]}, "builtins.ValueError", False),
            ({"retryable": []}, "builtins.OSError", False),
            ({"retryable": [OSError], "non_retryable": [FileNotFoundError]}, "builtins.FileNotFoundError", False),
            ({"retryable": [OSError], "non_retryable": [FileNotFoundError]}, "builtins.TimeoutError", True),
        ],
    )
    def test_they_decide(self, fields: dict[str, Any], error_type: str, again: bool) -> None:
        delay = policy(**fields).next_delay(attempt(failure=failure(error_type)))

        assert (delay is not None) is again

    def test_causes_count(self) -> None:
        wrapped = failure("durabletask_worker.errors.TaskFailedError", failure("builtins.KeyError"))

        assert policy(non_retryable=[LookupError]).next_delay(attempt(failure=wrapped)) is None

    def test_what_is_no_type_is_refused(self) -> None:
        with pytest.raises(TypeError, match="non_retryable has 3 in it"):
            policy(non_retryable=[3])

        with pytest.raises(TypeError, match="retryable has <class 'int'> in it"):
            policy(retryable=[int])


def test_what_says_of_itself_that_it_is_final_is_final() -> None:
    final = FailureDetails(message="no", error_type="builtins.OSError", is_non_retriable=True)

    assert policy(retryable=[OSError], handler=lambda _: True).next_delay(attempt(failure=final)) is None


class TestHandler:
    @pytest.mark.parametrize(
        ("answer", "delay"), [(False, None), (True, SECOND), (7 * SECOND, 7 * SECOND), (timedelta(0), timedelta(0))]
    )
    def test_it_decides(self, answer: bool | timedelta, delay: timedelta | None) -> None:
        assert policy(handler=lambda _: answer).next_delay(attempt()) == delay

    def test_it_sees_the_attempt(self) -> None:
        seen: list[RetryAttempt] = []

        def give_up(failed: RetryAttempt) -> bool:
            seen.append(failed)

            return False

        failed = attempt(2, after=SECOND, random=0.5)

        assert policy(handler=give_up).next_delay(failed) is None
        assert seen == [failed]

    def test_it_is_not_asked_about_what_is_final(self) -> None:
        def never_asked(_: RetryAttempt) -> bool:
            raise AssertionError

        assert policy(handler=never_asked).next_delay(attempt(3)) is None
        assert policy(handler=never_asked, non_retryable=[OSError]).next_delay(attempt()) is None

    @pytest.mark.parametrize(
        ("answer", "error", "complaint"),
        [(None, TypeError, "answered with None"), (5, TypeError, "answered with 5"), (-SECOND, ValueError, "negative")],
    )
    def test_an_answer_that_cannot_be_is_an_error(self, answer: Any, error: type[Exception], complaint: str) -> None:
        with pytest.raises(error, match=complaint):
            policy(handler=lambda _: answer).next_delay(attempt())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_retry_interval", timedelta(0)),
        ("max_number_of_attempts", 0),
        ("backoff_coefficient", 0.5),
        ("backoff_coefficient", float("nan")),
        ("max_retry_interval", timedelta(0)),
        ("retry_timeout", timedelta(0)),
        ("jitter", -0.1),
        ("jitter", 1.1),
        ("jitter", float("nan")),
    ],
)
def test_an_argument_that_cannot_be_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        policy(**{field: value})


def test_policies_can_be_compared_and_be_keys() -> None:
    assert {policy(non_retryable=[OSError]): 1}[policy(non_retryable=(OSError,))] == 1
