"""What a client for asyncio does with many orchestrations, and with histories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta

from durabletask_client._async.transport import AsyncCaller
from durabletask_client.history import HistoryEvent
from durabletask_client.models import (
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)

__all__ = ["AsyncQueryMethods"]


class AsyncQueryMethods(AsyncCaller):
    """What a client does with many orchestrations, and with histories. Arguments, results and errors are those of `TaskHubGrpcClient`."""

    async def get_orchestration_history(self, instance_id: str) -> list[HistoryEvent]:
        """Read what happened to an orchestration in its current generation (`StreamInstanceHistory`).

        Arguments, result and errors are those of `TaskHubGrpcClient.get_orchestration_history`.
        """
        return await self._run(self._requests.history(instance_id))

    async def export_orchestration_history(self, instance_id: str) -> str:
        """Read what happened to an orchestration, as JSON (`StreamInstanceHistory`).

        Arguments, result and errors are those of `TaskHubGrpcClient.export_orchestration_history`.
        """
        return await self._run(self._requests.exported(instance_id))

    def stream_orchestration_history(self, instance_id: str) -> AsyncIterator[HistoryEvent]:
        """Read what happened to an orchestration, as fast as it is asked for: the whole is never in memory
        (`StreamInstanceHistory`).

        Arguments, result and errors are those of `TaskHubGrpcClient.stream_orchestration_history`.
        """
        return self._stream(self._requests.history(instance_id))

    async def get_all_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> list[OrchestrationState]:
        """Read where all orchestrations stand (`QueryInstances`, page after page).

        Arguments, result and errors are those of `TaskHubGrpcClient.get_all_orchestration_states`.
        """
        return await self.get_orchestration_state_by(orchestration_query or OrchestrationQuery())

    async def get_orchestration_state_by(self, query: OrchestrationQuery) -> list[OrchestrationState]:
        """Read where all orchestrations stand that match a query (`QueryInstances`, page after page).

        Arguments, result and errors are those of `TaskHubGrpcClient.get_orchestration_state_by`.
        """
        return [state async for state in self.iter_orchestrations(query)]

    def iter_orchestrations(self, query: OrchestrationQuery | None = None) -> AsyncIterator[OrchestrationState]:
        """Read where orchestrations stand, one after the other (`QueryInstances`, a page when it is needed).

        Arguments, result and errors are those of `TaskHubGrpcClient.iter_orchestrations`.
        """
        return self._each(self._requests.states(query or OrchestrationQuery()))

    async def list_instance_ids(
        self,
        *,
        runtime_status: Collection[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        """List finished orchestrations by the time they finished, a page a call (`ListInstanceIds`).

        Arguments, result and errors are those of `TaskHubGrpcClient.list_instance_ids`.
        """
        return await self._run(
            self._requests.finished_ids(
                runtime_status=runtime_status,
                completed_time_from=completed_time_from,
                completed_time_to=completed_time_to,
                page_size=page_size,
                continuation_token=continuation_token,
            )
        )

    def iter_instance_ids(
        self,
        *,
        runtime_status: Collection[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[str]:
        """List finished orchestrations by the time they finished, one after the other (`ListInstanceIds`, a page when it is
        needed).

        Arguments, result and errors are those of `TaskHubGrpcClient.iter_instance_ids`.
        """
        return self._each(
            self._requests.all_finished_ids(
                runtime_status=runtime_status,
                completed_time_from=completed_time_from,
                completed_time_to=completed_time_to,
                page_size=page_size,
            )
        )

    async def purge_orchestration(self, instance_id: str, *, recursive: bool = True) -> PurgeInstancesResult:
        """Delete a finished orchestration with its history (`PurgeInstances`). One that is alive or unknown is not counted.

        Arguments, result and errors are those of `TaskHubGrpcClient.purge_orchestration`.
        """
        return await self._run(self._requests.purge(instance_id, recursive=recursive))

    async def purge_orchestrations_by(
        self,
        *,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Collection[OrchestrationStatus] | None = None,
        recursive: bool = False,
        timeout: timedelta | None = None,  # noqa: ASYNC109
    ) -> PurgeInstancesResult:
        """Delete finished orchestrations that match all conditions (`PurgeInstances`).

        Arguments, result and errors are those of `TaskHubGrpcClient.purge_orchestrations_by`.
        """
        return await self._run(
            self._requests.purge_by(
                created_time_from=created_time_from,
                created_time_to=created_time_to,
                runtime_status=runtime_status,
                recursive=recursive,
                timeout=timeout,
            )
        )
