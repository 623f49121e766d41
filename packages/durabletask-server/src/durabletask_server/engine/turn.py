"""Taking a turn: from a state and an inbox to what a worker is asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import merge

from durabletask_backend.values import Message, Micros
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.message import DecodeError

from durabletask_server.engine.events import micros, orchestrator_started, timestamp
from durabletask_server.engine.state import Fold, State

MAX_EVENTS = 1000
"""A turn takes at most so many messages…"""
MAX_BYTES = 1 << 20
"""…and stops after so many bytes of them: some SDKs receive no more than 4 MiB with the history."""
_WHILE_SUSPENDED = frozenset({"executionSuspended", "executionResumed", "executionTerminated"})
"""What a suspended instance does not hold back."""


_UNREADABLE = ""
_REWOUND = "executionRewound"
_CHILD_DONE = "subOrchestrationInstanceCompleted"
_CHILD_FAILED = "subOrchestrationInstanceFailed"


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of the inbox with its event decoded, once."""

    message: Message
    event: pb.HistoryEvent
    kind: str
    """The event's type, as the protocol's oneof names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one turn is about."""

    time: Micros
    """What the orchestrator's code will see as now."""
    events: tuple[pb.HistoryEvent, ...]
    """The new events, OrchestratorStarted first."""
    encoded: tuple[bytes, ...]
    """The same events, serialized."""
    sequences: tuple[int, ...]
    """The message that each of `events[1:]` came with."""
    dropped: tuple[int, ...]
    """The messages that say nothing to this generation any more, to be consumed with the turn."""
    terminated: pb.ExecutionTerminatedEvent | None
    """Set: the engine ends the instance by itself, and no worker is asked. The last of `events` is that event."""
    shown: tuple[bytes, ...]
    """What of `encoded` a worker sees."""
    unreadable: bool = False
    """A message of the inbox cannot be decoded; the instance cannot go on. It is among `dropped`."""
    answered: frozenset[int] = frozenset()
    """With `terminated`: the sub-orchestrations whose answers are behind it in the inbox. They have ended, or never began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoTurn:
    """There is nothing to do for an instance now. Its messages stay where they are."""


def open_letter(message: Message) -> Letter:
    """Decode a message."""
    try:
        event = pb.HistoryEvent.FromString(message.payload)
    except DecodeError:
        return Letter(message, pb.HistoryEvent(), _UNREADABLE)

    return Letter(message, event, event.WhichOneof("eventType") or _UNREADABLE)


def nothing_taken(state: State, now: Micros) -> Turn:
    """A turn that takes nothing from the inbox, for the engine to end an instance with."""
    return _turn((), (), max(now, state.instance.updated_at), None)


def take(state: State, inbox: Sequence[Letter], now: Micros) -> Turn | NoTurn:
    """Take the inbox, in order, as far as one turn goes.

    A suspended instance takes only what resumes or terminates it; the rest stays until then, and follows the resumption in the
    same turn. An instance whose start is not in its history or its inbox takes nothing. A termination ends the turn. The front
    of the inbox, which one answer of a worker filled, is taken whole.

    Args:
        state: The instance, as committed.
        inbox: Its messages, in order of delivery.
        now: The clock's time; the turn's own is never behind the last commit's or a timer's.
    """
    folded = Fold(state)
    taken: list[Letter] = []
    held: list[Letter] = []
    dropped: list[int] = []
    size = 0
    terminated: pb.ExecutionTerminatedEvent | None = None
    unreadable = False
    # No limit stands between an instance and its termination: no worker has to receive that turn.
    limited = all(letter.kind != "executionTerminated" for letter in inbox)
    waiting = deque(_by_arrival(inbox))

    if state.start is None:
        # The start comes before what a worker put back of an earlier generation's first turn.
        waiting = deque(sorted(waiting, key=lambda letter: letter.kind != "executionStarted"))

    while waiting and terminated is None:
        letter = waiting.popleft()
        message = letter.message

        if folded.suspended and letter.kind not in _WHILE_SUSPENDED:
            held.append(letter)
            continue

        if letter.kind == _UNREADABLE:
            unreadable = True
            dropped.append(message.sequence)
            continue

        if message.execution_id not in (None, state.instance.execution_id) or not folded.admits(letter.event):
            dropped.append(message.sequence)
            continue

        if limited and not message.front and (len(taken) >= MAX_EVENTS or size >= MAX_BYTES):
            break

        folded.add(letter.event)
        taken.append(letter)
        size += len(message.payload)

        if letter.kind == "executionResumed":
            waiting.extendleft(reversed(held))
            held.clear()
        elif letter.kind == "executionTerminated":
            terminated = letter.event.executionTerminated
        elif letter.kind == _REWOUND and limited:
            # Workers do not see it, so it stands alone, lest they count otherwise than we do.
            break

    if not unreadable and (not taken or folded.start is None):
        return NoTurn()

    time = max(now, state.instance.updated_at)

    for letter in taken:
        if letter.kind == "timerFired":
            time = max(time, micros(letter.event.timerFired.fireAt))

    turn = _turn(taken, dropped, time, terminated)

    if unreadable:
        return replace(turn, unreadable=True)

    return turn if terminated is None else replace(turn, answered=_answered([*held, *waiting]))


def _answered(letters: Sequence[Letter]) -> frozenset[int]:
    completed = (
        letter.event.subOrchestrationInstanceCompleted.taskScheduledId
        for letter in letters
        if letter.kind == _CHILD_DONE
    )
    failed = (
        letter.event.subOrchestrationInstanceFailed.taskScheduledId
        for letter in letters
        if letter.kind == _CHILD_FAILED
    )

    return frozenset((*completed, *failed))


def _by_arrival(inbox: Sequence[Letter]) -> Iterable[Letter]:
    """The inbox with the delayed messages where they came due, not where they were sent.

    Otherwise an event that came in time would follow the timer that was to end the wait for it, if both waited for a worker.
    """
    delayed = [letter for letter in inbox if letter.message.due_at is not None]

    if not delayed:
        return inbox

    delayed.sort(key=_arrival)

    return merge(delayed, [letter for letter in inbox if letter.message.due_at is None], key=_arrival)


def _arrival(letter: Letter) -> Micros:
    message = letter.message

    if message.front:
        return 0

    return micros(letter.event.timestamp) if message.due_at is None else message.due_at


def _turn(
    taken: Sequence[Letter], dropped: Sequence[int], time: Micros, terminated: pb.ExecutionTerminatedEvent | None
) -> Turn:
    started = orchestrator_started(time)
    events = [started]
    encoded = [started.SerializeToString()]

    for letter in taken:
        events.append(letter.event)

        if letter.kind == "timerFired":
            letter.event.timestamp.CopyFrom(timestamp(time))
            encoded.append(letter.event.SerializeToString())
        else:
            encoded.append(letter.message.payload)

    return Turn(
        time=time,
        events=tuple(events),
        encoded=tuple(encoded),
        shown=tuple(encoded[:1] if taken and taken[-1].kind == _REWOUND else encoded),
        sequences=tuple(letter.message.sequence for letter in taken),
        dropped=tuple(dropped),
        terminated=terminated,
    )
