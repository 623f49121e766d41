"""Which orchestration instances of the reference backend a query finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from durabletask_backend.values import Cursor, Instance, InstanceFilter, InstancePage, QueryOrder


def instance_page(
    instances: Iterable[Instance],
    where: InstanceFilter,
    *,
    order: QueryOrder,
    after: Cursor | None,
    limit: int,
    payloads: bool,
) -> InstancePage:
    """A page of instances.

    Args:
        instances: All of the hub.
        where: Which.
        order: Sorted how.
        after: Only those that sort behind this.
        limit: At most so many.
        payloads: Whether with input and output.
    """
    matching = sorted(
        (place, instance)
        for instance in instances
        if all(_conditions(instance, where))
        and (place := _place(instance, order)) is not None
        and (after is None or place > after)
    )
    page = matching[:limit]

    return InstancePage(
        instances=tuple(shown_instance(instance, payloads=payloads) for _, instance in page),
        next=page[-1][0] if len(matching) > limit else None,
    )


def shown_instance(instance: Instance, *, payloads: bool) -> Instance:
    """An instance with its payloads, or without."""
    return instance if payloads else replace(instance, input=None, output=None)


def _place(instance: Instance, order: QueryOrder) -> Cursor | None:
    times = {QueryOrder.CREATED: instance.created_at, QueryOrder.COMPLETED: instance.completed_at, QueryOrder.ID: 0}
    at = times[order]

    return None if at is None else Cursor(at, instance.key.instance_id)


def _conditions(instance: Instance, where: InstanceFilter) -> Iterator[bool]:
    yield not where.statuses or instance.status in where.statuses
    yield where.id_prefix is None or instance.key.instance_id.startswith(where.id_prefix)
    yield where.created_from is None or instance.created_at >= where.created_from
    yield where.created_to is None or instance.created_at < where.created_to

    if where.completed_from is not None or where.completed_to is not None:
        completed = instance.completed_at
        yield completed is not None
        yield completed is None or where.completed_from is None or completed >= where.completed_from
        yield completed is None or where.completed_to is None or completed < where.completed_to
