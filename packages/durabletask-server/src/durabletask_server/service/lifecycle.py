"""The RPCs that let an instance run again, or end without ceremony."""

from __future__ import annotations

import asyncio

from durabletask_backend.errors import HubMissingError
from durabletask_backend.mutations import Code
from durabletask_backend.values import InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import events, lifecycle
from durabletask_server.engine.lifecycle import InvalidRequestError, NotAllowedError, check_instance_id
from durabletask_server.instances import has_ended
from durabletask_server.service.rpc import NotFoundError
from durabletask_server.taskhub import TaskHubWorker

_LARGEST_BATCH = 500


class LifecycleRpcs:
    """Each method answers the RPC of its name.

    Args:
        hub: The engine.
    """

    def __init__(self, hub: TaskHubWorker) -> None:
        self._hub = hub
        self._instances = hub.instances

    async def rewind(self, hub: str, request: pb.RewindInstanceRequest) -> pb.RewindInstanceResponse:
        """`RewindInstance`. Answered once the instance is RUNNING again, durably."""
        key = InstanceKey(hub, check_instance_id(request.instanceId))
        reason = events.optional(request, "reason")

        if not await self._instances.rewind(key, reason, now=self._hub.clock.now(), new_id=self._hub.new_id):
            raise _not_found(key)

        return pb.RewindInstanceResponse()

    async def restart(self, hub: str, request: pb.RestartInstanceRequest) -> pb.RestartInstanceResponse:
        """`RestartInstance`. Under the same id it must have ended; under a new one it may go on."""
        key = InstanceKey(hub, check_instance_id(request.instanceId))
        instance = await self._instances.get(key)

        if instance is None:
            raise _not_found(key)

        create = lifecycle.restart(
            instance, self._hub.clock.now(), self._hub.new_id, new=request.restartWithNewInstanceId
        )
        outcome = await self._instances.create(create)

        if outcome.code is Code.NO_HUB:
            raise HubMissingError(hub)

        if outcome.code is Code.EXISTS:
            status = "live" if outcome.status is None else outcome.status.name.lower()
            raise NotAllowedError(
                f"instance {key.instance_id!r} is {status} and cannot be restarted under its own id; "
                "wait until it has ended, or restart it with a new instance id"
            )

        return pb.RestartInstanceResponse(instanceId=create.instance.key.instance_id)

    async def skip_graceful_terminations(
        self, hub: str, request: pb.SkipGracefulOrchestrationTerminationsRequest
    ) -> pb.SkipGracefulOrchestrationTerminationsResponse:
        """`SkipGracefulOrchestrationTerminations`. Answered once they have ended; what is in a critical section stays."""
        instance_ids = list(dict.fromkeys(request.instanceBatch.instanceIds))

        if len(instance_ids) > _LARGEST_BATCH:
            raise InvalidRequestError(
                "instanceBatch.instanceIds", f"has {len(instance_ids)} ids; at most {_LARGEST_BATCH} are allowed"
            )

        reason = events.optional(request, "reason")
        ended = await asyncio.gather(*(self._end(InstanceKey(hub, each), reason) for each in instance_ids))

        return pb.SkipGracefulOrchestrationTerminationsResponse(
            unterminatedInstanceIds=[
                instance_id for instance_id, done in zip(instance_ids, ended, strict=True) if not done
            ]
        )

    async def _end(self, key: InstanceKey, reason: str | None) -> bool:
        """Terminate an instance, if it is one that may be. Returns whether that was done."""
        instance = None if key.is_entity else await self._instances.get(key, payloads=False)

        if instance is None or has_ended(instance) or await self._instances.holds_locks(key):
            return False

        request = pb.TerminateRequest(instanceId=key.instance_id, output=events.text(reason))
        outcome = await self._instances.send(lifecycle.request_termination(key.hub, request, self._hub.clock.now()))

        if outcome.code is not Code.APPLIED:
            return False

        committed = await self._instances.wait(key, has_ended)

        return committed is not None and committed.status is RuntimeStatus.TERMINATED


def _not_found(key: InstanceKey) -> NotFoundError:
    return NotFoundError(f"no orchestration instance has the id {key.instance_id!r}")
