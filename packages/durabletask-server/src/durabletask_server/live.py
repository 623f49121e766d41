"""Orchestrations and entities in memory."""

from __future__ import annotations

from typing import Protocol

from durabletask_backend.values import Entity
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import OrchestrationTrace

from durabletask_server.dispatch.stream import WorkerStream
from durabletask_server.engine.entity import Operations, waits_for_lock
from durabletask_server.engine.framing import PAST_EVENT, frames, split
from durabletask_server.engine.state import State
from durabletask_server.engine.turn import Letter, Turn
from durabletask_server.resident import Resident

_ANSWERS = frozenset(
    {"taskCompleted", "taskFailed", "subOrchestrationInstanceCompleted", "subOrchestrationInstanceFailed"}
)
"""The events that answer what an orchestration started; more of them may be worth waiting for."""
_CONTROLS = frozenset({"executionTerminated", "executionSuspended", "executionResumed"})
_BASE_BYTES = 2600
"""About what an instance takes besides its history or state; measured, like all weights (`benchmarks/memory.py`)."""
_OPEN_BYTES = 80
"""What each task and timer takes that is not answered."""
_CHILD_BYTES = 250
"""What each sub-orchestration and call takes that is not answered."""
_REWOUND = b"\xf2\x01"
"""The tag of an ExecutionRewound event."""


class OrchestrationTurns(Protocol):
    """Sees the turns of orchestrations through."""

    def wake(self, resident: LiveOrchestration) -> None:
        """See `Resident.wake`."""
        ...

    def withdraw(self, resident: LiveOrchestration) -> None:
        """See `Resident.withdraw`."""
        ...


class LiveOrchestration(Resident):
    """An orchestration: its state, its history as it is sent, and what its inbox amounts to.

    Args:
        processor: Sees its turns through.
        state: As committed.
        history: Its framed events.
    """

    def __init__(self, processor: OrchestrationTurns, state: State, history: bytes = b"") -> None:
        super().__init__(state.key)
        self._processor = processor
        self.state = state
        self.history: list[bytes] = [history] if history else []
        self.history_bytes = len(history)
        self.answers = 0
        """How many letters of the inbox are answers."""
        self.terminations = 0
        """How many are terminations."""
        self.controls = 0
        """How many are terminations, suspensions or resumptions: all that a suspended instance takes."""
        self.embeds_history = False
        """Whether its worker said that it needs the history with the turn."""
        self.spared = False
        """Whether its worker got the turn without the history, as it keeps the execution."""
        self.turn: Turn | None = None
        """What its worker has."""
        self.parts: list[pb.OrchestratorResponse] = []
        """What came of an answer that comes in parts."""
        self.trace: OrchestrationTrace | None = None
        """Follows it for the spans that the engine makes."""
        self.is_traced_by_worker = False
        self.patience = 0
        """Microseconds that the last turn waited for more answers."""

    @property
    def turns(self) -> int:
        """See `Resident.turns`."""
        return self.state.instance.turn

    @property
    def weight(self) -> int:
        """See `Resident.weight`."""
        state = self.state
        opened = _OPEN_BYTES * (len(state.tasks) + len(state.timers)) + _CHILD_BYTES * (
            len(state.children) + len(state.calls)
        )
        payload = state.instance.input or ""

        return _BASE_BYTES + self.history_bytes + self.mail_weight + opened + 2 * len(payload)

    def wake(self) -> None:
        """See `Resident.wake`."""
        self._processor.wake(self)

    def withdraw(self) -> None:
        """See `Resident.withdraw`."""
        self._processor.withdraw(self)

    def count(self, letter: Letter, by: int) -> None:
        """See `Resident.count`."""
        super().count(letter, by)

        if letter.kind in _ANSWERS:
            self.answers += by
        elif letter.kind in _CONTROLS:
            self.controls += by
            self.terminations += by if letter.kind == "executionTerminated" else 0

    def past_for(self, stream: WorkerStream, streamed_history: int) -> tuple[bytes | None, int | None]:
        """What a worker is sent of the history with the next turn.

        Args:
            stream: The worker's.
            streamed_history: Of more bytes, it fetches the history by itself if it can.

        Returns:
            The framed history (None: it is to fetch it), and how many events it is spared as it has them.
        """
        length = self.state.length
        self.spared = stream.options.sticky and self.prefer == stream.number and length > 0

        if self.spared:
            return b"", length

        streamed = stream.options.history_streaming and self.history_bytes > streamed_history

        return None if streamed and not self.embeds_history else without_rewinding(self.past()), None

    def append_history(self, events: bytes) -> None:
        """Events were committed."""
        self.history.append(events)
        self.history_bytes += len(events)

    def forget_history(self) -> None:
        """A new generation began: nothing of the old one is left, and none of its timers will fire."""
        self.history = []
        self.history_bytes = 0
        self.trace = None
        self.is_traced_by_worker = False
        current = self.state.instance.execution_id
        self.delayed = {
            sequence: message for sequence, message in self.delayed.items() if message.execution_id in (None, current)
        }

    def past(self) -> bytes:
        """The framed history, in one piece."""
        if len(self.history) > 1:
            self.history = [b"".join(self.history)]

        return self.history[0] if self.history else b""


def is_rewinding(event: bytes) -> bool:
    """Whether a serialized event notes a rewinding."""
    return _REWOUND in event and pb.HistoryEvent.FromString(event).HasField("executionRewound")


def without_rewinding(history: bytes) -> bytes:
    """A framed history as workers see it: some SDKs do not know the event that notes a rewinding."""
    if _REWOUND not in history:
        return history

    return frames(PAST_EVENT, [event for event in split(history) if not is_rewinding(event)])


class EntityTurns(Protocol):
    """Sees the turns of entities through."""

    def wake(self, resident: LiveEntity) -> None:
        """See `Resident.wake`."""
        ...

    def withdraw(self, resident: LiveEntity) -> None:
        """See `Resident.withdraw`."""
        ...


class LiveEntity(Resident):
    """An entity.

    Args:
        processor: Sees its turns through.
        entity: As committed.
    """

    def __init__(self, processor: EntityTurns, entity: Entity) -> None:
        super().__init__(entity.key)
        self._processor = processor
        self.entity = entity
        self.operations: Operations | None = None
        """What its worker has."""
        self.stirred = True
        """Whether something came since the inbox was looked at that a locked entity does not leave there."""

    @property
    def turns(self) -> int:
        """See `Resident.turns`."""
        return self.entity.turn

    @property
    def weight(self) -> int:
        """See `Resident.weight`."""
        return _BASE_BYTES + self.mail_weight + 2 * len(self.entity.state or "")

    def count(self, letter: Letter, by: int) -> None:
        """See `Resident.count`."""
        super().count(letter, by)
        lock = self.entity.lock

        if by > 0 and (lock is None or not waits_for_lock(lock, letter)):
            self.stirred = True

    def wake(self) -> None:
        """See `Resident.wake`."""
        self._processor.wake(self)

    def withdraw(self) -> None:
        """See `Resident.withdraw`."""
        self._processor.withdraw(self)
