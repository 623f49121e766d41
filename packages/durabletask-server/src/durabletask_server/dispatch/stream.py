"""One connected worker: how much it may hold, what it holds, and what is on its way to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from durabletask_backend.values import InstanceKey

from durabletask_server.dispatch.encoding import HEALTH_PING

if TYPE_CHECKING:
    from durabletask_server.dispatch.filters import WorkFilters


class Kind(Enum):
    """What sort of work an item is; each has its own limits."""

    ORCHESTRATION = "orchestration"
    ACTIVITY = "activity"
    ENTITY = "entity"

    # It is looked up several times for each item; the hash of `Enum` is slower.
    __hash__ = object.__hash__


class WorkItem(Protocol):
    """A piece of work for a worker: a turn, an activity, or operations of an entity."""

    @property
    def kind(self) -> Kind:
        """Which sort."""
        ...

    @property
    def instance(self) -> InstanceKey:
        """The instance it belongs to."""
        ...

    @property
    def name(self) -> str:
        """Of the orchestrator, activity or entity."""
        ...

    @property
    def version(self) -> str | None:
        """Of the orchestrator or activity."""
        ...

    @property
    def caller_version(self) -> str | None:
        """Of the orchestration that scheduled an activity."""
        ...

    ready_at: float
    """When it was made ready, by `time.monotonic`; set by the dispatcher, as is `out_at`."""
    out_at: float
    """When a worker was given it."""

    @property
    def prefer(self) -> int | None:
        """The number of a stream to which it goes if that one can take it."""
        ...

    @property
    def avoid(self) -> int | None:
        """The number of a stream that gave it back, to be taken only when there is no other."""
        ...

    def hand_out(self, stream: WorkerStream) -> bytes | None:
        """Make it that stream's, under a new token.

        Returns:
            The serialized `WorkItem` message; None when there is nothing to do any more.
        """
        ...

    def broken(self) -> None:
        """The stream that held it ended; it is nobody's again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What a worker says of itself."""

    hub: str
    """Whose work it does."""
    limits: Mapping[Kind, int]
    """How many items of each kind it takes at a time; 0, or none given, for the default."""
    filters: WorkFilters
    """Which of them it wants."""
    history_streaming: bool = False
    """Whether it can fetch a long history by itself."""
    sticky: bool = False
    """Whether it keeps live executions, and needs no history with their next turns."""
    batch_entities: bool = False
    """Whether it wants operations as `EntityBatchRequest`."""


class WorkerStream:
    """A `GetWorkItems` call.

    Args:
        number: Tells streams apart.
        options: What its worker says.
        limits: How many items of each kind it may hold at a time.
        on_free: Called when it can take more.
    """

    def __init__(
        self, number: int, options: StreamOptions, limits: Mapping[Kind, int], on_free: Callable[[], None]
    ) -> None:
        self.number = number
        self.options = options
        self.turn = 0
        """When it was last given an item; the higher, the later."""
        self._limits = limits
        self._on_free = on_free
        self._held: dict[Kind, dict[int, WorkItem]] = {kind: {} for kind in Kind}
        self._outbox: deque[bytes] = deque()
        self._sendable: asyncio.Future[None] | None = None
        self.closed = False
        """Whether the server has closed it; what is in the outbox is still sent."""
        # Whether nothing was sent since the last ping was due.
        self._quiet = False

    def free(self, kind: Kind) -> int:
        """How many more items of a kind it may hold."""
        return 0 if self.closed else self._limits[kind] - len(self._held[kind])

    def held(self, kind: Kind) -> int:
        """How many items of a kind it holds."""
        return len(self._held[kind])

    def holds(self) -> list[WorkItem]:
        """All that it holds. May be called from any thread."""
        return [item for held in self._held.values() for item in list(held.values())]

    def send(self, item: WorkItem, encoded: bytes) -> None:
        """Put an item on the stream; it is held from now on."""
        self._held[item.kind][id(item)] = item
        self._outbox.append(encoded)
        self._wake()

    def release(self, item: WorkItem) -> None:
        """The worker is done with an item, or it is not the worker's any more."""
        if self._held[item.kind].pop(id(item), None) is not None:
            self._on_free()

    def abandon(self) -> list[WorkItem]:
        """Take back all that is held, because the stream is gone."""
        self.closed = True
        items = [item for held in self._held.values() for item in held.values()]

        for held in self._held.values():
            held.clear()

        self._outbox.clear()

        return items

    def close(self) -> None:
        """Hand out nothing more; `outgoing` ends once the outbox is empty."""
        self.closed = True
        self._wake()

    async def outgoing(self) -> list[bytes] | None:
        """Wait for something to send.

        Returns:
            Some serialized items; None at the end.
        """
        if not self._outbox:
            if self.closed:
                return None

            self._sendable = asyncio.get_running_loop().create_future()

            try:
                await self._sendable
            finally:
                self._sendable = None

        return self.take()

    def take(self) -> list[bytes]:
        """What there is to send by now."""
        taken = list(self._outbox)
        self._outbox.clear()
        self._quiet = False

        return taken

    def ping(self) -> None:
        """Put a health ping on the stream, if nothing was sent since the last time this was called."""
        if self._quiet:
            self._outbox.append(HEALTH_PING)
            self._wake()

        self._quiet = True

    def _wake(self) -> None:
        if self._sendable is not None and not self._sendable.done():
            self._sendable.set_result(None)
