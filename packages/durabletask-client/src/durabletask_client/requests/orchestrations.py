"""Requests about single orchestrations: start, look, wait, steer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.message import Message

from durabletask_client import _arguments as arguments
from durabletask_client._arguments import Input, Orchestrator
from durabletask_client.calls import MUST_BE_FREE, MUST_EXIST, Batch, Call, Repeat
from durabletask_client.errors import InvalidRequestError
from durabletask_client.models import OrchestrationIdReusePolicy, OrchestrationState
from durabletask_client.requests.factory import RequestFactory

__all__ = ["OrchestrationRequests"]

_LARGEST_BATCH = 500
"""Ids in one request, by the protocol."""


class OrchestrationRequests(RequestFactory):
    """Makes the calls about single orchestrations."""

    __slots__ = ()

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
        instance_id = self.new_id() if instance_id is None else arguments.text("instance_id", instance_id)

        if instance_id.startswith("@"):
            raise InvalidRequestError(
                f"instance_id: {instance_id!r} begins with '@', as only entities may; choose another"
            )

        return Call(
            rpc="StartInstance",
            request=pb.CreateInstanceRequest(
                instanceId=instance_id,
                name=arguments.name_of("orchestrator", orchestrator),
                version=arguments.string(self.default_version if version is None else version),
                input=self.payload("input", input),
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
            request=pb.GetInstanceRequest(
                instanceId=arguments.text("instance_id", instance_id), getInputsAndOutputs=fetch_payloads
            ),
            read=lambda response: (
                OrchestrationState.from_proto(response.orchestrationState, self.data_converter)
                if response.exists
                else None
            ),
            repeat=repeat,
            instance_id=instance_id,
        )

    def event(self, instance_id: str, event_name: str, *, data: object) -> Call[pb.RaiseEventResponse, None]:
        """`RaiseEvent`."""
        return _order(
            "RaiseEvent",
            instance_id,
            pb.RaiseEventRequest(
                instanceId=arguments.text("instance_id", instance_id),
                name=arguments.text("event_name", event_name),
                input=self.payload("data", data),
            ),
        )

    def termination(self, instance_id: str, *, output: object, recursive: bool) -> Call[pb.TerminateResponse, None]:
        """`TerminateInstance`."""
        return _order(
            "TerminateInstance",
            instance_id,
            pb.TerminateRequest(
                instanceId=arguments.text("instance_id", instance_id),
                output=self.payload("output", output),
                recursive=recursive,
            ),
        )

    def suspension(self, instance_id: str, *, reason: str | None) -> Call[pb.SuspendResponse, None]:
        """`SuspendInstance`."""
        return _order(
            "SuspendInstance",
            instance_id,
            pb.SuspendRequest(instanceId=arguments.text("instance_id", instance_id), reason=arguments.string(reason)),
        )

    def resumption(self, instance_id: str, *, reason: str | None) -> Call[pb.ResumeResponse, None]:
        """`ResumeInstance`."""
        return _order(
            "ResumeInstance",
            instance_id,
            pb.ResumeRequest(instanceId=arguments.text("instance_id", instance_id), reason=arguments.string(reason)),
        )

    def rewind(self, instance_id: str, *, reason: str | None) -> Call[pb.RewindInstanceResponse, None]:
        """`RewindInstance`."""
        return _order(
            "RewindInstance",
            instance_id,
            pb.RewindInstanceRequest(
                instanceId=arguments.text("instance_id", instance_id), reason=arguments.string(reason)
            ),
        )

    def restart(self, instance_id: str, *, restart_with_new_instance_id: bool) -> Call[pb.RestartInstanceResponse, str]:
        """`RestartInstance`; gives the id that runs now."""
        return Call(
            rpc="RestartInstance",
            request=pb.RestartInstanceRequest(
                instanceId=arguments.text("instance_id", instance_id),
                restartWithNewInstanceId=restart_with_new_instance_id,
            ),
            read=lambda response: response.instanceId,
            instance_id=instance_id,
            refusals=MUST_EXIST,
        )

    def skipped_terminations(
        self, instance_ids: Collection[str], *, reason: str | None
    ) -> Call[pb.SkipGracefulOrchestrationTerminationsResponse, Batch[str]] | None:
        """`SkipGracefulOrchestrationTerminations`; gives who was left as it is, and the call for the next ids. None for no ids."""
        if isinstance(instance_ids, str):
            raise InvalidRequestError(f"instance_ids: {instance_ids!r} is one text; pass a list of ids")

        return self._skipped([arguments.text("instance_ids", each) for each in instance_ids], reason)

    def _skipped(
        self, ids: Sequence[str], reason: str | None
    ) -> Call[pb.SkipGracefulOrchestrationTerminationsResponse, Batch[str]] | None:
        if not ids:
            return None

        now, later = ids[:_LARGEST_BATCH], ids[_LARGEST_BATCH:]

        return Call(
            rpc="SkipGracefulOrchestrationTerminations",
            request=pb.SkipGracefulOrchestrationTerminationsRequest(
                instanceBatch=pb.InstanceBatch(instanceIds=now), reason=arguments.string(reason)
            ),
            read=lambda response: Batch(list(response.unterminatedInstanceIds), self._skipped(later, reason)),
        )


def _order(rpc: str, instance_id: str, request: Message) -> Call[Any, None]:
    """A call that changes an instance which has to exist, and gives nothing."""
    return Call(rpc=rpc, request=request, read=lambda _: None, instance_id=instance_id, refusals=MUST_EXIST)
