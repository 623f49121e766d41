"""The RPCs about one instance: start, look, wait, send it events, pause, end."""

from __future__ import annotations

from durabletask_backend.errors import HubMissingError
from durabletask_backend.mutations import AppendMessage, Code
from durabletask_backend.values import InstanceKey
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import lifecycle
from durabletask_server.engine.lifecycle import InvalidRequestError
from durabletask_server.instances import has_ended, has_started
from durabletask_server.service.records import found
from durabletask_server.service.rpc import InstanceExistsError, NotFoundError
from durabletask_server.taskhub import TaskHubWorker


class InstanceRpcs:
    """Each method answers the RPC of its name.

    Args:
        hub: The engine.
    """

    def __init__(self, hub: TaskHubWorker) -> None:
        self._hub = hub
        self._instances = hub.instances

    async def start_instance(self, hub: str, request: pb.CreateInstanceRequest) -> pb.CreateInstanceResponse:
        """`StartInstance`. Answered once the instance is durable."""
        create = lifecycle.create(hub, request, self._hub.clock.now(), self._hub.new_id)
        outcome = await self._instances.create(create)
        instance_id = create.instance.key.instance_id

        if outcome.code is Code.NO_HUB:
            raise HubMissingError(hub)

        if outcome.code is Code.EXISTS and not lifecycle.ignores(request, outcome.status):
            if lifecycle.refuses_termination(request, outcome.status):
                raise InvalidRequestError(
                    "orchestrationIdReusePolicy.replaceableStatus",
                    "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances",
                )

            status = "" if outcome.status is None else f" ({outcome.status.name})"
            raise InstanceExistsError(
                f"an orchestration instance with id {instance_id!r} already exists{status}; "
                "choose another instanceId, or wait until it has ended"
            )

        return pb.CreateInstanceResponse(instanceId=instance_id)

    async def get_instance(self, hub: str, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
        """`GetInstance`. One that does not exist is no error."""
        instance = await self._instances.get(_key(hub, request.instanceId), payloads=request.getInputsAndOutputs)

        return found(instance, payloads=request.getInputsAndOutputs)

    async def wait_for_start(self, hub: str, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
        """`WaitForInstanceStart`. Waits for one that does not exist yet, too."""
        instance = await self._instances.wait(_key(hub, request.instanceId), has_started)

        return found(instance, payloads=request.getInputsAndOutputs)

    async def wait_for_completion(self, hub: str, request: pb.GetInstanceRequest) -> pb.GetInstanceResponse:
        """`WaitForInstanceCompletion`. Waits for one that does not exist yet, too."""
        instance = await self._instances.wait(_key(hub, request.instanceId), has_ended)

        return found(instance, payloads=request.getInputsAndOutputs)

    async def raise_event(self, hub: str, request: pb.RaiseEventRequest) -> pb.RaiseEventResponse:
        """`RaiseEvent`. To an instance that has ended: dropped."""
        await self._send(lifecycle.raise_event(hub, request, self._hub.clock.now()))

        return pb.RaiseEventResponse()

    async def terminate(self, hub: str, request: pb.TerminateRequest) -> pb.TerminateResponse:
        """`TerminateInstance`. Of one that does not exist or has ended: nothing happens."""
        append = lifecycle.request_termination(hub, request, self._hub.clock.now())
        await self._instances.send(append)

        return pb.TerminateResponse()

    async def suspend(self, hub: str, request: pb.SuspendRequest) -> pb.SuspendResponse:
        """`SuspendInstance`. Of one that has ended: nothing happens."""
        await self._send(lifecycle.request_suspension(hub, request, self._hub.clock.now()))

        return pb.SuspendResponse()

    async def resume(self, hub: str, request: pb.ResumeRequest) -> pb.ResumeResponse:
        """`ResumeInstance`. Of one that has ended: nothing happens."""
        await self._send(lifecycle.request_resumption(hub, request, self._hub.clock.now()))

        return pb.ResumeResponse()

    async def _send(self, append: AppendMessage) -> None:
        outcome = await self._instances.send(append)

        if outcome.code is Code.MISSING:
            raise NotFoundError(f"no orchestration instance has the id {append.key.instance_id!r}")


def _key(hub: str, instance_id: str) -> InstanceKey:
    if not instance_id:
        raise InvalidRequestError("instanceId", "must not be empty; give the id of an orchestration instance")

    return InstanceKey(hub, instance_id)
