"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub

from durabletask_client._attempts import Attempts
from durabletask_client.calls import Call
from durabletask_client.channel import ChannelOptions, MetadataSource, call_metadata, create_async_channel
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

__all__ = ["AsyncTaskHubGrpcClient"]

Input = TypeVar("Input")
Response = TypeVar("Response")
Result = TypeVar("Result")


class AsyncTaskHubGrpcClient:
    """Starts, watches and steers orchestrations. Safe to share between the tasks of one event loop,
    which is the one that runs at the first call.

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
        channel: grpc.aio.Channel | None = None,
        data_converter: DataConverter | None = None,
        default_version: str | None = None,
        patience: float = 5.0,
    ) -> None:
        self._requests = Requests(data_converter=data_converter or JsonDataConverter(), default_version=default_version)
        self._metadata = call_metadata(metadata, taskhub=taskhub)
        self._patience = patience
        self._closed = asyncio.Event()
        self._own_channel: grpc.aio.Channel | None = None
        self._stub: TaskHubSidecarServiceStub | None = None if channel is None else TaskHubSidecarServiceStub(channel)

        def connect() -> grpc.aio.Channel:
            return create_async_channel(
                host_address, secure_channel=secure_channel, credentials=credentials, options=channel_options
            )

        self._connect = connect

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. Calls that are under way raise `ClientClosedError`; closing twice is no error."""
        self._closed.set()

        if self._own_channel is not None:
            await self._own_channel.close()

    async def schedule_new_orchestration(
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

        Arguments, result and errors are those of `TaskHubGrpcClient.schedule_new_orchestration`.
        """
        return await self._run(
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

    async def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """Read where an orchestration stands (`GetInstance`).

        Arguments, result and errors are those of `TaskHubGrpcClient.get_orchestration_state`.
        """
        return await self._run(self._requests.state(instance_id, fetch_payloads=fetch_payloads))

    async def get_orchestration_history(self, instance_id: str) -> list[HistoryEvent]:
        """Read what happened to an orchestration in its current generation (`StreamInstanceHistory`).

        Arguments, result and errors are those of `TaskHubGrpcClient.get_orchestration_history`.
        """
        return await self._run(self._requests.history(instance_id))

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
        states, more = await self._run(self._requests.states(query))

        while more is not None:
            page, more = await self._run(more)
            states += page

        return states

    async def wait_for_orchestration_start(
        self,
        instance_id: str,
        *,
        fetch_payloads: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> OrchestrationState | None:
        """Wait until an orchestration is no longer PENDING (`WaitForInstanceStart`).

        Arguments, result and errors are those of `TaskHubGrpcClient.wait_for_orchestration_start`.
        """
        return await self._run(self._requests.wait_for_start(instance_id, fetch_payloads=fetch_payloads), timeout)

    async def wait_for_orchestration_completion(
        self,
        instance_id: str,
        *,
        fetch_payloads: bool = True,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> OrchestrationState | None:
        """Wait until an orchestration has ended, however it did (`WaitForInstanceCompletion`).

        Arguments, result and errors are those of `TaskHubGrpcClient.wait_for_orchestration_completion`.
        """
        return await self._run(self._requests.wait_for_completion(instance_id, fetch_payloads=fetch_payloads), timeout)

    async def raise_orchestration_event(self, instance_id: str, event_name: str, *, data: object = None) -> None:
        """Send an event to an orchestration (`RaiseEvent`). A finished one drops it.

        Arguments, result and errors are those of `TaskHubGrpcClient.raise_orchestration_event`.
        """
        await self._run(self._requests.event(instance_id, event_name, data=data))

    async def terminate_orchestration(self, instance_id: str, *, output: object = None, recursive: bool = True) -> None:
        """End an orchestration from outside (`TerminateInstance`). One that is finished or unknown stays as it is.

        Arguments, result and errors are those of `TaskHubGrpcClient.terminate_orchestration`.
        """
        await self._run(self._requests.termination(instance_id, output=output, recursive=recursive))

    async def suspend_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Hold an orchestration until it is resumed (`SuspendInstance`). One that is finished stays as it is.

        Arguments, result and errors are those of `TaskHubGrpcClient.suspend_orchestration`.
        """
        await self._run(self._requests.suspension(instance_id, reason=reason))

    async def resume_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a suspended orchestration go on (`ResumeInstance`). One that is not suspended stays as it is.

        Arguments, result and errors are those of `TaskHubGrpcClient.resume_orchestration`.
        """
        await self._run(self._requests.resumption(instance_id, reason=reason))

    async def restart_orchestration(self, instance_id: str, *, restart_with_new_instance_id: bool = False) -> str:
        """Start an orchestration over with the name, input, version and tags it had (`RestartInstance`).

        Arguments, result and errors are those of `TaskHubGrpcClient.restart_orchestration`.
        """
        return await self._run(
            self._requests.restart(instance_id, restart_with_new_instance_id=restart_with_new_instance_id)
        )

    async def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """Run a failed orchestration again from the point of its failure; what succeeded is kept (`RewindInstance`).

        Arguments, result and errors are those of `TaskHubGrpcClient.rewind_orchestration`.
        """
        await self._run(self._requests.rewind(instance_id, reason=reason))

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

    async def _run(self, call: Call[Response, Result], seconds: float | None = None) -> Result:
        attempts = Attempts(call, patience=self._patience, timeout=seconds)

        while not self._closed.is_set():
            try:
                return call.read(await self._send(call, attempts.begin()))
            except grpc.RpcError as error:
                if self._closed.is_set():
                    break

                pause = attempts.pause_after(error)
            except asyncio.CancelledError:
                task = asyncio.current_task()

                # A closed channel cancels its calls; that must not look as if the task were cancelled.
                if self._closed.is_set() and task is not None and not task.cancelling():
                    break

                raise

            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._closed.wait()

        raise ClientClosedError(f"{call} is not possible: the client is closed")

    async def _send(self, call: Call[Response, Result], seconds: float | None) -> Response:
        if self._stub is None:
            # Not before the first call: a channel belongs to the event loop that runs when it is made.
            self._own_channel = self._connect()
            self._stub = TaskHubSidecarServiceStub(self._own_channel)

        method: Any = getattr(self._stub, call.rpc)
        sent = method(call.request, timeout=seconds, metadata=self._metadata())
        response: Response = [message async for message in sent] if call.is_stream else await sent  # type: ignore[assignment]

        return response
