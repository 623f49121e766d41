"""A channel to an engine in the same process: the calls of the protocol, without a socket."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import grpc
from durabletask_server.service.rpc import Rpc

__all__ = ["LocalChannel"]

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


class _Aborted(grpc.aio.AbortError):
    """Ends a call with a status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.details = details


class _Context:
    """What the handlers of a server ask of a call."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> Metadata:
        return self._metadata

    def peer(self) -> str:
        return "this process"

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: object = ()) -> None:
        raise _Aborted(code, details)


def _error(code: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()

    return grpc.aio.AioRpcError(code, nothing, nothing, details=details)


class _StreamCall:
    """A call with many responses, read one by one."""

    def __init__(
        self, responses: AsyncGenerator[bytes, None], read: Callable[[bytes], Any], timeout: float | None
    ) -> None:
        self._responses = responses
        self._read = read
        self._deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        self._reader: asyncio.Task[Any] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._is_cancelled = False

    def cancel(self) -> bool:
        """End the call. Whoever reads it learns of it as of a call that was cancelled."""
        self._is_cancelled = True

        if self._reader is not None:
            self._reader.cancel()
        elif self._closing is None:
            # The handler is left at its next chance, as the end of its generator.
            self._closing = asyncio.create_task(self._responses.aclose())

        return True

    async def read(self) -> Any:
        """The next response; `grpc.aio.EOF` after the last."""
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            return grpc.aio.EOF

    def __aiter__(self) -> _StreamCall:
        return self

    async def __anext__(self) -> Any:
        if self._is_cancelled:
            raise asyncio.CancelledError

        self._reader = asyncio.current_task()

        try:
            async with asyncio.timeout_at(self._deadline):
                return self._read(await anext(self._responses))
        except _Aborted as aborted:
            raise _error(aborted.code, aborted.details) from None
        except TimeoutError:
            raise _error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
        except asyncio.CancelledError:
            await self._responses.aclose()

            raise
        finally:
            self._reader = None


class LocalChannel:
    """A `grpc.aio.Channel` as far as the stubs of the protocol need one. Requests and responses pass as they are, not encoded.

    Args:
        rpcs: The RPCs of an engine in this process, by name. They run on the event loop of whoever calls.
    """

    def __init__(self, rpcs: Mapping[str, Rpc]) -> None:
        self.under_way: Counter[str] = Counter()
        """How many calls with one response are not answered yet, by the name of the RPC."""
        self._rpcs = rpcs

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        **options: object,
    ) -> Callable[..., Coroutine[Any, Any, Any]]:
        """See `grpc.aio.Channel.unary_unary`."""
        name, rpc = method.rpartition("/")[2], self._rpc(method)

        async def call(
            request: Any,
            *,
            timeout: float | None = None,  # noqa: ASYNC109 - the name that gRPC gives it
            metadata: Metadata | None = None,
            wait_for_ready: bool = False,
        ) -> Any:
            context = _Context(metadata or ())
            self.under_way[name] += 1

            try:
                async with asyncio.timeout(timeout):
                    return await rpc(request, context)
            except _Aborted as aborted:
                raise _error(aborted.code, aborted.details) from None
            except TimeoutError:
                raise _error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
            finally:
                self.under_way[name] -= 1

        return call

    def unary_stream(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        **options: object,
    ) -> Callable[..., _StreamCall]:
        """See `grpc.aio.Channel.unary_stream`."""
        rpc = self._rpc(method)

        def call(
            request: Any,
            *,
            timeout: float | None = None,
            metadata: Metadata | None = None,
            wait_for_ready: bool = False,
        ) -> _StreamCall:
            return _StreamCall(rpc(request, _Context(metadata or ())), response_deserializer, timeout)

        return call

    def _rpc(self, method: str) -> Any:
        return self._rpcs.get(method.rpartition("/")[2], _unserved)


async def _unserved(request: object, context: _Context) -> NoReturn:
    raise _Aborted(grpc.StatusCode.UNIMPLEMENTED, "the engine does not serve this call")
