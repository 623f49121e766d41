"""An instance in memory: its inbox, and where its turn is. What is particular to orchestrations and entities is with their processors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from typing import Protocol

from durabletask_backend.values import InstanceKey, Message

from durabletask_server.clock import Alarm
from durabletask_server.dispatch.stream import Kind, WorkerStream
from durabletask_server.engine.turn import Letter, open_letter

_LETTER_BYTES = 800
"""About what a message of the inbox takes besides its payload…"""
_DELAYED_BYTES = 600
"""…and what one takes that is not due, with its place among the timers."""


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


class Resident(ABC):
    """One instance.

    Args:
        key: Which.
    """

    def __init__(self, key: InstanceKey) -> None:
        self.key = key
        self.inbox: dict[int, Letter] = {}
        """By sequence. What a turn has taken stays until that turn is committed."""
        self.mail_bytes = 0
        """Of the inbox."""
        self.delayed: dict[int, Message] = {}
        self.weighed = 0
        """Its weight when it was last counted."""
        self.is_gone = False
        """Whether it was replaced or purged."""
        self.phase = Phase.IDLE
        self.item: TurnItem | None = None
        """What stands for the turn with the dispatcher, while READY or OUT."""
        self.pause: Alarm | None = None
        """Running while the next turn waits, for more answers to arrive or after it was abandoned."""
        self.abandoned = 0
        """How often in a row the turn was given back."""
        self.avoid: int | None = None
        """The stream that gave the turn back."""
        self.prefer: int | None = None
        """The stream whose worker keeps the execution."""

    @property
    @abstractmethod
    def turns(self) -> int:
        """How many turns of it were committed."""

    @property
    @abstractmethod
    def weight(self) -> int:
        """About how many bytes it takes in memory."""

    @property
    def mail_weight(self) -> int:
        """About how many bytes its messages take, a payload twice: as it came, and decoded."""
        return _LETTER_BYTES * len(self.inbox) + 2 * self.mail_bytes + _DELAYED_BYTES * len(self.delayed)

    @abstractmethod
    def wake(self) -> None:
        """See to it that it takes its next turn, if it has none and may."""

    @abstractmethod
    def withdraw(self) -> None:
        """It leaves memory: a turn that is ready or out is nobody's any more."""

    def receive(self, message: Message) -> None:
        """Put a message in the inbox, if it is not there already."""
        self.delayed.pop(message.sequence, None)

        if message.sequence not in self.inbox:
            letter = self.inbox[message.sequence] = open_letter(message)
            self.count(letter, 1)

    def postpone(self, message: Message) -> None:
        """Keep a message until it is due."""
        self.delayed[message.sequence] = message

    def consume(self, sequences: Iterable[int]) -> None:
        """A turn that took these messages was committed."""
        for sequence in sequences:
            letter = self.inbox.pop(sequence, None)

            if letter is not None:
                self.count(letter, -1)

        if not self.inbox:
            # A dictionary keeps its room when it is emptied one by one.
            self.inbox.clear()

    def count(self, letter: Letter, by: int) -> None:
        """A letter came (1) or went (-1)."""
        self.mail_bytes += by * len(letter.message.payload)

    def letters(self) -> Sequence[Letter]:
        """The inbox in order of delivery."""
        return sorted(self.inbox.values(), key=lambda letter: (not letter.message.front, letter.message.sequence))

    def rest(self) -> None:
        """The pause is over, or of no use."""
        if self.pause is not None:
            self.pause.cancel()
            self.pause = None

    def settled(self) -> None:
        """A turn of it was committed."""
        self.phase = Phase.IDLE
        self.abandoned = 0
        self.avoid = None


class TurnSource(Protocol):
    """Where turn items come from and go back to."""

    def hand_out(self, item: TurnItem, stream: WorkerStream) -> bytes | None:
        """See `WorkItem.hand_out`."""
        ...

    def broken(self, item: TurnItem) -> None:
        """See `WorkItem.broken`."""
        ...


class TurnItem:
    """A turn of an instance as the dispatcher sees it. The turn itself is taken when a worker is there.

    Args:
        kind: Whether it is an orchestration's or an entity's.
        name: Of the orchestrator or entity.
        version: Of the orchestrator.
        resident: The instance.
        source: Takes the turn, and has it back.
    """

    caller_version = None

    def __init__(self, kind: Kind, name: str, version: str | None, resident: Resident, source: TurnSource) -> None:
        self.kind = kind
        self.name = name
        self.version = version
        self.resident = resident
        self._source = source
        self.stream: WorkerStream | None = None
        self.attempt = ""
        """Which hand-out its worker has it by."""
        self.ready_at = self.out_at = 0.0

    @property
    def instance(self) -> InstanceKey:
        """The instance."""
        return self.resident.key

    @property
    def avoid(self) -> int | None:
        """The stream that gave the turn back last."""
        return self.resident.avoid

    @property
    def prefer(self) -> int | None:
        """The stream whose worker keeps the execution."""
        return self.resident.prefer

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
