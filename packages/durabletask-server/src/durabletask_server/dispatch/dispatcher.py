"""Matches ready work with workers that have room for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from durabletask_backend.values import InstanceKey

from durabletask_server.dispatch.queue import FairQueue
from durabletask_server.dispatch.stream import Kind, WorkerStream, WorkItem

log = logging.getLogger(__name__)


class Dispatcher:
    """Hands ready work to connected workers, the least busy first.

    Args:
        default_limits: How many items of each kind a stream may hold that does not say.
    """

    def __init__(self, default_limits: Mapping[Kind, int]) -> None:
        self._default_limits = default_limits
        self._ready: dict[Kind, FairQueue[WorkItem]] = {kind: FairQueue() for kind in Kind}
        self._streams: dict[int, WorkerStream] = {}
        self._last_number = 0
        self._pumping = False
        self._draining = False
        self._idle = asyncio.Event()

    def open(self, limits: Mapping[Kind, int], *, history_streaming: bool) -> WorkerStream:
        """Connect a worker.

        Args:
            limits: How many items of each kind it takes at a time; 0 for the default.
            history_streaming: Whether it can fetch a long history by itself.
        """
        self._last_number += 1
        effective = {kind: limits.get(kind, 0) or self._default_limits[kind] for kind in Kind}
        stream = WorkerStream(self._last_number, effective, history_streaming=history_streaming, on_free=self._schedule)
        self._streams[stream.number] = stream
        self._schedule()

        return stream

    def close(self, stream: WorkerStream) -> None:
        """A worker's stream ended: what it held is ready again, except while the server itself is stopping."""
        self._streams.pop(stream.number, None)
        items = stream.abandon()

        # What a drain breaks is ready again for the next server, and no fault of the item's.
        for item in items if not self._draining else ():
            item.broken()

        if items:
            log.info("stream %d ended while it held %d work items; they are ready again", stream.number, len(items))

        self._check_idle()

    def add(self, item: WorkItem, *, front: bool = False) -> None:
        """Make an item ready."""
        self._ready[item.kind].push(item.instance, item, front=front)
        self._schedule()

    def drop(self, kind: Kind, instance: InstanceKey, unwanted: Callable[[WorkItem], bool]) -> None:
        """Remove those of an instance's items that wait for a worker and are not wanted any more."""
        self._ready[kind].drop(instance, unwanted)

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

        for kind, queue in self._ready.items():
            while queue:
                room = [stream for stream in self._streams.values() if stream.free(kind) > 0]

                if not room:
                    break

                item = queue.pop()
                stream = min(room, key=lambda each: (each.number == item.avoid, each.held(kind)))

                try:
                    encoded = item.hand_out(stream)
                except Exception:
                    log.exception("a work item of instance %s cannot be handed out", item.instance.instance_id)
                    continue

                if encoded is not None:
                    stream.send(item, encoded)
