"""When a call that failed is sent again, and when its failure is final."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from math import inf
from typing import TypeVar

import grpc

from durabletask_client import _arguments as arguments
from durabletask_client.backoff import Backoff
from durabletask_client.calls import Call, Repeat

Response = TypeVar("Response")
Result = TypeVar("Result")

_logger = logging.getLogger("durabletask_client")

# A short cap costs no one anything: how often the network is bothered is up to the channel.
_BACKOFF = Backoff(cap=1.0)

_LONGEST_DEADLINE = 1e9
"""Seconds; gRPC hangs on deadlines that its clock cannot express, and nobody will see the end of these."""

# A server that shuts down cancels what it has not answered, and one that starts may do so, too.
_NOBODY_THERE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})

# A server may limit how long it holds a call open.
_WAIT_GOES_ON = _NOBODY_THERE | {grpc.StatusCode.DEADLINE_EXCEEDED}


class Attempts:
    """The tries of one call: how long each may take, and how long to pause between them.

    Args:
        call: The call.
        patience: Seconds for which a call with `Repeat.BRIEFLY` is tried.
        timeout: Seconds that the call may take with all its tries; None for as long as it takes.
        clock: Gives seconds that only grow.
        backoff: How long to pause.

    Raises:
        InvalidRequestError: `timeout` is not positive.
    """

    def __init__(
        self,
        call: Call[Response, Result],
        *,
        patience: float,
        timeout: float | None,
        clock: Callable[[], float] = time.monotonic,
        backoff: Backoff = _BACKOFF,
    ) -> None:
        arguments.seconds("timeout", timeout)

        now = clock()
        self._call = call
        self._timeout = timeout
        self._deadline = now + (inf if timeout is None else timeout)
        self._end = min(self._deadline, now + patience) if call.repeat is Repeat.BRIEFLY else self._deadline
        self._clock = clock
        self._backoff = backoff
        self._began = now
        self._failures = 0

    def begin(self) -> float | None:
        """Begin a try.

        Returns:
            The seconds that it may take; None without limit.
        """
        self._began = self._clock()

        remaining = max(0.0, self._deadline - self._began)

        return None if self._timeout is None or remaining > _LONGEST_DEADLINE else remaining

    def pause_after(self, error: grpc.RpcError) -> float:
        """Judge a try that failed.

        Args:
            error: What gRPC raised.

        Returns:
            The seconds to pause before the next try.

        Raises:
            TimeoutError: The caller's time is over.
            DurableTaskClientError: Any other failure that is final.
        """
        code, now = error.code(), self._clock()
        waits = self._call.repeat is Repeat.UNTIL_TIMEOUT and code in _WAIT_GOES_ON
        insists = self._call.repeat is Repeat.BRIEFLY and code in _NOBODY_THERE and now < self._end
        expired = code is grpc.StatusCode.DEADLINE_EXCEEDED and self._timeout is not None

        if now >= self._deadline if waits else expired:
            last = "" if code is grpc.StatusCode.DEADLINE_EXCEEDED else f"; at last: {error.details()} ({code.name})"
            raise TimeoutError(f"{self._call} took longer than {self._timeout} s{last}") from error

        if not (waits or insists):
            raise self._call.refusal(code, error.details()) from error

        # A try that was held open for long had found a server: what ended it is a new misfortune.
        self._failures = 1 if now - self._began > self._backoff.cap else self._failures + 1
        pause = min(self._backoff.delay(self._failures), self._end - now)
        _logger.info("%s: %s (%s); trying again in %.2f s", self._call, error.details(), code.name, pause)

        return pause
