"""What a client for threads does with many orchestrations, and with histories."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from durabletask_client._sync.transport import Caller
from durabletask_client.history import HistoryEvent
from durabletask_client.models import (
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)

__all__ = ["QueryMethods"]


class QueryMethods(Caller):
    """What a client does with many orchestrations, and with histories."""

    def get_orchestration_history(self, instance_id: str) -> list[HistoryEvent]:
        """Read what happened to an orchestration in its current generation (`StreamInstanceHistory`).

        Args:
            instance_id: The orchestration.

        Returns:
            Its events, oldest first.

        Raises:
            OrchestrationNotFoundError: There is no such orchestration; some engines give an empty history instead.
        """
        return self._run(self._requests.history(instance_id))

    def export_orchestration_history(self, instance_id: str) -> str:
        """Read what happened to an orchestration, as JSON that `durabletask_protos.history_json.load` reads back without loss, and that
        `durabletask_embedded.replay` runs against code (`StreamInstanceHistory`).

        Args:
            instance_id: The orchestration.

        Returns:
            The history of its current generation, with payloads as they are stored: what a codec has encrypted stays so.

        Raises:
            OrchestrationNotFoundError: There is no such orchestration; some engines give an empty history instead.
        """
        return self._run(self._requests.exported(instance_id))

    def stream_orchestration_history(self, instance_id: str) -> Iterator[HistoryEvent]:
        """Read what happened to an orchestration, as fast as it is asked for: the whole is never in memory
        (`StreamInstanceHistory`).

        Args:
            instance_id: The orchestration.

        Returns:
            Its events, oldest first. Whoever reads them meets the errors of `get_orchestration_history`, and
            `ServerUnavailableError` if the connection is lost on the way.
        """
        return self._stream(self._requests.history(instance_id))

    def get_all_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> list[OrchestrationState]:
        """Read where all orchestrations stand (`QueryInstances`, page after page).

        Args:
            orchestration_query: Conditions, as for `get_orchestration_state_by`; None for none, and no payloads.

        Returns:
            Their states, oldest first.
        """
        return self.get_orchestration_state_by(orchestration_query or OrchestrationQuery())

    def get_orchestration_state_by(self, query: OrchestrationQuery) -> list[OrchestrationState]:
        """Read where all orchestrations stand that match a query (`QueryInstances`, page after page).

        Args:
            query: The conditions.

        Returns:
            Their states, oldest first.
        """
        return list(self.iter_orchestrations(query))

    def iter_orchestrations(self, query: OrchestrationQuery | None = None) -> Iterator[OrchestrationState]:
        """Read where orchestrations stand, one after the other (`QueryInstances`, a page when it is needed).

        Args:
            query: Conditions; None for none, and no payloads.

        Returns:
            Their states, oldest first.
        """
        return self._each(self._requests.states(query or OrchestrationQuery()))

    def list_instance_ids(
        self,
        *,
        runtime_status: Collection[OrchestrationStatus] | None = None,
        completed_time_from: datetime | None = None,
        completed_time_to: datetime | None = None,
        page_size: int | None = None,
        continuation_token: str | None = None,
    ) -> Page[str]:
        """List finished orchestrations by the time they finished, a page a call (`ListInstanceIds`).

        Args:
            runtime_status: In any of these statuses; None or empty for all that are final.
            completed_time_from: Finished at this time or later; taken as UTC if it is naive.
            completed_time_to: Finished before this time; taken as UTC if it is naive.
            page_size: How many at most; None for what the server thinks best.
            continuation_token: That of the page before; None for the first page.

        Returns:
            Instance ids.
        """
        return self._run(
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
    ) -> Iterator[str]:
        """List finished orchestrations by the time they finished, one after the other (`ListInstanceIds`, a page when it is
        needed).

        Args:
            runtime_status: In any of these statuses; None or empty for all that are final.
            completed_time_from: Finished at this time or later; taken as UTC if it is naive.
            completed_time_to: Finished before this time; taken as UTC if it is naive.
            page_size: How many to ask for at a time; None for what the server thinks best.

        Returns:
            Instance ids.
        """
        return self._each(
            self._requests.all_finished_ids(
                runtime_status=runtime_status,
                completed_time_from=completed_time_from,
                completed_time_to=completed_time_to,
                page_size=page_size,
            )
        )

    def purge_orchestration(self, instance_id: str, *, recursive: bool = True) -> PurgeInstancesResult:
        """Delete a finished orchestration with its history (`PurgeInstances`). One that is alive or unknown is not counted.

        Args:
            instance_id: The orchestration.
            recursive: Whether its finished children, and theirs, go too.

        Returns:
            How many were deleted.
        """
        return self._run(self._requests.purge(instance_id, recursive=recursive))

    def purge_orchestrations_by(
        self,
        *,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Collection[OrchestrationStatus] | None = None,
        recursive: bool = False,
        timeout: timedelta | None = None,
    ) -> PurgeInstancesResult:
        """Delete finished orchestrations that match all conditions (`PurgeInstances`).

        Args:
            created_time_from: Created at this time or later; taken as UTC if it is naive.
            created_time_to: Created before this time; taken as UTC if it is naive.
            runtime_status: In any of these statuses; None or empty for all that are final.
            recursive: Whether finished children, and theirs, go too.
            timeout: When the server shall stop, whether or not all are deleted; None for no limit.

        Returns:
            How many were deleted, and whether that was all.
        """
        return self._run(
            self._requests.purge_by(
                created_time_from=created_time_from,
                created_time_to=created_time_to,
                runtime_status=runtime_status,
                recursive=recursive,
                timeout=timeout,
            )
        )
