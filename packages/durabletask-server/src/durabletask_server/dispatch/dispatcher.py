"""Matches ready work with workers that have room for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from itertools import count
from time import monotonic

from durabletask_backend.values import InstanceKey

from durabletask_server.about import about
from durabletask_server.dispatch.crews import Crews
from durabletask_server.dispatch.lanes import Lane, Lanes
from durabletask_server.dispatch.stream import Kind, StreamOptions, WorkerStream, WorkItem
from durabletask_server.measures import Measures

log = logging.getLogger(__name__)


class Dispatcher:
    """Hands ready work to connected workers that want it, the least busy first.

    Args:
        default_limits: How many items of each kind a stream may hold that does not say.
        measures: Is told of what becomes of items; None for nobody.
    """

    def __init__(self, default_limits: Mapping[Kind, int], measures: Measures | None = None) -> None:
        self.measures = measures or Measures()
        """Is told of what becomes of items."""
        self._default_limits = default_limits
        self._crews = Crews()
        turns = count(1)
        self._ready = {kind: Lanes(kind, self._crews, turns) for kind in Kind}
        self._streams: dict[int, WorkerStream] = {}
        self._last_number = 0
        self._pumping = False
        self._draining = False
        self._idle = asyncio.Event()
        self.on_open: Callable[[], None] = _nothing
        """Called when a worker has connected."""
        self.on_hungry: Callable[[], None] | None = None
        """Called when workers have room, and there is nothing for them."""

    def open(self, options: StreamOptions) -> WorkerStream:
        """Connect a worker."""
        self._last_number += 1
        limits = {kind: options.limits.get(kind, 0) or self._default_limits[kind] for kind in Kind}
        stream = WorkerStream(self._last_number, options, limits, self._schedule)
        self._streams[stream.number] = stream
        self._crews.join(stream)
        self._schedule()
        self.on_open()

        return stream

    def close(self, stream: WorkerStream) -> None:
        """A worker's stream ended: what it held is ready again, except while the server itself is stopping."""
        self._streams.pop(stream.number, None)
        self._crews.leave(stream)
        items = stream.abandon()

        # What a drain breaks is ready again for the next server, and no fault of the item's.
        for item in items if not self._draining else ():
            self.measures.returned(item)

            try:
                item.broken()
            except Exception:
                # The others are to be had back all the same.
                log.exception(
                    "a work item of instance %s cannot be taken back",
                    item.instance.instance_id,
                    extra=about(item.instance),
                )

        if items:
            log.info("stream %d ended while it held %d work items; they are ready again", stream.number, len(items))

        self._check_idle()

    def add(self, item: WorkItem, *, front: bool = False) -> None:
        """Make an item ready."""
        item.ready_at = monotonic()
        self._ready[item.kind].push(item, front=front)
        self._schedule()

    def drop(self, kind: Kind, instance: InstanceKey, unwanted: Callable[[WorkItem], bool]) -> None:
        """Remove those of an instance's items that wait for a worker and are not wanted any more."""
        self._ready[kind].drop(instance, unwanted)

    def close_hub(self, hub: str) -> None:
        """A hub was deleted: what is ready in it is void, and the streams of its workers end."""
        for lanes in self._ready.values():
            lanes.close_hub(hub)

        for stream in self._streams.values():
            if stream.options.hub == hub:
                self._crews.leave(stream)
                stream.close()

    async def drain(self, grace: float) -> int:
        """Hand out nothing more, wait for what is out, then close the streams.

        Args:
            grace: Seconds to wait.

        Returns:
            How many items were still out at the end.
        """
        self._draining = True
        self._check_idle()

        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
        except TimeoutError:
            pass

        left = self.out

        for stream in self._streams.values():
            stream.close()

        return left

    def ping(self) -> None:
        """Send a health ping on each stream on which nothing was sent since the last time this was called."""
        for stream in self._streams.values():
            stream.ping()

    @property
    def draining(self) -> bool:
        """Whether it hands out nothing more."""
        return self._draining

    def fits(
        self, kind: Kind, hub: str, name: str, version: str | None = None, caller_version: str | None = None
    ) -> bool:
        """Whether a worker is connected that wants such work, with or without room for it."""
        return self._ready[kind].wanted(Lane(hub, name, version, caller_version))

    def names(self, kind: Kind, hub: str | None = None) -> frozenset[str] | None:
        """The names of the work of a kind that some worker wants, in lower case; None: of all."""
        return self._crews.names(kind, hub)

    def free(self, kind: Kind) -> int:
        """How many more items of a kind all workers together may hold."""
        return sum(stream.free(kind) for stream in self._streams.values())

    def waiting(self) -> list[tuple[Kind, str, int]]:
        """How many items wait for a worker, by kind and name. May be called from any thread."""
        return [(kind, lane.name, size) for kind, lanes in self._ready.items() for lane, size in lanes.sizes()]

    def held(self) -> list[WorkItem]:
        """What workers hold. May be called from any thread."""
        return [item for stream in list(self._streams.values()) for item in stream.holds()]

    @property
    def connected(self) -> int:
        """How many workers are."""
        return len(self._streams)

    def ready(self, kind: Kind) -> int:
        """How many items of a kind wait for a worker."""
        return len(self._ready[kind])

    @property
    def out(self) -> int:
        """How many items workers hold."""
        return sum(stream.held(kind) for stream in self._streams.values() for kind in Kind)

    def _check_idle(self) -> None:
        if self._draining and not self.out:
            self._idle.set()

    def _schedule(self) -> None:
        if self._draining:
            self._check_idle()
        elif not self._pumping and self._streams:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False

        if self._draining:
            return

        for lanes in self._ready.values():
            if lanes:
                lanes.match(self._hand_out)

        # What is ready still, though there is room, nobody wants.
        if self.on_hungry is not None and any(self.free(kind) > 0 for kind in Kind):
            self.on_hungry()

    def _hand_out(self, item: WorkItem, stream: WorkerStream) -> None:
        try:
            encoded = item.hand_out(stream)
        except Exception:
            log.exception(
                "a work item of instance %s cannot be handed out", item.instance.instance_id, extra=about(item.instance)
            )
            return

        if encoded is not None:
            item.out_at = monotonic()
            self.measures.handed_out(item)
            stream.send(item, encoded)


def _nothing() -> None:
    pass
