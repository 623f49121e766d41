"""Requests about entities."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import wrappers_pb2

from durabletask_client import _arguments as arguments
from durabletask_client._arguments import Input, Operation
from durabletask_client.calls import Batch, Call, Repeat
from durabletask_client.entities import CleanEntityStorageResult, EntityInstanceId, EntityMetadata, EntityQuery
from durabletask_client.requests.factory import RequestFactory

__all__ = ["EntityRequests"]


class EntityRequests(RequestFactory):
    """Makes the calls about entities."""

    __slots__ = ()

    def signal(
        self,
        entity_id: EntityInstanceId,
        operation_name: Operation[Input],
        *,
        input: Input | None,
        scheduled_time: datetime | None,
    ) -> Call[pb.SignalEntityResponse, None]:
        """`SignalEntity`."""
        instance_id = arguments.entity_id("entity_id", entity_id)

        return Call(
            rpc="SignalEntity",
            request=pb.SignalEntityRequest(
                instanceId=instance_id,
                name=arguments.name_of("operation_name", operation_name),
                input=self.payload("input", input),
                # A server drops a repeat only while the first is still queued: that is too little for us to repeat it.
                requestId=str(UUID(hex=self.new_id())),
                scheduledTime=arguments.timestamp("scheduled_time", scheduled_time),
            ),
            read=lambda _: None,
            instance_id=instance_id,
        )

    def entity(
        self, entity_id: EntityInstanceId, *, include_state: bool
    ) -> Call[pb.GetEntityResponse, EntityMetadata | None]:
        """`GetEntity`; gives None for one that does not exist."""
        instance_id = arguments.entity_id("entity_id", entity_id)

        return Call(
            rpc="GetEntity",
            request=pb.GetEntityRequest(instanceId=instance_id, includeState=include_state),
            read=lambda response: (
                EntityMetadata.from_proto(response.entity, self.data_converter) if response.exists else None
            ),
            repeat=Repeat.BRIEFLY,
            instance_id=instance_id,
        )

    def entities(
        self, query: EntityQuery, continuation_token: str | None = None
    ) -> Call[pb.QueryEntitiesResponse, Batch[EntityMetadata]]:
        """`QueryEntities`; gives a page of entities, and the call for the next page."""
        size = arguments.count("page_size", query.page_size)

        def read(response: pb.QueryEntitiesResponse) -> Batch[EntityMetadata]:
            found = [EntityMetadata.from_proto(entity, self.data_converter) for entity in response.entities]
            token = response.continuationToken.value

            return Batch(found, None if token in {"", continuation_token} else self.entities(query, token))

        return Call(
            rpc="QueryEntities",
            request=pb.QueryEntitiesRequest(
                query=pb.EntityQuery(
                    instanceIdStartsWith=arguments.string(query.instance_id_starts_with),
                    lastModifiedFrom=arguments.timestamp("last_modified_from", query.last_modified_from),
                    lastModifiedTo=arguments.timestamp("last_modified_to", query.last_modified_to),
                    includeState=query.include_state,
                    includeTransient=query.include_transient,
                    pageSize=wrappers_pb2.Int32Value(value=size) if size else None,
                    continuationToken=arguments.string(continuation_token),
                )
            ),
            read=read,
            repeat=Repeat.BRIEFLY,
        )

    def cleaning(
        self, *, remove_empty_entities: bool, release_orphaned_locks: bool, continuation_token: str | None = None
    ) -> Call[pb.CleanEntityStorageResponse, Batch[CleanEntityStorageResult]]:
        """`CleanEntityStorage`; gives what this call did, and the call that goes on."""

        def read(response: pb.CleanEntityStorageResponse) -> Batch[CleanEntityStorageResult]:
            done = CleanEntityStorageResult(
                empty_entities_removed=response.emptyEntitiesRemoved,
                orphaned_locks_released=response.orphanedLocksReleased,
            )
            token = response.continuationToken.value

            if token in {"", continuation_token}:
                return Batch([done], None)

            following = self.cleaning(
                remove_empty_entities=remove_empty_entities,
                release_orphaned_locks=release_orphaned_locks,
                continuation_token=token,
            )

            return Batch([done], following)

        return Call(
            rpc="CleanEntityStorage",
            request=pb.CleanEntityStorageRequest(
                continuationToken=arguments.string(continuation_token),
                removeEmptyEntities=remove_empty_entities,
                releaseOrphanedLocks=release_orphaned_locks,
            ),
            read=read,
        )
