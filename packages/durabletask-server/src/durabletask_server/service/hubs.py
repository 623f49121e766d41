"""The RPCs about task hubs: make one, and do away with it."""

from __future__ import annotations

from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.taskhub import TaskHubWorker


class HubRpcs:
    """Each method answers the RPC of its name.

    Args:
        hub: The engine.
    """

    def __init__(self, hub: TaskHubWorker) -> None:
        self._hub = hub

    async def create(self, hub: str, request: pb.CreateTaskHubRequest) -> pb.CreateTaskHubResponse:
        """`CreateTaskHub`. One that is there stays as it is, unless it is to be recreated: then it is empty."""
        await self._hub.create_hub(hub, recreate=request.recreateIfExists)

        return pb.CreateTaskHubResponse()

    async def delete(self, hub: str, _: pb.DeleteTaskHubRequest) -> pb.DeleteTaskHubResponse:
        """`DeleteTaskHub`, with everything in it. Of the default hub, which always exists, only what is in it goes."""
        await self._hub.delete_hub(hub)

        return pb.DeleteTaskHubResponse()
