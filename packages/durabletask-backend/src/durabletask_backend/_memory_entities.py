"""Which entities of the reference backend a query finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from durabletask_backend.values import Entity, EntityFilter, EntityPage


def entity_page(
    entities: Iterable[Entity], where: EntityFilter, *, after: str | None, limit: int, states: bool
) -> EntityPage:
    """A page of entities.

    Args:
        entities: All of the hub, by id, as readers see them.
        where: Which.
        after: Only ids that sort behind this.
        limit: At most so many.
        states: Whether with their states.
    """
    behind = [entity for entity in entities if after is None or entity.key.instance_id > after]
    matching = [entity for entity in behind if all(_conditions(entity, where))]
    page = matching[:limit]

    return EntityPage(
        entities=tuple(shown_entity(entity, states=states) for entity in page),
        next=page[-1].key.instance_id if len(matching) > limit else None,
    )


def shown_entity(entity: Entity, *, states: bool) -> Entity:
    """An entity with its state, or without."""
    return entity if states else replace(entity, state=None)


def _conditions(entity: Entity, where: EntityFilter) -> Iterator[bool]:
    yield where.id_prefix is None or entity.key.instance_id.startswith(where.id_prefix)
    yield where.modified_from is None or entity.modified_at >= where.modified_from
    yield where.modified_to is None or entity.modified_at < where.modified_to
    yield where.transient or entity.has_state
    yield where.empty or entity.has_state or entity.lock is not None or entity.backlog > 0
