"""An instance in memory: its state, its history as it is sent, its inbox, and where its turn is."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Protocol

from durabletask_backend.values import InstanceKey, Message
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.clock import Alarm
from durabletask_server.dispatch.stream import Kind, WorkerStream
from durabletask_server.engine.state import State
from durabletask_server.engine.turn import Letter, Turn, open_letter

ANSWERS = frozenset(
    {"taskCompleted", "taskFailed", "subOrchestrationInstanceCompleted", "subOrchestrationInstanceFailed"}
)
"""The events that answer what an orchestration started; more of them may be worth waiting for."""
_CONTROLS = frozenset({"executionTerminated", "executionSuspended", "executionResumed"})
_BASE_BYTES = 2000
"""About what an instance takes besides its history."""


class TurnSource(Protocol):
    """Where turn items come from and go back to."""

    def hand_out(self, item: TurnItem, stream: WorkerStream) -> bytes | None:
        """See `WorkItem.hand_out`."""
        ...

    def broken(self, item: TurnItem) -> None:
        """See `WorkItem.broken`."""
        ...


log = logging.getLogger(__name__)


class Phase(Enum):
    """Where an instance's turn is. There is one at a time."""

    IDLE = auto()
    """There is none."""
    READY = auto()
    """It waits for a worker."""
    OUT = auto()
    """A worker has it."""
    COMMITTING = auto()
    """It is decided, and in the journal."""


class Resident:
    """One instance.

    Args:
        state: As committed.
        history: Its framed events.
    """

    def __init__(self, state: State, history: bytes = b"") -> None:
        self.state = state
        self.history: list[bytes] = [history] if history else []
        self.history_bytes = len(history)
        self.inbox: dict[int, Letter] = {}
        """By sequence. What a turn has taken stays until that turn is committed."""
        self.answers = 0
        """How many letters of the inbox are answers."""
        self.terminations = 0
        """How many are terminations."""
        self.controls = 0
        """How many are terminations, suspensions or resumptions: all that a suspended instance takes."""
        self.mail_bytes = 0
        """Of the inbox."""
        self.weighed = 0
        """Its weight when it was last counted."""
        self.is_gone = False
        """Whether it was replaced or purged."""
        self.embeds_history = False
        """Whether its worker said that it needs the history with the turn."""
        self.delayed: dict[int, Message] = {}
        self.phase = Phase.IDLE
        self.turn: Turn | None = None
        self.item: TurnItem | None = None
        """What stands for the turn with the dispatcher, while READY or OUT."""
        self.chunks: list[pb.OrchestratorResponse] = []
        """The parts received of an answer that comes in parts."""
        self.pause: Alarm | None = None
        """Running while the next turn waits, for more answers to arrive or after it was abandoned."""
        self.patience = 0
        """Microseconds that the last turn waited for more answers."""
        self.abandoned = 0
        """How often in a row the turn was given back."""
        self.breaks = 0
        """How often in a row a stream broke that held the turn."""
        self.avoid: int | None = None
        """The stream that gave the turn back."""

    @property
    def key(self) -> InstanceKey:
        """The instance."""
        return self.state.key

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        payload = self.state.instance.input

        return _BASE_BYTES + self.history_bytes + self.mail_bytes + (0 if payload is None else 2 * len(payload))

    def receive(self, message: Message) -> None:
        """Put a message in the inbox, if it is not there already."""
        self.delayed.pop(message.sequence, None)

        if message.sequence not in self.inbox:
            letter = self.inbox[message.sequence] = open_letter(message)
            self._count(letter, 1)

    def postpone(self, message: Message) -> None:
        """Keep a message until it is due."""
        self.delayed[message.sequence] = message

    def consume(self, sequences: Iterable[int]) -> None:
        """A turn that took these messages was committed."""
        for sequence in sequences:
            letter = self.inbox.pop(sequence, None)

            if letter is not None:
                self._count(letter, -1)

    def _count(self, letter: Letter, by: int) -> None:
        self.mail_bytes += by * len(letter.message.payload)

        if letter.kind in ANSWERS:
            self.answers += by
        elif letter.kind in _CONTROLS:
            self.controls += by
            self.terminations += by if letter.kind == "executionTerminated" else 0

    def letters(self) -> Sequence[Letter]:
        """The inbox in order of delivery."""
        return sorted(self.inbox.values(), key=lambda letter: (not letter.message.front, letter.message.sequence))

    def append_history(self, events: bytes) -> None:
        """Events were committed."""
        self.history.append(events)
        self.history_bytes += len(events)

    def forget_history(self) -> None:
        """A new generation began: nothing of the old one is left, and none of its timers will fire."""
        self.history = []
        self.history_bytes = 0
        current = self.state.instance.execution_id
        self.delayed = {
            sequence: message for sequence, message in self.delayed.items() if message.execution_id in (None, current)
        }

    def past(self) -> bytes:
        """The framed history, in one piece."""
        if len(self.history) > 1:
            self.history = [b"".join(self.history)]

        return self.history[0] if self.history else b""

    def join(self, part: pb.OrchestratorResponse) -> pb.OrchestratorResponse | None:
        """The whole answer, once its last part is here. A part that is repeated takes the place of the first one."""
        chunks = self.chunks

        if not part.isPartial and not part.chunkIndex.value:
            return part

        index = part.chunkIndex.value

        if index > len(chunks):
            log.warning("part %d of an answer to instance %s came out of order", index, part.instanceId)
            return None

        del chunks[index:]
        chunks.append(part)

        if part.isPartial:
            return None

        whole = pb.OrchestratorResponse()
        whole.CopyFrom(part)
        del whole.actions[:]

        for chunk in chunks:
            whole.actions.extend(chunk.actions)

        first = chunks[0]
        whole.ClearField("numEventsProcessed")
        whole.ClearField("orchestrationTraceContext")

        if first.HasField("numEventsProcessed"):
            whole.numEventsProcessed.CopyFrom(first.numEventsProcessed)

        if first.HasField("orchestrationTraceContext"):
            whole.orchestrationTraceContext.CopyFrom(first.orchestrationTraceContext)

        return whole


class TurnItem:
    """A turn of an instance as the dispatcher sees it. The turn itself is taken when a worker is there.

    Args:
        resident: The instance.
        source: Takes the turn, and has it back.
    """

    kind = Kind.ORCHESTRATION

    def __init__(self, resident: Resident, source: TurnSource) -> None:
        self.resident = resident
        self._source = source
        self.stream: WorkerStream | None = None
        self.attempt = ""

    @property
    def instance(self) -> InstanceKey:
        """The instance."""
        return self.resident.key

    @property
    def avoid(self) -> int | None:
        """The stream that gave the turn back last."""
        return self.resident.avoid

    def hand_out(self, stream: WorkerStream) -> bytes | None:
        """Take the turn for a worker."""
        return self._source.hand_out(self, stream)

    def broken(self) -> None:
        """The worker's stream ended."""
        self.stream = None
        self._source.broken(self)

    def settle(self) -> None:
        """It is the worker's no more."""
        if self.stream is not None:
            self.stream.release(self)
            self.stream = None
