"""Callers who wait for an instance to reach a status. They hold no thread and ask nothing of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from durabletask_backend.values import Instance, InstanceKey


class ServerStoppingError(Exception):
    """The server is stopping. Whoever waits may go on waiting with the next one."""

    def __init__(self) -> None:
        super().__init__("the server is stopping; try again")


class _Waiter(NamedTuple):
    done: Callable[[Instance], bool]
    result: asyncio.Future[Instance | None]


class Waiters:
    """Who waits for what."""

    def __init__(self) -> None:
        self._waiting: dict[InstanceKey, list[_Waiter]] = {}
        self._closed = False

    def add(self, key: InstanceKey, done: Callable[[Instance], bool]) -> asyncio.Future[Instance | None]:
        """Wait for an instance.

        Args:
            key: The instance; it need not exist yet.
            done: Whether a record of it is what is waited for.

        Returns:
            A future of that record, or of None when the instance was purged. Cancel it to stop waiting.

        Raises:
            ServerStoppingError: Nobody will be told any more; the future raises it, too, once that is so.
        """
        if self._closed:
            raise ServerStoppingError

        result: asyncio.Future[Instance | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(_Waiter(done, result))
        result.add_done_callback(lambda _: self._remove(key, result))

        return result

    def waits_for(self, key: InstanceKey) -> bool:
        """Whether somebody waits for an instance."""
        return key in self._waiting

    def committed(self, instance: Instance) -> None:
        """An instance's record was committed."""
        for waiter in self._waiting.get(instance.key, ()):
            if not waiter.result.done() and waiter.done(instance):
                waiter.result.set_result(instance)

    def purged(self, key: InstanceKey) -> None:
        """An instance was purged: it will not reach any status."""
        for waiter in self._waiting.get(key, ()):
            if not waiter.result.done():
                waiter.result.set_result(None)

    def close_hub(self, hub: str) -> None:
        """A hub was deleted, with all that was in it."""
        for key in [key for key in self._waiting if key.hub == hub]:
            self.purged(key)

    def close(self) -> None:
        """The server is stopping: end all waits."""
        self._closed = True

        for waiters in self._waiting.values():
            for waiter in waiters:
                if not waiter.result.done():
                    waiter.result.set_exception(ServerStoppingError())

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _remove(self, key: InstanceKey, result: asyncio.Future[Instance | None]) -> None:
        rest = [waiter for waiter in self._waiting.get(key, ()) if waiter.result is not result]

        if rest:
            self._waiting[key] = rest
        else:
            self._waiting.pop(key, None)
