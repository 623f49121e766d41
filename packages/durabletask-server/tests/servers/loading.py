"""A backend whose readers take their time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from durabletask_backend.memory import MemoryBackend
from durabletask_backend.values import InstanceKey, Lease, LoadedEntity, LoadedInstance


class SlowReader(MemoryBackend):
    """Reads instances as they are when it is asked, and tells of them when it may: as a database does that reads beside its writer."""

    def __init__(self) -> None:
        super().__init__()
        self.has_read = asyncio.Event()
        self.may_tell = asyncio.Event()

    async def load(
        self, lease: Lease, keys: Collection[InstanceKey]
    ) -> Mapping[InstanceKey, LoadedInstance | LoadedEntity]:
        loaded = await super().load(lease, keys)
        self.has_read.set()
        await self.may_tell.wait()

        return loaded
