"""Refuses, while an orchestrator runs, the calls that no replay can repeat."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from types import CodeType, FrameType, TracebackType
from typing import Any, Self

from durabletask_worker.errors import NonDeterminismError
from durabletask_worker.nondeterminism.reach import reach_of
from durabletask_worker.nondeterminism.suppressions import Suppressions
from durabletask_worker.nondeterminism.targets import Target, Targets

__all__ = ["Watch", "guard"]

_NOTHING_TO_WATCH = nullcontext()


def guard(function: Callable[..., object]) -> AbstractContextManager[object]:
    """Watch this thread while an orchestrator takes a step for the first time.

    Inside of the context, a call of `time.sleep`, `datetime.now`, `random.choice` and the like raises `NonDeterminismError` if
    the orchestrator's own program makes it: the orchestrator, or what of the program it calls. What libraries do for themselves
    is their affair. A comment `# durabletask: ignore[…]` allows a call. Costs next to nothing if there is no such call in the code.

    Args:
        function: The orchestrator.

    Returns:
        The context. If the code swallowed the error, leaving the context raises it again.
    """
    try:
        codes = _suspicious_codes(function)
    except TypeError:
        # It cannot be hashed.
        codes = _suspicious_codes.__wrapped__(function)

    # Another profiler, one that measures say, has the only place there is.
    if not codes or sys.getprofile() is not None:
        return _NOTHING_TO_WATCH

    return Watch(codes, _targets())


class Watch:
    """Watches the calls of a thread.

    Args:
        codes: Whose calls count, by the `id` of the code.
        targets: What they must not call.
    """

    __slots__ = ("_codes", "_targets", "violation")

    def __init__(self, codes: Mapping[int, CodeType], targets: Targets) -> None:
        self._codes = codes
        self._targets = targets
        self.violation: NonDeterminismError | None = None
        """The first call that was refused."""

    def __enter__(self) -> Self:
        sys.setprofile(self._see)

        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        sys.setprofile(None)

        if self.violation is not None and error is None:
            raise self.violation

    def _see(self, frame: FrameType, event: str, argument: Any) -> None:
        # Called for each call and each return of the thread, so what happens most comes first.
        if event == "call":
            if id(frame.f_code) in self._targets.python:
                caller = frame.f_back

                if caller is not None and id(caller.f_code) in self._codes:
                    self._refuse(caller, self._targets.python_call(frame))
        elif event == "c_call" and id(frame.f_code) in self._codes:
            self._refuse(frame, self._targets.built_in_call(argument))

    def _refuse(self, caller: FrameType, target: Target | None) -> None:
        if target is None:
            return

        name, rule = target
        file, line = _line_of(caller)
        suppressions = _suppressions_in(file)

        if suppressions is not None and suppressions.silences(rule.code, line):
            return

        error = NonDeterminismError(
            f"{caller.f_code.co_name} calls {name}() at {file}:{line}, which {rule.problem} ({rule.code}); {rule.instead_of(name)}",
            line=f"{file}:{line}",
        )
        self.violation = self.violation or error

        raise error


def _line_of(frame: FrameType) -> tuple[str, int]:
    """Where a frame is. Generated code has no file: what counts is where it was called."""
    place: FrameType | None = frame

    while place is not None and place.f_code.co_filename.startswith("<") and place.f_back is not None:
        place = place.f_back

    place = place or frame

    return place.f_code.co_filename, place.f_lineno


@lru_cache(maxsize=1)
def _targets() -> Targets:
    return Targets()


@lru_cache(maxsize=1024)
def _suspicious_codes(function: Callable[..., object]) -> Mapping[int, CodeType]:
    """What an orchestrator may run of its own program, if any of it may do what an orchestrator must not; else nothing."""
    reach = reach_of(function, _targets())

    return reach.codes if reach.is_suspicious else {}


@lru_cache(maxsize=256)
def _suppressions_in(file: str) -> Suppressions | None:
    """The suppressions of a file; None if it cannot be read."""
    try:
        return Suppressions("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None
