"""What a client for threads does with entities."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

from durabletask_client._sync.transport import Caller
from durabletask_client.entities import CleanEntityStorageResult, EntityInstanceId, EntityMetadata, EntityQuery
from durabletask_client.requests import Operation

__all__ = ["EntityMethods"]

Input = TypeVar("Input")


class EntityMethods(Caller):
    """What a client does with entities."""

    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation_name: Operation[Input],
        input: Input | None = None,
        *,
        scheduled_time: datetime | None = None,
    ) -> None:
        """Ask an entity for an operation, without an answer (`SignalEntity`). The entity comes to be with its first one.

        Args:
            entity_id: The entity.
            operation_name: The operation: a method of the entity's class, or its name.
            input: What it is called with.
            scheduled_time: When to ask for it, taken as UTC if it is naive; None, or a time that is past, for now.
        """
        self._run(self._requests.signal(entity_id, operation_name, input=input, scheduled_time=scheduled_time))

    def get_entity(self, entity_id: EntityInstanceId, include_state: bool = True) -> EntityMetadata | None:
        """Look at an entity (`GetEntity`).

        Args:
            entity_id: The entity.
            include_state: Whether its state comes along.

        Returns:
            What is known of it; None if there is no such entity.
        """
        return self._run(self._requests.entity(entity_id, include_state=include_state))

    def get_all_entities(self, entity_query: EntityQuery | None = None) -> list[EntityMetadata]:
        """Look at all entities that match a query (`QueryEntities`, page after page).

        Args:
            entity_query: The conditions; None for all that have a state.

        Returns:
            What is known of them, by id.
        """
        return list(self.iter_entities(entity_query))

    def iter_entities(self, entity_query: EntityQuery | None = None) -> Iterator[EntityMetadata]:
        """Look at all entities that match a query, one after the other (`QueryEntities`, a page when it is needed).

        Args:
            entity_query: The conditions; None for all that have a state.

        Returns:
            What is known of them, by id.
        """
        return self._each(self._requests.entities(entity_query or EntityQuery()))

    def clean_entity_storage(
        self, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Tidy up what entities leave behind (`CleanEntityStorage`, as often as it takes).

        Args:
            remove_empty_entities: Whether those go that have no state, no lock and nothing that waits.
            release_orphaned_locks: Whether locks are released whose owner does not run any more.

        Returns:
            What was done.
        """
        call = self._requests.cleaning(
            remove_empty_entities=remove_empty_entities, release_orphaned_locks=release_orphaned_locks
        )

        return CleanEntityStorageResult.sum(self._each(call))
