"""Whether orchestrator code does what its history says it did, and waits only for what a replay can settle."""

from __future__ import annotations

from inspect import iscoroutine
from types import CoroutineType
from typing import Any

from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.errors import NonDeterminismError
from durabletask_worker.execution.actions import Action

__all__ = ["check_step", "foreign_wait"]

_REPLACEMENTS = {
    "sleep": "await ctx.create_timer(…)",
    "gather": "await when_all([…])",
    "wait": "await when_any([…]) or await when_all([…])",
    "wait_for": "the timeout of ctx.wait_for_external_event(…), or await when_any([…, ctx.create_timer(…)])",
    "to_thread": "await ctx.call_activity(…)",
}
"""What to use instead of the functions of asyncio."""

_GATHERED = "_GatheringFuture"
"""What `asyncio.gather` returns; it is no coroutine and leaves no other trace."""


def check_step(event: pb.HistoryEvent, action: Action | None, orchestration: object) -> None:
    """Compare what the history has at a step with what the code did there.

    Args:
        event: The event that confirms an action.
        action: The action with the event's id; None if the code did nothing there.
        orchestration: Whose history it is; its text goes into the message.

    Raises:
        NonDeterminismError: They differ.
    """
    if action is not None and action.is_confirmed_by(event):
        return

    recorded, done = _recorded(event), "nothing" if action is None else str(action)

    raise NonDeterminismError(
        f"{orchestration} does not follow its history: at step {event.eventId} the history has {recorded}, but the code did "
        f"{done}. Orchestrator code must do the same each time it runs; register changed code under another name while "
        f"older instances are running",
        step=event.eventId,
        recorded=recorded,
        done=done,
    )


def _recorded(event: pb.HistoryEvent) -> str:
    """The action that the event confirms, in the words of the actions."""
    if event.HasField("taskScheduled"):
        return f"activity {event.taskScheduled.name!r}"

    if event.HasField("subOrchestrationInstanceCreated"):
        return f"sub-orchestration {event.subOrchestrationInstanceCreated.name!r}"

    if event.HasField("eventSent"):
        return f"event {event.eventSent.name!r} to {event.eventSent.instanceId!r}"

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
    if not iscoroutine(code):
        return NonDeterminismError(
            f"{orchestration} yielded {_article(type(awaited).__name__)}, which is not a durable task; "
            "yield only tasks of the context, when_all(…) and when_any(…)"
        )

    function, is_asyncio = _culprit(code)

    if type(awaited).__name__ == _GATHERED:
        function, is_asyncio = "gather", True

    name = f"asyncio.{function}" if is_asyncio else function or type(awaited).__name__
    instead = _REPLACEMENTS.get(function) if is_asyncio else None

    return NonDeterminismError(
        f"{orchestration} awaited {name} (it gave {_article(type(awaited).__name__)}), which is not a durable task; use "
        + (instead or "ctx.create_timer(…) to wait for a time, and an activity for everything else that waits")
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
