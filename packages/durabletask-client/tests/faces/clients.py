"""Clients of either kind, as the tests see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

from durabletask_client import AsyncTaskHubGrpcClient, TaskHubGrpcClient


class Face(Protocol):
    """A client of either kind, as the tests see it."""

    async def __call__(self, method: str, *arguments: object, **keywords: object) -> Any:
        """Call a method and wait for its result."""

    def each(self, method: str, *arguments: object, **keywords: object) -> AsyncIterator[Any]:
        """Call a method and go through its iterator."""

    def having(self, **options: Any) -> Face:
        """The client with other options."""

    async def close(self) -> None:
        """Close the client."""


class SyncFace:
    def __init__(self, client: TaskHubGrpcClient | None = None, **settings: Any) -> None:
        self._client = client or TaskHubGrpcClient(**settings)

    async def __call__(self, method: str, *arguments: object, **keywords: object) -> Any:
        return await asyncio.to_thread(getattr(self._client, method), *arguments, **keywords)

    async def each(self, method: str, *arguments: object, **keywords: object) -> AsyncIterator[Any]:
        items = getattr(self._client, method)(*arguments, **keywords)
        nothing = object()

        try:
            while (item := await asyncio.to_thread(next, items, nothing)) is not nothing:
                yield item
        finally:
            items.close()

    def having(self, **options: Any) -> SyncFace:
        return SyncFace(self._client.with_options(**options))

    async def close(self) -> None:
        self._client.close()


class AsyncFace:
    def __init__(self, client: AsyncTaskHubGrpcClient | None = None, **settings: Any) -> None:
        self._client = client or AsyncTaskHubGrpcClient(**settings)

    async def __call__(self, method: str, *arguments: object, **keywords: object) -> Any:
        return await getattr(self._client, method)(*arguments, **keywords)

    async def each(self, method: str, *arguments: object, **keywords: object) -> AsyncIterator[Any]:
        items = getattr(self._client, method)(*arguments, **keywords)

        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()

    def having(self, **options: Any) -> AsyncFace:
        return AsyncFace(self._client.with_options(**options))

    async def close(self) -> None:
        await self._client.close()
