"""What the clients ask and how they read the answer: the core below both of their faces, with no input or output of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import uuid4

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import wrappers_pb2
from google.protobuf.message import Message

from durabletask_client import _arguments as arguments
from durabletask_client._arguments import Input, Orchestrator
from durabletask_client.calls import MUST_BE_FREE, MUST_EXIST, Call, Repeat
from durabletask_client.errors import InvalidRequestError
from durabletask_client.history import HistoryEvent
from durabletask_client.models import (
    OrchestrationIdReusePolicy,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)
from durabletask_client.serialization import DataConverter

__all__ = ["Orchestrator", "Requests", "StatesPage"]

StatesPage: TypeAlias = "tuple[list[OrchestrationState], Call[pb.QueryInstancesResponse, StatesPage] | None]"
"""The states on a page, and the call for the next one."""


def _new_id() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Makes the calls of a client. Every method raises `InvalidRequestError`, naming the argument, for what no server takes."""

    data_converter: DataConverter
    """What writes and reads payloads."""
    default_version: str | None = None
    """The version of orchestrations that are started without one."""
    new_id: Callable[[], str] = _new_id
    """Where instance ids and execution ids come from: 32 lower-case hex digits each."""

    def start(
        self,
        orchestrator: Orchestrator[Input],
        *,
        input: Input | None,
        instance_id: str | None,
        start_at: datetime | None,
        reuse_id_policy: OrchestrationIdReusePolicy | None,
        tags: Mapping[str, str] | None,
        version: str | None,
    ) -> Call[pb.CreateInstanceResponse, str]:
        """`StartInstance`; gives the instance id."""
        instance_id = self.new_id() if instance_id is None else _id(instance_id)

        if instance_id.startswith("@"):
            raise InvalidRequestError(
                f"instance_id: {instance_id!r} begins with '@', as only entities may; choose another"
            )

        return Call(
            rpc="StartInstance",
            request=pb.CreateInstanceRequest(
                instanceId=instance_id,
                name=arguments.orchestrator_name(orchestrator),
                version=arguments.string(self.default_version if version is None else version),
                input=self._payload("input", input),
                scheduledStartTimestamp=arguments.timestamp("start_at", start_at),
                orchestrationIdReusePolicy=arguments.reuse_policy(reuse_id_policy),
                # The server knows a repeated start by it.
                executionId=arguments.string(self.new_id()),
                tags=arguments.tags(tags),
            ),
            read=lambda response: response.instanceId,
            repeat=Repeat.BRIEFLY,
            instance_id=instance_id,
            refusals=MUST_BE_FREE,
        )

    def state(
        self, instance_id: str, *, fetch_payloads: bool
    ) -> Call[pb.GetInstanceResponse, OrchestrationState | None]:
        """`GetInstance`; gives None for an unknown id."""
        return self._state("GetInstance", Repeat.BRIEFLY, instance_id, fetch_payloads)

    def wait_for_start(
        self, instance_id: str, *, fetch_payloads: bool
    ) -> Call[pb.GetInstanceResponse, OrchestrationState | None]:
        """`WaitForInstanceStart`; gives None when the instance was purged meanwhile."""
        return self._state("WaitForInstanceStart", Repeat.UNTIL_TIMEOUT, instance_id, fetch_payloads)

    def wait_for_completion(
        self, instance_id: str, *, fetch_payloads: bool
    ) -> Call[pb.GetInstanceResponse, OrchestrationState | None]:
        """`WaitForInstanceCompletion`; gives None when the instance was purged meanwhile."""
        return self._state("WaitForInstanceCompletion", Repeat.UNTIL_TIMEOUT, instance_id, fetch_payloads)

    def _state(
        self, rpc: str, repeat: Repeat, instance_id: str, fetch_payloads: bool
    ) -> Call[pb.GetInstanceResponse, OrchestrationState | None]:
        return Call(
            rpc=rpc,
            request=pb.GetInstanceRequest(instanceId=_id(instance_id), getInputsAndOutputs=fetch_payloads),
            read=lambda response: (
                OrchestrationState.from_proto(response.orchestrationState, self.data_converter)
                if response.exists
                else None
            ),
            repeat=repeat,
            instance_id=instance_id,
        )

    def history(self, instance_id: str) -> Call[list[pb.HistoryChunk], list[HistoryEvent]]:
        """`StreamInstanceHistory`; gives all events, oldest first."""
        return Call(
            rpc="StreamInstanceHistory",
            request=pb.StreamInstanceHistoryRequest(instanceId=_id(instance_id)),
            read=lambda chunks: [HistoryEvent.from_proto(event) for chunk in chunks for event in chunk.events],
            is_stream=True,
            repeat=Repeat.BRIEFLY,
            instance_id=instance_id,
            refusals=MUST_EXIST,
        )

    def states(
        self, query: OrchestrationQuery, continuation_token: str | None = None
    ) -> Call[pb.QueryInstancesResponse, StatesPage]:
        """`QueryInstances`; gives a page of states, and the call for the next page."""

        def read(response: pb.QueryInstancesResponse) -> StatesPage:
            states = [
                OrchestrationState.from_proto(state, self.data_converter) for state in response.orchestrationState
            ]
            token = response.continuationToken.value

            # A token that comes back would be asked for ever.
            return states, None if token in {"", continuation_token} else self.states(query, token)

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

    def event(self, instance_id: str, event_name: str, *, data: object) -> Call[pb.RaiseEventResponse, None]:
        """`RaiseEvent`."""
        return _order(
            "RaiseEvent",
            instance_id,
            pb.RaiseEventRequest(
                instanceId=_id(instance_id),
                name=arguments.text("event_name", event_name),
                input=self._payload("data", data),
            ),
        )

    def termination(self, instance_id: str, *, output: object, recursive: bool) -> Call[pb.TerminateResponse, None]:
        """`TerminateInstance`."""
        return _order(
            "TerminateInstance",
            instance_id,
            pb.TerminateRequest(
                instanceId=_id(instance_id), output=self._payload("output", output), recursive=recursive
            ),
        )

    def suspension(self, instance_id: str, *, reason: str | None) -> Call[pb.SuspendResponse, None]:
        """`SuspendInstance`."""
        return _order(
            "SuspendInstance",
            instance_id,
            pb.SuspendRequest(instanceId=_id(instance_id), reason=arguments.string(reason)),
        )

    def resumption(self, instance_id: str, *, reason: str | None) -> Call[pb.ResumeResponse, None]:
        """`ResumeInstance`."""
        return _order(
            "ResumeInstance",
            instance_id,
            pb.ResumeRequest(instanceId=_id(instance_id), reason=arguments.string(reason)),
        )

    def rewind(self, instance_id: str, *, reason: str | None) -> Call[pb.RewindInstanceResponse, None]:
        """`RewindInstance`."""
        return _order(
            "RewindInstance",
            instance_id,
            pb.RewindInstanceRequest(instanceId=_id(instance_id), reason=arguments.string(reason)),
        )

    def restart(self, instance_id: str, *, restart_with_new_instance_id: bool) -> Call[pb.RestartInstanceResponse, str]:
        """`RestartInstance`; gives the id that runs now."""
        return Call(
            rpc="RestartInstance",
            request=pb.RestartInstanceRequest(
                instanceId=_id(instance_id), restartWithNewInstanceId=restart_with_new_instance_id
            ),
            read=lambda response: response.instanceId,
            instance_id=instance_id,
            refusals=MUST_EXIST,
        )

    def purge(self, instance_id: str, *, recursive: bool) -> Call[pb.PurgeInstancesResponse, PurgeInstancesResult]:
        """`PurgeInstances` of one instance."""
        return Call(
            rpc="PurgeInstances",
            request=pb.PurgeInstancesRequest(instanceId=_id(instance_id), recursive=recursive, isOrchestration=True),
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

    def _payload(self, argument: str, value: object) -> wrappers_pb2.StringValue | None:
        try:
            return arguments.string(self.data_converter.serialize(value))
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(f"{argument}: {error}") from error


def _order(rpc: str, instance_id: str, request: Message) -> Call[Any, None]:
    """A call that changes an instance which has to exist, and gives nothing."""
    return Call(rpc=rpc, request=request, read=lambda _: None, instance_id=instance_id, refusals=MUST_EXIST)


def _purge_result(response: pb.PurgeInstancesResponse) -> PurgeInstancesResult:
    return PurgeInstancesResult(
        deleted_instance_count=response.deletedInstanceCount,
        is_complete=response.isComplete.value if response.HasField("isComplete") else None,
    )


def _id(instance_id: str) -> str:
    return arguments.text("instance_id", instance_id)
