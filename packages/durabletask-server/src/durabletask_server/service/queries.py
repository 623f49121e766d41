"""The RPCs about many instances, and about their histories."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from durabletask_backend.values import TERMINAL_STATUSES, Cursor, InstanceFilter, InstanceKey, InstancePage, QueryOrder
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import events
from durabletask_server.engine.framing import CHUNK_EVENT, frame, split
from durabletask_server.engine.lifecycle import InvalidRequestError, entity_key
from durabletask_server.live import is_rewinding
from durabletask_server.service.records import cursor, optional_time, orchestration_state, page_token, statuses
from durabletask_server.service.rpc import Context, NotFoundError
from durabletask_server.taskhub import TaskHubWorker

_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
_LARGEST_BATCH = 500
_SEARCHES = 10
"""How many of a backend's pages are looked at for one answer, if nothing is found: a client may take an empty page for the last."""
_CHUNK_BYTES = 256 << 10
_ANSWER_BYTES = 3 << 20
"""A page of instances ends after so many bytes: most clients receive no more than 4 MiB."""


class QueryRpcs:
    """Each method answers the RPC of its name.

    Args:
        hub: The engine.
    """

    def __init__(self, hub: TaskHubWorker) -> None:
        self._hub = hub
        self._instances = hub.instances

    async def query(self, hub: str, request: pb.QueryInstancesRequest) -> pb.QueryInstancesResponse:
        """`QueryInstances`: by creation time, then id; with an id prefix, by id.

        A page may have less than was asked for, and a token all the same: there is more.
        """
        query = request.query
        order = QueryOrder.ID if query.instanceIdPrefix.value else QueryOrder.CREATED
        wanted = statuses(query.runtimeStatus, "query.runtimeStatus")
        after = cursor(query.continuationToken.value, order, "query.continuationToken")

        if wanted is None:
            return pb.QueryInstancesResponse()

        page = await self._page(
            hub,
            InstanceFilter(
                statuses=wanted,
                created_from=optional_time(query, "createdTimeFrom"),
                created_to=optional_time(query, "createdTimeTo"),
                id_prefix=query.instanceIdPrefix.value or None,
            ),
            order=order,
            after=after,
            limit=_page_size(query.maxInstanceCount),
            payloads=query.fetchInputsAndOutputs,
        )

        response = pb.QueryInstancesResponse()
        size = 0
        behind = page.next

        for instance in page.instances:
            state = orchestration_state(instance, payloads=query.fetchInputsAndOutputs)
            size += state.ByteSize()

            if response.orchestrationState and size > _ANSWER_BYTES:
                break

            response.orchestrationState.append(state)
            last = instance
        else:
            last = None

        if last is not None:
            behind = Cursor(0 if order is QueryOrder.ID else last.created_at, last.key.instance_id)

        if behind is not None:
            response.continuationToken.value = page_token(behind, order)

        return response

    async def list_ids(self, hub: str, request: pb.ListInstanceIdsRequest) -> pb.ListInstanceIdsResponse:
        """`ListInstanceIds`: of instances that have ended, by completion time, then id."""
        order = QueryOrder.COMPLETED
        wanted = statuses(request.runtimeStatus, "runtimeStatus")
        after = cursor(request.lastInstanceKey.value, order, "lastInstanceKey")

        if wanted is None:
            return pb.ListInstanceIdsResponse()

        page = await self._page(
            hub,
            InstanceFilter(
                statuses=wanted or TERMINAL_STATUSES,
                completed_from=optional_time(request, "completedTimeFrom"),
                completed_to=optional_time(request, "completedTimeTo"),
            ),
            order=order,
            after=after,
            limit=_page_size(request.pageSize),
        )

        return pb.ListInstanceIdsResponse(
            instanceIds=[instance.key.instance_id for instance in page.instances],
            lastInstanceKey=None if page.next is None else events.text(page_token(page.next, order)),
        )

    async def _page(
        self,
        hub: str,
        where: InstanceFilter,
        *,
        order: QueryOrder,
        after: Cursor | None,
        limit: int,
        payloads: bool = False,
    ) -> InstancePage:
        """A page with something in it, if that does not take too long."""
        for _ in range(_SEARCHES):
            page = await self._instances.query(hub, where, order=order, after=after, limit=limit, payloads=payloads)
            after = page.next

            if page.instances or after is None:
                break

        return page

    async def purge(self, hub: str, request: pb.PurgeInstancesRequest) -> pb.PurgeInstancesResponse:
        """`PurgeInstances`: one, a batch, or all that match. What has not ended is left alone."""
        complete = True

        match request.WhichOneof("request"):
            case "instanceId":
                deleted = await self._purge_ids(hub, [request.instanceId], request)

            case "instanceBatch":
                deleted = await self._purge_ids(hub, request.instanceBatch.instanceIds, request)

            case "purgeInstanceFilter":
                deleted, complete = await self._purge_where(hub, request.purgeInstanceFilter, request.recursive)

            case _:
                raise InvalidRequestError("request", "give one of instanceId, purgeInstanceFilter and instanceBatch")

        response = pb.PurgeInstancesResponse(deletedInstanceCount=deleted)
        response.isComplete.value = complete

        return response

    async def _purge_ids(self, hub: str, instance_ids: Sequence[str], request: pb.PurgeInstancesRequest) -> int:
        if len(instance_ids) > _LARGEST_BATCH:
            raise InvalidRequestError(
                "instanceBatch.instanceIds", f"has {len(instance_ids)} ids; at most {_LARGEST_BATCH} are allowed"
            )

        if not all(instance_ids):
            raise InvalidRequestError("instanceId", "must not be empty; give the id of an orchestration instance")

        keys = [
            entity_key(hub, instance_id) if instance_id.startswith("@") else InstanceKey(hub, instance_id)
            for instance_id in instance_ids
        ]
        wanted = [key for key in keys if not (request.isOrchestration and key.is_entity)]

        return await self._instances.purge(wanted, recursive=request.recursive)

    async def _purge_where(self, hub: str, where: pb.PurgeInstanceFilter, recursive: bool) -> tuple[int, bool]:
        wanted = statuses(where.runtimeStatus, "purgeInstanceFilter.runtimeStatus")

        if wanted is None:
            return 0, True

        clock = self._hub.clock
        until = clock.now() + where.timeout.ToMicroseconds() if where.HasField("timeout") else None

        return await self._instances.purge_where(
            hub,
            InstanceFilter(
                statuses=wanted,
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
                # Workers are not told of a rewinding: some SDKs do not know the event.
                if request.forWorkItemProcessing and is_rewinding(event):
                    continue

                framed = frame(CHUNK_EVENT, event)

                if chunk and len(chunk) + len(framed) > _CHUNK_BYTES:
                    yield bytes(chunk)
                    chunk.clear()

                chunk += framed

        if chunk:
            yield bytes(chunk)


def _page_size(asked: int) -> int:
    return min(asked, _LARGEST_PAGE) if asked > 0 else _DEFAULT_PAGE
