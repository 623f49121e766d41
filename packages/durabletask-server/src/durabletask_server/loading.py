"""Instances on their way from the store to memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from itertools import islice
from typing import TypeAlias

from durabletask_backend.contract import Backend
from durabletask_backend.errors import StorageFailedError
from durabletask_backend.values import InstanceKey, Lease, LoadedEntity, LoadedInstance, Message

from durabletask_server.about import about

log = logging.getLogger(__name__)

Loaded: TypeAlias = LoadedInstance | LoadedEntity

_TOGETHER = 100
"""Instances read at a time."""
_TOGETHER_CROWDED = 10
"""Fewer, when there is no room for them."""


class Loader:
    """Reads instances, some at a time, and keeps the messages that come to them meanwhile.

    Args:
        backend: Where they are.
        lease: Under which lease.
        retry: Seconds after which a read that failed is tried again.
        has_room: Waits a little for room in memory; whether there is.
        loaded: Called with each instance, what came meanwhile, and what was read: None where there is none, or it is another server's.
    """

    def __init__(
        self,
        backend: Backend,
        lease: Lease,
        retry: float,
        has_room: Callable[[], Awaitable[bool]],
        loaded: Callable[[InstanceKey, Collection[Message], Loaded | None], None],
    ) -> None:
        self._backend = backend
        self._lease = lease
        self._retry = retry
        self._has_room = has_room
        self._loaded = loaded
        self._asked: dict[InstanceKey, list[Message]] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    def stop(self) -> None:
        """Read nothing more."""
        self._stopped = True

        if self._task is not None:
            self._task.cancel()

    def ask(self, key: InstanceKey) -> None:
        """Read an instance."""
        self._asked.setdefault(key, [])

        if self._task is None and not self._stopped:
            self._task = asyncio.create_task(self._run(), name="loader")

    def add(self, key: InstanceKey, message: Message) -> bool:
        """A message is for an instance. False: it is not asked for, and the message is not kept."""
        messages = self._asked.get(key)

        if messages is None:
            return False

        messages.append(message)

        return True

    def cancel(self, key: InstanceKey) -> None:
        """What is read of an instance, or was a moment ago, is not what is there now."""
        self._asked.pop(key, None)

    def close_hub(self, hub: str) -> None:
        """A hub was deleted."""
        for key in [key for key in self._asked if key.hub == hub]:
            del self._asked[key]

    async def _run(self) -> None:
        try:
            while self._asked:
                count = _TOGETHER if await self._has_room() else _TOGETHER_CROWDED
                await self._read(dict(islice(self._asked.items(), count)))
        finally:
            self._task = None

    async def _read(self, asked: dict[InstanceKey, list[Message]]) -> None:
        try:
            loaded = await self._backend.load(self._lease, list(asked))
        except StorageFailedError as error:
            log.warning("cannot load %d instances, trying again: %s", len(asked), error)
            await asyncio.sleep(self._retry)
            return

        for key, messages in asked.items():
            # Another, or none: it was created anew or purged meanwhile.
            if self._asked.get(key) is not messages:
                continue

            del self._asked[key]

            try:
                self._loaded(key, messages, loaded.get(key))
            except Exception:
                log.exception("instance %s cannot be brought to memory", key.instance_id, extra=about(key))
