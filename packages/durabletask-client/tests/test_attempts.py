"""When a failed call is tried again, by a clock of our own."""

from __future__ import annotations

import grpc
import pytest
from durabletask_client import (
    InvalidRequestError,
    JsonDataConverter,
    OrchestrationNotFoundError,
    RequestFailedError,
    ServerUnavailableError,
)
from durabletask_client._attempts import Attempts
from durabletask_client.backoff import Backoff
from durabletask_client.requests import Requests

REQUESTS = Requests(data_converter=JsonDataConverter())
WAIT = REQUESTS.wait_for_completion("i", fetch_payloads=False)
READ = REQUESTS.state("i", fetch_payloads=False)
EVENT = REQUESTS.event("i", "go", data=None)
Code = grpc.StatusCode


class Clock:
    """Time stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def failure(code: grpc.StatusCode) -> grpc.RpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "because")


def unjittered(initial: float = 1.0, cap: float = 4.0) -> Backoff:
    return Backoff(initial=initial, cap=cap, random=lambda: 1.0)


def test_back_off_doubles_up_to_its_cap() -> None:
    assert [unjittered().delay(failures) for failures in (1, 2, 3, 4, 10_000)] == [1, 2, 4, 4, 4]


def test_back_off_takes_a_random_part() -> None:
    assert Backoff(initial=1, random=lambda: 0.25).delay(2) == 0.5


def test_a_wait_goes_on_over_what_a_restart_does_until_its_time_is_over() -> None:
    clock = Clock()
    attempts = Attempts(WAIT, patience=0, timeout=10, clock=clock, backoff=unjittered())
    assert attempts.begin() == 10

    for code, pause in ((Code.UNAVAILABLE, 1), (Code.CANCELLED, 2), (Code.DEADLINE_EXCEEDED, 4)):
        assert attempts.pause_after(failure(code)) == pause
        clock.now += pause
        assert attempts.begin() == 110 - clock.now

    assert attempts.pause_after(failure(Code.UNAVAILABLE)) == 3, "not beyond the end"
    clock.now += 3
    assert attempts.begin() == 0

    with pytest.raises(TimeoutError, match=r"WaitForInstanceCompletion of orchestration 'i'.*10 s.*because"):
        attempts.pause_after(failure(Code.UNAVAILABLE))


def test_a_wait_without_a_timeout_has_no_end() -> None:
    clock = Clock()
    attempts = Attempts(WAIT, patience=0, timeout=None, clock=clock, backoff=unjittered())
    clock.now += 1e9

    assert attempts.begin() is None
    assert attempts.pause_after(failure(Code.UNAVAILABLE)) == 1


def test_pauses_begin_anew_after_a_try_that_was_held_for_long() -> None:
    clock = Clock()
    attempts = Attempts(WAIT, patience=0, timeout=None, clock=clock, backoff=unjittered())
    pauses = []

    for held in (0, 0, 60, 0):
        attempts.begin()
        clock.now += held
        pauses.append(attempts.pause_after(failure(Code.UNAVAILABLE)))

    assert pauses == [1, 2, 1, 2]


def test_a_read_is_repeated_while_there_is_patience() -> None:
    clock = Clock()
    attempts = Attempts(READ, patience=2.5, timeout=None, clock=clock, backoff=unjittered())
    assert attempts.begin() is None
    assert attempts.pause_after(failure(Code.UNAVAILABLE)) == 1
    clock.now += 1
    assert attempts.pause_after(failure(Code.CANCELLED)) == 1.5, "one last try at the end"
    clock.now += 1.5

    with pytest.raises(ServerUnavailableError):
        attempts.pause_after(failure(Code.UNAVAILABLE))


@pytest.mark.parametrize("code", [Code.INTERNAL, Code.RESOURCE_EXHAUSTED])
def test_a_read_is_not_repeated_for_other_reasons(code: grpc.StatusCode) -> None:
    with pytest.raises(RequestFailedError):
        Attempts(READ, patience=10, timeout=None).pause_after(failure(code))


@pytest.mark.parametrize(
    ("code", "error"), [(Code.UNAVAILABLE, ServerUnavailableError), (Code.NOT_FOUND, OrchestrationNotFoundError)]
)
def test_other_writes_are_never_repeated(code: grpc.StatusCode, error: type[Exception]) -> None:
    with pytest.raises(error):
        Attempts(EVENT, patience=10, timeout=None).pause_after(failure(code))


def test_a_timeout_beyond_all_clocks_is_no_deadline() -> None:
    assert Attempts(WAIT, patience=0, timeout=float("inf")).begin() is None
    assert Attempts(WAIT, patience=0, timeout=1e18).begin() is None


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_has_to_be_positive(timeout: float) -> None:
    with pytest.raises(InvalidRequestError, match=r"^timeout: "):
        Attempts(WAIT, patience=0, timeout=timeout)
