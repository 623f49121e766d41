"""What is in a hub for tests, for people to read: each instance, event by event."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from datetime import timedelta
from typing import Any, TypeVar

from durabletask_backend.memory import MemoryBackend
from durabletask_backend.values import HistoryChunk, InstanceFilter, InstanceKey
from durabletask_client import HistoryEvent
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine.framing import split

__all__ = ["described"]

T = TypeVar("T")

_MOST = 50
"""Instances that are described."""
_PAYLOAD = 100
"""Characters of a payload that are shown."""
_NAMELESS = frozenset({"OrchestratorStarted"})
"""What only says that a turn begins."""


def described(backend: MemoryBackend, hub: str) -> str:
    """Describe all instances of a hub, the oldest first.

    Args:
        backend: Where they are. Nothing in memory is waited for, so no event loop is needed, and none has to run.
        hub: Whose.

    Returns:
        A line an instance, and under it a line an event: how long after the start, what, with which payload.
    """
    page = _at_once(backend.query(hub, InstanceFilter(), limit=_MOST, payloads=True))
    lines: list[str] = []

    for instance in page.instances:
        end = f": {_short(instance.output)}" if instance.output is not None else ""
        lines.append(f"{instance.name} {instance.key.instance_id!r} {instance.status.name}{end}")
        lines += (f"  {line}" for line in _lines(_events(backend, instance.key)))

    if page.next is not None:
        lines.append("and more")

    return "\n".join(lines) or "no instance was started"


def _events(backend: MemoryBackend, key: InstanceKey) -> Iterator[HistoryEvent]:
    async def chunks() -> list[HistoryChunk]:
        return [chunk async for chunk in backend.history(key)]

    for chunk in _at_once(chunks()):
        for event in split(chunk.events):
            yield HistoryEvent.from_proto(pb.HistoryEvent.FromString(event))


def _lines(events: Iterator[HistoryEvent]) -> Iterator[str]:
    start = None

    for event in events:
        start = start or event.timestamp

        if event.kind not in _NAMELESS:
            step = f" #{event.event_id}" if event.event_id >= 0 else ""
            yield f"{_after(event.timestamp - start)}  {event.kind}{step}{_details(event)}"


def _details(event: HistoryEvent) -> str:
    found = event.details
    words = [str(found[key]) for key in ("name", "operation", "targetInstanceId", "instanceId") if found.get(key)]
    words += (f"of #{found[key]}" for key in ("taskScheduledId", "timerId") if key in found)

    if (due := found.get("fireAt")) is not None:
        words.append(f"due {due:%Y-%m-%d %H:%M:%S}")

    words += (_short(str(found[key])) for key in ("input", "result", "output") if found.get(key) is not None)
    failure = found.get("failureDetails")

    if isinstance(failure, dict):
        words.append(f"{failure['errorType']}: {_short(failure['errorMessage'])}")

    return f" {' '.join(words)}" if words else ""


def _after(passed: timedelta) -> str:
    return f"+{passed.days}d {passed.seconds // 3600:02}:{passed.seconds // 60 % 60:02}:{passed.seconds % 60:02}.{passed.microseconds // 1000:03}"


def _short(text: str) -> str:
    return text if len(text) <= _PAYLOAD else f"{text[:_PAYLOAD]}…"


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of what waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value

        return result

    work.close()

    raise RuntimeError("the store in memory has waited for something")
