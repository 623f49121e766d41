"""The RPCs about many instances, and about their histories."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from durabletask_backend.values import TERMINAL_STATUSES, InstanceFilter, InstanceKey, QueryOrder
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import events
from durabletask_server.engine.framing import CHUNK_EVENT, frame, split
from durabletask_server.engine.lifecycle import InvalidRequestError
from durabletask_server.service.records import cursor, optional_time, orchestration_state, page_token, statuses
from durabletask_server.service.rpc import Context, NotFoundError
from durabletask_server.taskhub import TaskHubWorker

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
_LARGEST_BATCH = 500
_CHUNK_BYTES = 256 << 10


class QueryRpcs:
    """Each method answers the RPC of its name.

    Args:
        hub: The engine.
    """

    def __init__(self, hub: TaskHubWorker) -> None:
        self._hub = hub
        self._instances = hub.instances

    async def query(self, hub: str, request: pb.QueryInstancesRequest) -> pb.QueryInstancesResponse:
        """`QueryInstances`, by creation time, then id."""
        query = request.query
        page = await self._instances.query(
            hub,
            InstanceFilter(
                statuses=statuses(query.runtimeStatus, "query.runtimeStatus"),
                created_from=optional_time(query, "createdTimeFrom"),
                created_to=optional_time(query, "createdTimeTo"),
                id_prefix=query.instanceIdPrefix.value or None,
            ),
            after=cursor(query.continuationToken.value, "query.continuationToken"),
            limit=_page_size(query.maxInstanceCount),
            payloads=query.fetchInputsAndOutputs,
        )

        return pb.QueryInstancesResponse(
            orchestrationState=[
                orchestration_state(instance, payloads=query.fetchInputsAndOutputs) for instance in page.instances
            ],
            continuationToken=None if page.next is None else events.text(page_token(page.next)),
        )

    async def list_ids(self, hub: str, request: pb.ListInstanceIdsRequest) -> pb.ListInstanceIdsResponse:
        """`ListInstanceIds`: of instances that have ended, by completion time, then id."""
        wanted = statuses(request.runtimeStatus, "runtimeStatus")
        page = await self._instances.query(
            hub,
            InstanceFilter(
                statuses=wanted or TERMINAL_STATUSES,
                completed_from=optional_time(request, "completedTimeFrom"),
                completed_to=optional_time(request, "completedTimeTo"),
            ),
            order=QueryOrder.COMPLETED,
            after=cursor(request.lastInstanceKey.value, "lastInstanceKey"),
            limit=_page_size(request.pageSize),
        )

        return pb.ListInstanceIdsResponse(
            instanceIds=[instance.key.instance_id for instance in page.instances],
            lastInstanceKey=None if page.next is None else events.text(page_token(page.next)),
        )

    async def purge(self, hub: str, request: pb.PurgeInstancesRequest) -> pb.PurgeInstancesResponse:
        """`PurgeInstances`: one, a batch, or all that match. What has not ended is left alone."""
        complete = True

        match request.WhichOneof("request"):
            case "instanceId":
                deleted = await self._purge_ids(hub, [request.instanceId], request.recursive)

            case "instanceBatch":
                deleted = await self._purge_ids(hub, list(request.instanceBatch.instanceIds), request.recursive)

            case "purgeInstanceFilter":
                deleted, complete = await self._purge_where(hub, request.purgeInstanceFilter, request.recursive)

            case _:
                raise InvalidRequestError("request", "give one of instanceId, purgeInstanceFilter and instanceBatch")

        response = pb.PurgeInstancesResponse(deletedInstanceCount=deleted)
        response.isComplete.value = complete

        return response

    async def _purge_ids(self, hub: str, instance_ids: list[str], recursive: bool) -> int:
        if len(instance_ids) > _LARGEST_BATCH:
            raise InvalidRequestError(
                "instanceBatch.instanceIds", f"has {len(instance_ids)} ids; at most {_LARGEST_BATCH} are allowed"
            )

        if not all(instance_ids):
            raise InvalidRequestError("instanceId", "must not be empty; give the id of an orchestration instance")

        keys = [InstanceKey(hub, instance_id) for instance_id in instance_ids]

        return await self._instances.purge(keys, recursive=recursive)

    async def _purge_where(self, hub: str, where: pb.PurgeInstanceFilter, recursive: bool) -> tuple[int, bool]:
        clock = self._hub.clock
        until = clock.now() + where.timeout.ToMicroseconds() if where.HasField("timeout") else None

        return await self._instances.purge_where(
            hub,
            InstanceFilter(
                statuses=statuses(where.runtimeStatus, "purgeInstanceFilter.runtimeStatus"),
                created_from=optional_time(where, "createdTimeFrom"),
                created_to=optional_time(where, "createdTimeTo"),
            ),
            recursive=recursive,
            enough=lambda: until is not None and clock.now() >= until,
        )

    async def stream_history(
        self, hub: str, request: pb.StreamInstanceHistoryRequest, _: Context
    ) -> AsyncGenerator[bytes, None]:
        """`StreamInstanceHistory`: the committed events of the current generation."""
        if not request.instanceId:
            raise InvalidRequestError("instanceId", "must not be empty; give the id of an orchestration instance")

        key = InstanceKey(hub, request.instanceId)

        if await self._instances.get(key, payloads=False) is None:
            raise NotFoundError(f"no orchestration instance has the id {request.instanceId!r}")

        chunk = bytearray()

        async for events_read in self._instances.history(key, execution_id=request.executionId.value or None):
            for event in split(events_read.events):
                framed = frame(CHUNK_EVENT, event)

                if chunk and len(chunk) + len(framed) > _CHUNK_BYTES:
                    yield bytes(chunk)
                    chunk.clear()

                chunk += framed

        if chunk:
            yield bytes(chunk)


def _page_size(asked: int) -> int:
    return min(asked, _LARGEST_PAGE) if asked > 0 else _DEFAULT_PAGE
