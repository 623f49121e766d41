"""What a client for asyncio does with entities."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TypeVar

from durabletask_client._async.transport import AsyncCaller
from durabletask_client.entities import CleanEntityStorageResult, EntityInstanceId, EntityMetadata, EntityQuery
from durabletask_client.requests import Operation

__all__ = ["AsyncEntityMethods"]

Input = TypeVar("Input")


class AsyncEntityMethods(AsyncCaller):
    """What a client does with entities. Arguments, results and errors are those of `TaskHubGrpcClient`."""

    async def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation_name: Operation[Input],
        input: Input | None = None,
        *,
        scheduled_time: datetime | None = None,
    ) -> None:
        """Ask an entity for an operation, without an answer (`SignalEntity`). The entity comes to be with its first one.

        Arguments, result and errors are those of `TaskHubGrpcClient.signal_entity`.
        """
        await self._run(self._requests.signal(entity_id, operation_name, input=input, scheduled_time=scheduled_time))

    async def get_entity(self, entity_id: EntityInstanceId, include_state: bool = True) -> EntityMetadata | None:
        """Look at an entity (`GetEntity`).

        Arguments, result and errors are those of `TaskHubGrpcClient.get_entity`.
        """
        return await self._run(self._requests.entity(entity_id, include_state=include_state))

    async def get_all_entities(self, entity_query: EntityQuery | None = None) -> list[EntityMetadata]:
        """Look at all entities that match a query (`QueryEntities`, page after page).

        Arguments, result and errors are those of `TaskHubGrpcClient.get_all_entities`.
        """
        return [entity async for entity in self.iter_entities(entity_query)]

    def iter_entities(self, entity_query: EntityQuery | None = None) -> AsyncIterator[EntityMetadata]:
        """Look at all entities that match a query, one after the other (`QueryEntities`, a page when it is needed).

        Arguments, result and errors are those of `TaskHubGrpcClient.iter_entities`.
        """
        return self._each(self._requests.entities(entity_query or EntityQuery()))

    async def clean_entity_storage(
        self, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Tidy up what entities leave behind (`CleanEntityStorage`, as often as it takes).

        Arguments, result and errors are those of `TaskHubGrpcClient.clean_entity_storage`.
        """
        call = self._requests.cleaning(
            remove_empty_entities=remove_empty_entities, release_orphaned_locks=release_orphaned_locks
        )

        return CleanEntityStorageResult.sum([part async for part in self._each(call)])
