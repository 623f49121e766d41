"""The RPCs about entities: signal, look, search, clean up."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from durabletask_backend.values import Entity, EntityFilter
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import events, lifecycle
from durabletask_server.engine.lifecycle import InvalidRequestError, entity_key
from durabletask_server.service.records import optional_time
from durabletask_server.taskhub import TaskHubWorker

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
_AFTER = "entity:"
"""Begins the token of a page, before the id it starts behind."""


class EntityRpcs:
    """Each method answers the RPC of its name.

    Args:
        hub: The engine.
    """

    def __init__(self, hub: TaskHubWorker) -> None:
        self._hub = hub
        self._entities = hub.entities

    async def signal(self, hub: str, request: pb.SignalEntityRequest) -> pb.SignalEntityResponse:
        """`SignalEntity`. Answered once the signal is durable; the entity comes to be by it."""
        await self._entities.send(lifecycle.signal_entity(hub, request, self._hub.clock.now()))

        return pb.SignalEntityResponse()

    async def get(self, hub: str, request: pb.GetEntityRequest) -> pb.GetEntityResponse:
        """`GetEntity`. One that does not exist is no error."""
        entity = await self._entities.get(entity_key(hub, request.instanceId), states=request.includeState)

        if entity is None:
            return pb.GetEntityResponse(exists=False)

        return pb.GetEntityResponse(exists=True, entity=_metadata(entity))

    async def query(self, hub: str, request: pb.QueryEntitiesRequest) -> pb.QueryEntitiesResponse:
        """`QueryEntities`, by id."""
        query = request.query
        page = await self._entities.query(
            hub,
            EntityFilter(
                id_prefix=_prefix(query.instanceIdStartsWith.value),
                modified_from=optional_time(query, "lastModifiedFrom"),
                modified_to=optional_time(query, "lastModifiedTo"),
                transient=query.includeTransient,
            ),
            after=_place(query.continuationToken.value, "query.continuationToken"),
            limit=min(query.pageSize.value, _LARGEST_PAGE) if query.pageSize.value > 0 else _DEFAULT_PAGE,
            states=query.includeState,
        )

        return pb.QueryEntitiesResponse(
            entities=map(_metadata, page.entities), continuationToken=events.text(_token(page.next))
        )

    async def clean(self, hub: str, request: pb.CleanEntityStorageRequest) -> pb.CleanEntityStorageResponse:
        """`CleanEntityStorage`: so many entities a call."""
        cleaned = await self._entities.clean(
            hub,
            after=_place(request.continuationToken.value, "continuationToken"),
            remove_empty=request.removeEmptyEntities,
            release_orphaned=request.releaseOrphanedLocks,
        )

        return pb.CleanEntityStorageResponse(
            continuationToken=events.text(_token(cleaned.next)),
            emptyEntitiesRemoved=cleaned.removed,
            orphanedLocksReleased=cleaned.released,
        )


def _metadata(entity: Entity) -> pb.EntityMetadata:
    return pb.EntityMetadata(
        instanceId=entity.key.instance_id,
        lastModifiedTime=events.timestamp(entity.modified_at),
        backlogQueueSize=entity.backlog,
        lockedBy=events.text(None if entity.lock is None else entity.lock.instance_id),
        serializedState=events.text(entity.state),
    )


def _prefix(given: str) -> str | None:
    """How the ids begin that are wanted: `@`, and the name in lower case."""
    if not given:
        return None

    name, at, key = given.removeprefix("@").partition("@")

    return f"@{name.lower()}{at}{key}"


def _token(place: str | None) -> str | None:
    return None if place is None else urlsafe_b64encode(f"{_AFTER}{place}".encode()).decode()


def _place(token: str, field: str) -> str | None:
    if not token:
        return None

    try:
        place = urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        place = ""

    if not place.startswith(_AFTER):
        raise InvalidRequestError(field, "is not a token of this server; give back what the last page had")

    return place.removeprefix(_AFTER)
