"""Requests about many orchestrations, and for all that happened to one: queries, histories, purges."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.history_json import dump

from durabletask_client import _arguments as arguments
from durabletask_client.calls import MUST_EXIST, Batch, Call, Repeat
from durabletask_client.history import HistoryEvent
from durabletask_client.models import (
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)
from durabletask_client.requests.factory import RequestFactory

__all__ = ["QueryRequests"]

R = TypeVar("R")


class QueryRequests(RequestFactory):
    """Makes the calls about many orchestrations."""

    __slots__ = ()

    def history(self, instance_id: str) -> Call[list[pb.HistoryChunk], list[HistoryEvent]]:
        """`StreamInstanceHistory`; gives all events, oldest first."""
        return self._history(instance_id, lambda events: [HistoryEvent.from_proto(event) for event in events])

    def exported(self, instance_id: str) -> Call[list[pb.HistoryChunk], str]:
        """`StreamInstanceHistory`; gives all events as JSON."""
        return self._history(instance_id, lambda events: dump(instance_id, events))

    def _history(
        self, instance_id: str, read: Callable[[Iterable[pb.HistoryEvent]], R]
    ) -> Call[list[pb.HistoryChunk], R]:
        return Call(
            rpc="StreamInstanceHistory",
            request=pb.StreamInstanceHistoryRequest(instanceId=arguments.text("instance_id", instance_id)),
            read=lambda chunks: read(event for chunk in chunks for event in chunk.events),
            is_stream=True,
            repeat=Repeat.BRIEFLY,
            instance_id=instance_id,
            refusals=MUST_EXIST,
        )

    def states(
        self, query: OrchestrationQuery, continuation_token: str | None = None
    ) -> Call[pb.QueryInstancesResponse, Batch[OrchestrationState]]:
        """`QueryInstances`; gives a page of states, and the call for the next page."""

        def read(response: pb.QueryInstancesResponse) -> Batch[OrchestrationState]:
            states = [
                OrchestrationState.from_proto(state, self.data_converter) for state in response.orchestrationState
            ]
            token = response.continuationToken.value

            # A token that comes back would be asked for ever.
            return Batch(states, None if token in {"", continuation_token} else self.states(query, token))

        return Call(
            rpc="QueryInstances",
            request=pb.QueryInstancesRequest(
                query=pb.InstanceQuery(
                    runtimeStatus=arguments.statuses(query.runtime_status),
                    createdTimeFrom=arguments.timestamp("created_time_from", query.created_time_from),
                    createdTimeTo=arguments.timestamp("created_time_to", query.created_time_to),
                    maxInstanceCount=arguments.count("max_instance_count", query.max_instance_count),
                    continuationToken=arguments.string(continuation_token),
                    instanceIdPrefix=arguments.string(query.instance_id_prefix),
                    fetchInputsAndOutputs=query.fetch_inputs_and_outputs,
                )
            ),
            read=read,
            repeat=Repeat.BRIEFLY,
        )

    def finished_ids(
        self,
        *,
        runtime_status: Collection[OrchestrationStatus] | None,
        completed_time_from: datetime | None,
        completed_time_to: datetime | None,
        page_size: int | None,
        continuation_token: str | None,
    ) -> Call[pb.ListInstanceIdsResponse, Page[str]]:
        """`ListInstanceIds`; gives one page of ids."""
        return Call(
            rpc="ListInstanceIds",
            request=pb.ListInstanceIdsRequest(
                runtimeStatus=arguments.statuses(runtime_status),
                completedTimeFrom=arguments.timestamp("completed_time_from", completed_time_from),
                completedTimeTo=arguments.timestamp("completed_time_to", completed_time_to),
                pageSize=arguments.count("page_size", page_size),
                lastInstanceKey=arguments.string(continuation_token),
            ),
            read=lambda response: Page(
                items=list(response.instanceIds), continuation_token=response.lastInstanceKey.value or None
            ),
            repeat=Repeat.BRIEFLY,
        )

    def all_finished_ids(
        self,
        *,
        runtime_status: Collection[OrchestrationStatus] | None,
        completed_time_from: datetime | None,
        completed_time_to: datetime | None,
        page_size: int | None,
    ) -> Call[pb.ListInstanceIdsResponse, Batch[str]]:
        """`ListInstanceIds`; gives a page of ids, and the call for the next page."""

        def call(token: str | None) -> Call[pb.ListInstanceIdsResponse, Batch[str]]:
            page = self.finished_ids(
                runtime_status=runtime_status,
                completed_time_from=completed_time_from,
                completed_time_to=completed_time_to,
                page_size=page_size,
                continuation_token=token,
            )

            def read(response: pb.ListInstanceIdsResponse) -> Batch[str]:
                found = page.read(response)
                following = found.continuation_token

                return Batch(found.items, None if following in {None, token} else call(following))

            return Call(rpc=page.rpc, request=page.request, read=read, repeat=page.repeat)

        return call(None)

    def purge(self, instance_id: str, *, recursive: bool) -> Call[pb.PurgeInstancesResponse, PurgeInstancesResult]:
        """`PurgeInstances` of one instance."""
        return Call(
            rpc="PurgeInstances",
            request=pb.PurgeInstancesRequest(
                instanceId=arguments.text("instance_id", instance_id), recursive=recursive, isOrchestration=True
            ),
            read=_purge_result,
            instance_id=instance_id,
        )

    def purge_by(
        self,
        *,
        created_time_from: datetime | None,
        created_time_to: datetime | None,
        runtime_status: Collection[OrchestrationStatus] | None,
        recursive: bool,
        timeout: timedelta | None,
    ) -> Call[pb.PurgeInstancesResponse, PurgeInstancesResult]:
        """`PurgeInstances` by a filter."""
        return Call(
            rpc="PurgeInstances",
            request=pb.PurgeInstancesRequest(
                purgeInstanceFilter=pb.PurgeInstanceFilter(
                    createdTimeFrom=arguments.timestamp("created_time_from", created_time_from),
                    createdTimeTo=arguments.timestamp("created_time_to", created_time_to),
                    runtimeStatus=arguments.statuses(runtime_status),
                    timeout=arguments.duration("timeout", timeout),
                ),
                recursive=recursive,
                isOrchestration=True,
            ),
            read=_purge_result,
        )


def _purge_result(response: pb.PurgeInstancesResponse) -> PurgeInstancesResult:
    return PurgeInstancesResult(
        deleted_instance_count=response.deletedInstanceCount,
        is_complete=response.isComplete.value if response.HasField("isComplete") else None,
    )
