"""What a client for asyncio does with task hubs."""

from __future__ import annotations

from durabletask_client._async.transport import AsyncCaller

__all__ = ["AsyncHubMethods"]


class AsyncHubMethods(AsyncCaller):
    """What a client does with task hubs as a whole. Arguments, results and errors are those of `TaskHubGrpcClient`."""

    async def ping(self) -> None:
        """See whether the server is there, and answers (`Hello`).

        Errors are those of `TaskHubGrpcClient.ping`.
        """
        await self._run(self._requests.hello())

    async def create_task_hub(self, *, recreate_if_exists: bool = False) -> None:
        """Make the client's task hub (`CreateTaskHub`). One that is there stays as it is.

        Arguments and errors are those of `TaskHubGrpcClient.create_task_hub`.
        """
        await self._run(self._requests.hub_creation(recreate_if_exists=recreate_if_exists))

    async def delete_task_hub(self) -> None:
        """Delete the client's task hub with everything in it (`DeleteTaskHub`).

        Errors are those of `TaskHubGrpcClient.delete_task_hub`.
        """
        await self._run(self._requests.hub_deletion())
