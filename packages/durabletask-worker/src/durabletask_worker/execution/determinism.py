"""Whether orchestrator code does what its history says it did, and waits only for what a replay can settle."""

from __future__ import annotations

import sys
from inspect import iscoroutine, isgenerator
from types import CodeType, CoroutineType, FrameType
from typing import Any, TypeAlias

from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.errors import NonDeterminismError
from durabletask_worker.execution.actions import Action, sent_words
from durabletask_worker.nondeterminism.rules import replacement_for

__all__ = ["Place", "departure", "foreign_wait", "here", "line_of", "waiting_line"]

Place: TypeAlias = tuple[CodeType, int]
"""A place in code: the code, and an offset into its instructions. The line is looked up only where it is asked for."""

_OURS = "durabletask_worker"

_GATHERED = "_GatheringFuture"
"""What `asyncio.gather` returns; it is no coroutine and leaves no other trace."""


def here() -> Place | None:
    """The place in the user's code that runs now; None if there is none."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to a frame, without a stack summary

    while frame is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame = frame.f_back

    return None if frame is None else (frame.f_code, frame.f_lasti)


def line_of(place: Place | None) -> str | None:
    """Put a place in the form `file:line`; None for none."""
    if place is None:
        return None

    code, offset = place
    lines = [line for start, end, line in code.co_lines() if start <= offset < end and line is not None]

    return f"{code.co_filename}:{lines[0] if lines else code.co_firstlineno}"


def waiting_line(started: object) -> str | None:
    """Where a coroutine or generator of the user's waits, as `file:line`; None if it does not."""
    found = None
    code = started

    while iscoroutine(code) or isgenerator(code):
        frame = code.cr_frame if iscoroutine(code) else code.gi_frame

        # What awaits inside of asyncio, or of ours, was called from the line that is looked for.
        if frame is None or _is_not_theirs(frame.f_globals.get("__name__", "")):
            break

        found = frame.f_code, frame.f_lasti
        code = code.cr_await if iscoroutine(code) else code.gi_yieldfrom

    return line_of(found)


def _is_not_theirs(module: str) -> bool:
    return module.startswith(_OURS) or module.partition(".")[0] in sys.stdlib_module_names


def departure(
    event: pb.HistoryEvent, action: Action | None, place: Place | None, waits_at: str | None, orchestration: object
) -> NonDeterminismError:
    """Describe that code did not do what the history has at a step.

    Args:
        event: The event that confirms an action.
        action: The action with the event's id; None if the code did nothing there.
        place: Where the code did it.
        waits_at: Where the code waits now, as `file:line`; what is blamed if it did nothing.
        orchestration: Whose history it is; its text goes into the message.

    Returns:
        The error.
    """
    recorded, done = _recorded(event), "nothing" if action is None else str(action)
    line = waits_at if action is None else line_of(place)
    where = "" if line is None else f" and waits at {line}" if action is None else f" at {line}"

    return NonDeterminismError(
        f"{orchestration} does not follow its history: at step {event.eventId} the history has {recorded}, but the code did "
        f"{done}{where}. Orchestrator code must do the same each time it runs; while older instances are running, keep what "
        f"they do behind ctx.patched(…), or register changed code under another name or version",
        step=event.eventId,
        recorded=recorded,
        done=done,
        line=line,
    )


def _recorded(event: pb.HistoryEvent) -> str:
    """The action that the event confirms, in the words of the actions."""
    if event.HasField("taskScheduled"):
        return f"activity {event.taskScheduled.name!r}"

    if event.HasField("subOrchestrationInstanceCreated"):
        return f"sub-orchestration {event.subOrchestrationInstanceCreated.name!r}"

    if event.HasField("eventSent"):
        return sent_words(event.eventSent.instanceId, event.eventSent.name)

    if event.HasField("entityOperationCalled"):
        called = event.entityOperationCalled

        return f"call of {called.operation!r} of entity {called.targetInstanceId.value!r}"

    if event.HasField("entityOperationSignaled"):
        signaled = event.entityOperationSignaled

        return f"signal {signaled.operation!r} to entity {signaled.targetInstanceId.value!r}"

    if event.HasField("entityLockRequested"):
        return f"lock of entities {', '.join(event.entityLockRequested.lockSet)}"

    if event.HasField("entityUnlockSent"):
        return f"release of entity {event.entityUnlockSent.targetInstanceId.value!r}"

    return "a timer"


def foreign_wait(awaited: object, code: object, orchestration: str) -> NonDeterminismError:
    """Describe that code waits for something that no replay can settle.

    Args:
        awaited: What it waits for.
        code: The coroutine or generator that does.
        orchestration: Whose code it is, for the message.

    Returns:
        The error.
    """
    line = waiting_line(code)
    at = "" if line is None else f" at {line}"

    if not iscoroutine(code):
        return NonDeterminismError(
            f"{orchestration} yielded {_article(type(awaited).__name__)}{at}, which is not a durable task; "
            "yield only tasks of the context, when_all(…) and when_any(…)",
            line=line,
        )

    function, is_asyncio = _culprit(code)

    if type(awaited).__name__ == _GATHERED:
        function, is_asyncio = "gather", True

    name = f"asyncio.{function}" if is_asyncio else function or type(awaited).__name__
    rule = replacement_for(name)

    return NonDeterminismError(
        f"{orchestration} awaited {name} (it gave {_article(type(awaited).__name__)}){at}, which is not a durable task; use "
        + (
            rule.instead_of(name)
            if rule
            else "ctx.create_timer(…) to wait for a time, and an activity for everything else that waits"
        ),
        line=line,
    )


def _culprit(code: CoroutineType[Any, Any, Any]) -> tuple[str, bool]:
    """The function to blame, and whether it is asyncio's: the first of asyncio in the chain of awaits, or else the last of all.

    Its name is empty if the orchestrator's own code is the last.
    """
    name = ""
    inner = code.cr_await

    while iscoroutine(inner):
        name = inner.__name__
        module = inner.cr_frame.f_globals.get("__name__", "") if inner.cr_frame else ""

        if module.partition(".")[0] == "asyncio":
            return name, True

        inner = inner.cr_await

    return name, False


def _article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'AEIOUaeiou' else 'a'} {noun}"
