"""What a client for threads does with single orchestrations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Generator, Mapping
from datetime import datetime
from typing import Any, TypeVar, Unpack, overload

from durabletask_client import _arguments as arguments
from durabletask_client._sync.transport import Caller
from durabletask_client.models import OrchestrationIdReusePolicy, OrchestrationState
from durabletask_client.options import RunOptions
from durabletask_client.outcome import output_of
from durabletask_client.requests import Orchestrator

__all__ = ["OrchestrationMethods"]

Input = TypeVar("Input")
Output = TypeVar("Output")
# With Any in their places mypy gives up on the result of a function that has an Any of its own, in a `dict[str, Any]` say.
Yielded = TypeVar("Yielded")
Sent = TypeVar("Sent")


class OrchestrationMethods(Caller):
    """What a client does with single orchestrations."""

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
            start_at: When to start, taken as UTC if it is naive; None, or a time that is past, for now.
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

    @overload
    def run_orchestration(
        self,
        orchestrator: Callable[[Any, Input], Coroutine[Yielded, Sent, Output]],
        *,
        input: Input,
        **options: Unpack[RunOptions],
    ) -> Output: ...
    @overload
    def run_orchestration(
        self,
        orchestrator: Callable[[Any, Input], Generator[Yielded, Sent, Output]],
        *,
        input: Input,
        **options: Unpack[RunOptions],
    ) -> Output: ...
    @overload
    def run_orchestration(
        self, orchestrator: Callable[[Any, Input], Output], *, input: Input, **options: Unpack[RunOptions]
    ) -> Output: ...
    @overload
    def run_orchestration(
        self,
        orchestrator: Callable[[Any], Coroutine[Yielded, Sent, Output]],
        *,
        input: None = None,
        **options: Unpack[RunOptions],
    ) -> Output: ...
    @overload
    def run_orchestration(
        self,
        orchestrator: Callable[[Any], Generator[Yielded, Sent, Output]],
        *,
        input: None = None,
        **options: Unpack[RunOptions],
    ) -> Output: ...
    @overload
    def run_orchestration(
        self, orchestrator: Callable[[Any], Output], *, input: None = None, **options: Unpack[RunOptions]
    ) -> Output: ...
    @overload
    def run_orchestration(
        self, orchestrator: str, *, input: object = None, return_type: type[Output], **options: Unpack[RunOptions]
    ) -> Output: ...
    @overload
    def run_orchestration(self, orchestrator: str, *, input: object = None, **options: Unpack[RunOptions]) -> Any: ...
    def run_orchestration(
        self,
        orchestrator: Callable[..., object] | str,
        *,
        input: object = None,
        return_type: object = None,
        timeout: float | None = None,
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: OrchestrationIdReusePolicy | None = None,
        tags: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> Any:
        """Run an orchestration to its end: start it, wait for it, and take what it returned (`StartInstance`,
        `WaitForInstanceCompletion`).

        Args:
            orchestrator: The orchestrator's function, or the name it is registered under.
            input: What it is called with.
            return_type: The type to rebuild what it returned as; None for what the function's annotation says, and for plain
                values where nothing says more.
            timeout: Seconds to wait for its end, after which it still runs; None for as long as it takes.
            instance_id: See `schedule_new_orchestration`, as for the arguments after it.
            start_at: When to start.
            reuse_id_policy: What to do if the id is taken.
            tags: Labels.
            version: The version to start.

        Returns:
            What the orchestrator returned.

        Raises:
            OrchestrationFailedError: It failed.
            OrchestrationTerminatedError: It was ended from outside.
            OrchestrationAlreadyExistsError: The id is taken.
            TimeoutError: It took longer.
            TypeError: What it returned is of another type.
            ValueError: What it returned is malformed.
        """
        arguments.seconds("timeout", timeout)
        started = self.schedule_new_orchestration(
            orchestrator,
            input=input,
            instance_id=instance_id,
            start_at=start_at,
            reuse_id_policy=reuse_id_policy,
            tags=tags,
            version=version,
        )
        state = self.wait_for_orchestration_completion(started, timeout=timeout)

        return output_of(started, state, orchestrator, return_type)

    def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool = True) -> OrchestrationState | None:
        """Read where an orchestration stands (`GetInstance`).

        Args:
            instance_id: The orchestration.
            fetch_payloads: Whether input and output come along.

        Returns:
            Its state; None if there is no such orchestration.
        """
        return self._run(self._requests.state(instance_id, fetch_payloads=fetch_payloads))

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

    def skip_graceful_orchestration_terminations(
        self, instance_ids: Collection[str], *, reason: str | None = None
    ) -> list[str]:
        """End orchestrations at once, without a turn of their code (`SkipGracefulOrchestrationTerminations`).

        Args:
            instance_ids: The orchestrations; more than 500 take several calls.
            reason: Why, for their histories.

        Returns:
            Those that stay as they are: finished, unknown, entities, or in possession of entity locks.

        Raises:
            UnsupportedRequestError: The server does not offer this.
        """
        return list(self._each(self._requests.skipped_terminations(instance_ids, reason=reason)))
