"""For code that blocks: an event loop in a thread of its own, and a channel whose calls wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import grpc

from durabletask_embedded.channel import LocalChannel

__all__ = ["BlockingChannel", "LoopThread"]

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread of its own, until `close`.

    Args:
        name: The thread's.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something there, and wait for it.

        Args:
            work: What to run.

        Returns:
            Its result.

        Raises:
            RuntimeError: Called by what runs there, which cannot wait for itself.
        """
        if threading.current_thread() is self._thread:
            work.close()

            raise RuntimeError("a blocking call of the hub in its own event loop; use the client of `async with` there")

        future = asyncio.run_coroutine_threadsafe(work, self._loop)

        try:
            return future.result()
        except BaseException:
            # Ctrl+C, say: nobody waits for it any more.
            future.cancel()

            raise

    def close(self) -> None:
        """End the loop and the thread."""
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class BlockingChannel:
    """A `grpc.Channel` as far as the stubs of the protocol need one.

    Args:
        channel: The channel behind it.
        loop: Where its calls run.
    """

    def __init__(self, channel: LocalChannel, loop: LoopThread) -> None:
        self._channel = channel
        self._loop = loop

    def unary_unary(self, method: str, *arguments: Any, **options: Any) -> Callable[..., Any]:
        """See `grpc.Channel.unary_unary`."""
        call = self._channel.unary_unary(method, *arguments, **options)

        def blocking(request: Any, **how: Any) -> Any:
            return self._loop.run(call(request, **how))

        return blocking

    def unary_stream(self, method: str, *arguments: Any, **options: Any) -> Callable[..., Any]:
        """See `grpc.Channel.unary_stream`."""
        call = self._channel.unary_stream(method, *arguments, **options)

        def blocking(request: Any, **how: Any) -> _BlockingStream:
            return _BlockingStream(call, request, how, self._loop)

        return blocking


class _BlockingStream:
    """A call with many responses, read one by one."""

    def __init__(self, call: Callable[..., Any], request: Any, how: dict[str, Any], loop: LoopThread) -> None:
        async def begin() -> Any:
            return call(request, **how)

        self._loop = loop
        self._stream = loop.run(begin())

    def __iter__(self) -> _BlockingStream:
        return self

    def __next__(self) -> Any:
        response = self._loop.run(self._stream.read())

        if response is grpc.aio.EOF:
            raise StopIteration

        return response

    def cancel(self) -> bool:
        async def cancel() -> bool:
            return bool(self._stream.cancel())

        return self._loop.run(cancel())
