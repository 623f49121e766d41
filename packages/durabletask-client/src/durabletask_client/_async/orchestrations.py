"""What a client for asyncio does with single orchestrations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Generator, Mapping
from datetime import datetime
from typing import Any, TypeVar, Unpack, overload

from durabletask_client import _arguments as arguments
from durabletask_client._async.transport import AsyncCaller
from durabletask_client.models import OrchestrationIdReusePolicy, OrchestrationState
from durabletask_client.options import RunOptions
from durabletask_client.outcome import output_of
from durabletask_client.requests import Orchestrator

__all__ = ["AsyncOrchestrationMethods"]

Input = TypeVar("Input")
Output = TypeVar("Output")
# With Any in their places mypy gives up on the result of a function that has an Any of its own, in a `dict[str, Any]` say.
Yielded = TypeVar("Yielded")
Sent = TypeVar("Sent")


class AsyncOrchestrationMethods(AsyncCaller):
    """What a client does with single orchestrations. Arguments, results and errors are those of `TaskHubGrpcClient`."""

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

    @overload
    async def run_orchestration(
        self,
        orchestrator: Callable[[Any, Input], Coroutine[Yielded, Sent, Output]],
        *,
        input: Input,
        **options: Unpack[RunOptions],
    ) -> Output: ...
    @overload
    async def run_orchestration(
        self,
        orchestrator: Callable[[Any, Input], Generator[Yielded, Sent, Output]],
        *,
        input: Input,
        **options: Unpack[RunOptions],
    ) -> Output: ...
    @overload
    async def run_orchestration(
        self, orchestrator: Callable[[Any, Input], Output], *, input: Input, **options: Unpack[RunOptions]
    ) -> Output: ...
    @overload
    async def run_orchestration(
        self,
        orchestrator: Callable[[Any], Coroutine[Yielded, Sent, Output]],
        *,
        input: None = None,
        **options: Unpack[RunOptions],
    ) -> Output: ...
    @overload
    async def run_orchestration(
        self,
        orchestrator: Callable[[Any], Generator[Yielded, Sent, Output]],
        *,
        input: None = None,
        **options: Unpack[RunOptions],
    ) -> Output: ...
    @overload
    async def run_orchestration(
        self, orchestrator: Callable[[Any], Output], *, input: None = None, **options: Unpack[RunOptions]
    ) -> Output: ...
    @overload
    async def run_orchestration(
        self, orchestrator: str, *, input: object = None, return_type: type[Output], **options: Unpack[RunOptions]
    ) -> Output: ...
    @overload
    async def run_orchestration(
        self, orchestrator: str, *, input: object = None, **options: Unpack[RunOptions]
    ) -> Any: ...
    async def run_orchestration(
        self,
        orchestrator: Callable[..., object] | str,
        *,
        input: object = None,
        return_type: object = None,
        timeout: float | None = None,  # noqa: ASYNC109
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: OrchestrationIdReusePolicy | None = None,
        tags: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Any:
        """Run an orchestration to its end (`StartInstance`, `WaitForInstanceCompletion`).

        Arguments, result and errors are those of `TaskHubGrpcClient.run_orchestration`.
        """
        arguments.seconds("timeout", timeout)
        started = await self.schedule_new_orchestration(
            orchestrator,
            input=input,
            instance_id=instance_id,
            start_at=start_at,
            reuse_id_policy=reuse_id_policy,
            tags=tags,
            version=version,
        )
        state = await self.wait_for_orchestration_completion(started, timeout=timeout)

        return output_of(started, state, orchestrator, return_type)

    async def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> OrchestrationState | None:
        """Read where an orchestration stands (`GetInstance`).

        Arguments, result and errors are those of `TaskHubGrpcClient.get_orchestration_state`.
        """
        return await self._run(self._requests.state(instance_id, fetch_payloads=fetch_payloads))

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

    async def skip_graceful_orchestration_terminations(
        self, instance_ids: Collection[str], *, reason: str | None = None
    ) -> list[str]:
        """End orchestrations at once, without a turn of their code (`SkipGracefulOrchestrationTerminations`).

        Arguments, result and errors are those of `TaskHubGrpcClient.skip_graceful_orchestration_terminations`.
        """
        left = self._each(self._requests.skipped_terminations(instance_ids, reason=reason))

        return [instance_id async for instance_id in left]
