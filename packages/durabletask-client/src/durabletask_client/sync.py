"""The client for threads."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub

from durabletask_client._attempts import Attempts
from durabletask_client.calls import Call
from durabletask_client.channel import ChannelOptions, MetadataSource, call_metadata, create_channel
from durabletask_client.errors import ClientClosedError
from durabletask_client.history import HistoryEvent
from durabletask_client.models import (
    OrchestrationIdReusePolicy,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)
from durabletask_client.requests import Orchestrator, Requests
from durabletask_client.serialization import DataConverter, JsonDataConverter

__all__ = ["TaskHubGrpcClient"]

Input = TypeVar("Input")
Response = TypeVar("Response")
Result = TypeVar("Result")


class TaskHubGrpcClient:
    """Starts, watches and steers orchestrations. Safe to share between threads.

    Besides the errors that a method names, all of them raise `InvalidRequestError` for an argument that is not acceptable,
    `ServerUnavailableError` when the server cannot be reached, `ClientClosedError` after `close`, and `RequestFailedError` for
    any other refusal.

    Args:
        host_address: Where the server is; see `durabletask_client.channel.create_channel`. None for `localhost:4001`.
        taskhub: The task hub to work with; None for the server's default hub.
        metadata: What goes along with each call, or a function that gives it anew for each.
        secure_channel: Whether to use TLS.
        credentials: Certificates and tokens for TLS; None for the system's root certificates.
        channel_options: How the connection behaves.
        channel: A channel to use instead of one made from the arguments above; it is not closed with the client.
        data_converter: What writes and reads payloads; None for JSON.
        default_version: The version of orchestrations that are started without one.
        patience: Seconds for which a start or a read is tried again while the server is unavailable. Other calls are tried
            once, because a first try may have had its effect; waits go on until their own timeout.
    """

    def __init__(
        self,
        *,
        host_address: str | None = None,
        taskhub: str | None = None,
        metadata: MetadataSource | None = None,
        secure_channel: bool = False,
        credentials: grpc.ChannelCredentials | None = None,
        channel_options: ChannelOptions | None = None,
        channel: grpc.Channel | None = None,
        data_converter: DataConverter | None = None,
        default_version: str | None = None,
        patience: float = 5.0,
    ) -> None:
        self._requests = Requests(data_converter=data_converter or JsonDataConverter(), default_version=default_version)
        self._metadata = call_metadata(metadata, taskhub=taskhub)
        self._patience = patience
        self._closed = threading.Event()
        self._own_channel: grpc.Channel | None = None

        if channel is None:
            channel = self._own_channel = create_channel(
                host_address, secure_channel=secure_channel, credentials=credentials, options=channel_options
            )

        self._stub = TaskHubSidecarServiceStub(channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Calls that are under way raise `ClientClosedError`; closing twice is no error."""
        self._closed.set()

        if self._own_channel is not None:
            self._own_channel.close()

    def schedule_new_orchestration(
        self,
        orchestrator: Orchestrator[Input],
        *,
        input: Input | None = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: OrchestrationIdReusePolicy | None = None,
        tags: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> str:
        """Start an orchestration (`StartInstance`).

        Args:
            orchestrator: The orchestrator's function, or the name it is registered under.
            input: What it is called with.
            instance_id: The id to give it, which must not begin with `@`; None for a new one.
            start_at: When to start, aware; None, or a time that is past, for now.
            reuse_id_policy: What to do if the id is taken; None: a finished orchestration is replaced, a live one is not.
            tags: Labels, which `OrchestrationState.tags` gives back.
            version: The version to start; "" for explicitly none, None for the client's `default_version`.

        Returns:
            The instance id.

        Raises:
            OrchestrationAlreadyExistsError: The id is taken. An engine that does not know a repeated start by its execution id
                may answer so when the first answer was lost.
        """
        return self._run(
            self._requests.start(
                orchestrator,
                input=input,
                instance_id=instance_id,
                start_at=start_at,
                reuse_id_policy=reuse_id_policy,
                tags=tags,
                version=version,
            )
        )

    def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool = True) -> OrchestrationState | None:
        """Read where an orchestration stands (`GetInstance`).

        Args:
            instance_id: The orchestration.
            fetch_payloads: Whether input and output come along.

        Returns:
            Its state; None if there is no such orchestration.
        """
        return self._run(self._requests.state(instance_id, fetch_payloads=fetch_payloads))

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
            completed_time_from: Finished at this time or later; aware.
            completed_time_to: Finished before this time; aware.
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
        states, more = self._run(self._requests.states(query))

        while more is not None:
            page, more = self._run(more)
            states += page

        return states

    def wait_for_orchestration_start(
        self, instance_id: str, *, fetch_payloads: bool = False, timeout: float | None = None
    ) -> OrchestrationState | None:
        """Wait until an orchestration is no longer PENDING (`WaitForInstanceStart`).

        One that does not exist yet is waited for, and the wait survives restarts of the server.

        Args:
            instance_id: The orchestration.
            fetch_payloads: Whether input and output come along.
            timeout: Seconds to wait; None for as long as it takes.

        Returns:
            Its state; None if it was purged meanwhile.

        Raises:
            TimeoutError: It took longer.
        """
        return self._run(self._requests.wait_for_start(instance_id, fetch_payloads=fetch_payloads), timeout)

    def wait_for_orchestration_completion(
        self, instance_id: str, *, fetch_payloads: bool = True, timeout: float | None = None
    ) -> OrchestrationState | None:
        """Wait until an orchestration has ended, however it did (`WaitForInstanceCompletion`).

        One that does not exist yet is waited for, and the wait survives restarts of the server.

        Args:
            instance_id: The orchestration.
            fetch_payloads: Whether input and output come along.
            timeout: Seconds to wait; None for as long as it takes.

        Returns:
            Its state; None if it was purged meanwhile.

        Raises:
            TimeoutError: It took longer.
        """
        return self._run(self._requests.wait_for_completion(instance_id, fetch_payloads=fetch_payloads), timeout)

    def raise_orchestration_event(self, instance_id: str, event_name: str, *, data: object = None) -> None:
        """Send an event to an orchestration (`RaiseEvent`). A finished one drops it.

        Args:
            instance_id: The orchestration.
            event_name: What it waits for; most workers do not tell upper from lower case.
            data: What its wait gives back.

        Raises:
            OrchestrationNotFoundError: There is no such orchestration.
        """
        self._run(self._requests.event(instance_id, event_name, data=data))

    def terminate_orchestration(self, instance_id: str, *, output: object = None, recursive: bool = True) -> None:
        """End an orchestration from outside (`TerminateInstance`). One that is finished or unknown stays as it is.

        Args:
            instance_id: The orchestration.
            output: What becomes its output.
            recursive: Whether its live children, and theirs, end with it.
        """
        self._run(self._requests.termination(instance_id, output=output, recursive=recursive))

    def suspend_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Hold an orchestration until it is resumed (`SuspendInstance`). One that is finished stays as it is.

        Args:
            instance_id: The orchestration.
            reason: Why, for its history.

        Raises:
            OrchestrationNotFoundError: There is no such orchestration.
        """
        self._run(self._requests.suspension(instance_id, reason=reason))

    def resume_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a suspended orchestration go on (`ResumeInstance`). One that is not suspended stays as it is.

        Args:
            instance_id: The orchestration.
            reason: Why, for its history.

        Raises:
            OrchestrationNotFoundError: There is no such orchestration.
        """
        self._run(self._requests.resumption(instance_id, reason=reason))

    def restart_orchestration(self, instance_id: str, *, restart_with_new_instance_id: bool = False) -> str:
        """Start an orchestration over with the name, input, version and tags it had (`RestartInstance`).

        Args:
            instance_id: The orchestration.
            restart_with_new_instance_id: Whether to leave it as it is, live or not, and start a copy.

        Returns:
            The id of the orchestration that runs now.

        Raises:
            OrchestrationNotFoundError: There is no such orchestration.
            OrchestrationStatusError: It is alive, and the same id was to be used.
            UnsupportedRequestError: The server does not offer this.
        """
        return self._run(self._requests.restart(instance_id, restart_with_new_instance_id=restart_with_new_instance_id))

    def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Run a failed orchestration again from the point of its failure; what succeeded is kept (`RewindInstance`).

        Args:
            instance_id: The orchestration.
            reason: Why, for its history.

        Raises:
            OrchestrationNotFoundError: There is no such orchestration.
            OrchestrationStatusError: It did not fail.
            UnsupportedRequestError: The server does not offer this.
        """
        self._run(self._requests.rewind(instance_id, reason=reason))

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
            created_time_from: Created at this time or later; aware.
            created_time_to: Created before this time; aware.
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

    def _run(self, call: Call[Response, Result], seconds: float | None = None) -> Result:
        attempts = Attempts(call, patience=self._patience, timeout=seconds)

        while not self._closed.is_set():
            try:
                return call.read(self._send(call, attempts.begin()))
            except grpc.RpcError as error:
                if self._closed.is_set():
                    break

                pause = attempts.pause_after(error)

            self._closed.wait(pause)

        raise ClientClosedError(f"{call} is not possible: the client is closed")

    def _send(self, call: Call[Response, Result], seconds: float | None) -> Response:
        method: Any = getattr(self._stub, call.rpc)
        sent = method(call.request, timeout=seconds, metadata=self._metadata())
        response: Response = [*sent] if call.is_stream else sent  # type: ignore[assignment]

        return response
