"""How an orchestration has others run, and reaches those that run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, overload

from durabletask_worker._signature import callee_of
from durabletask_worker.context.facts import Facts
from durabletask_worker.execution.actions import CreateChild, SendEvent, Terminate
from durabletask_worker.execution.state import State
from durabletask_worker.execution.tasks import Task
from durabletask_worker.retry import RetryPolicy

if TYPE_CHECKING:
    from durabletask_worker.context.orchestration import OrchestrationContext

__all__ = ["ChildOptions", "Children"]

I = TypeVar("I")  # noqa: E741 - input, beside O for output
O = TypeVar("O")  # noqa: E741 - output
T = TypeVar("T")
Y = TypeVar("Y")  # what a coroutine or generator yields, and below what it is sent; see activity_calls.py
S = TypeVar("S")


class ChildOptions(TypedDict, total=False):
    """The options of `OrchestrationContext.call_sub_orchestrator`, which says what they mean."""

    instance_id: str | None
    retry_policy: RetryPolicy | None
    version: str | None
    tags: Mapping[str, str] | None


class Children(Facts):
    """The part of `OrchestrationContext` that has to do with other orchestrations."""

    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext, I], Coroutine[Y, S, O]],
        input: I,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext, I], Generator[Y, S, O]],
        input: I,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext, I], O],
        input: I,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext], Coroutine[Y, S, O]],
        input: None = None,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext], Generator[Y, S, O]],
        input: None = None,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[[OrchestrationContext], O],
        input: None = None,
        **options: Unpack[ChildOptions],
    ) -> Task[O]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: str | Callable[..., object],
        input: object = None,
        *,
        return_type: type[T],
        **options: Unpack[ChildOptions],
    ) -> Task[T]: ...
    @overload
    def call_sub_orchestrator(
        self,
        orchestrator: str,
        input: object = None,
        *,
        return_type: object = None,
        **options: Unpack[ChildOptions],
    ) -> Task[Any]: ...
    def call_sub_orchestrator(
        self,
        orchestrator: Callable[..., object] | str,
        input: object = None,
        *,
        instance_id: str | None = None,
        retry_policy: RetryPolicy | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
        return_type: object = None,
    ) -> Task[Any]:
        """Run another orchestration, a child of this one. It begins with the end of this turn, whether it is waited for or not.

        Sent as `CreateSubOrchestrationAction`.

        Args:
            orchestrator: The orchestrator, or its name.
            input: What it is given.
            instance_id: The child's id, used for every attempt; None for one that follows from this generation and the number
                of the attempt's step.
            retry_policy: When to try again after a failure; None for the worker's `default_retry_policy`, and
                `RetryPolicy.never()` for never.
            version: The child's version; None for the worker's `default_version`, or none.
            tags: The child's labels.
            return_type: What to rebuild the result as; None for what the orchestrator's annotations say, if they are at hand.

        Returns:
            The task. Waiting for it gives the result, or raises `TaskFailedError`, or what the worker's `failure_converter` makes
            of the failure.

        Raises:
            CriticalSectionError: The locks of entities are held, which the child could wait for without end.
            RegistrationError: The orchestrator has no name.
            TypeError: The input cannot be written as a payload.
            ValueError: `instance_id` is empty.
        """
        state = self._live()
        state.sections.check_child()
        policy = retry_policy or state.host.default_retry_policy
        action = _child(state, orchestrator, input, policy, instance_id, version, tags)

        return state.schedule.call(action, return_type or callee_of(orchestrator)[1], policy)

    @overload
    def start_orchestration(
        self,
        orchestrator: Callable[[OrchestrationContext, I], object],
        input: I,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str: ...
    @overload
    def start_orchestration(
        self,
        orchestrator: Callable[[OrchestrationContext], object],
        input: None = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str: ...
    @overload
    def start_orchestration(
        self,
        orchestrator: str,
        input: object = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str: ...
    def start_orchestration(
        self,
        orchestrator: Callable[..., object] | str,
        input: object = None,
        *,
        instance_id: str | None = None,
        version: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Start another orchestration, which nobody waits for: this one may be done long before it, and does not learn how it ends.

        To the server it is a child like others: what ends this one with all its children ends it, too. Sent as
        `CreateSubOrchestrationAction`.

        Args:
            orchestrator: The orchestrator, or its name.
            input: What it is given.
            instance_id: Its id; None for one that follows from this generation and the number of the step.
            version: Its version; None for the worker's `default_version`, or none.
            tags: Its labels.

        Returns:
            Its id.

        Raises:
            RegistrationError: The orchestrator has no name.
            TypeError: The input cannot be written as a payload.
            ValueError: `instance_id` is empty.
        """
        state = self._live()
        action = _child(state, orchestrator, input, None, instance_id, version, tags)
        state.schedule.add(action)

        return action.child_id

    def send_event(self, instance_id: str, event_name: str, *, data: object = None) -> None:
        """Send an event to another orchestration; what becomes of it is not known here. Sent as `SendEventAction`.

        Args:
            instance_id: Whom to send it to.
            event_name: The event's name.
            data: What goes with it.

        Raises:
            TypeError: The data cannot be written as a payload.
            ValueError: `instance_id` or `event_name` is empty.
        """
        state = self._live()
        _require("instance_id", instance_id)
        _require("event_name", event_name)
        payload = state.converter.serialize(data)
        state.schedule.add(SendEvent(state.schedule.next_id(), instance_id, event_name, payload))

    def terminate_orchestration(self, instance_id: str, *, output: object = None, recursive: bool = True) -> None:
        """End another orchestration; whether it still runs is not known here. Sent as `TerminateOrchestrationAction`.

        Args:
            instance_id: Which to end.
            output: What becomes its result.
            recursive: Whether its children end, too.

        Raises:
            TypeError: The output cannot be written as a payload.
            ValueError: `instance_id` is empty.
        """
        state = self._live()
        _require("instance_id", instance_id)
        payload = state.converter.serialize(output)
        state.schedule.add_unrecorded(Terminate(state.schedule.next_id(), instance_id, payload, recursive))


def _child(
    state: State,
    orchestrator: Callable[..., object] | str,
    input: object,
    policy: RetryPolicy | None,
    instance_id: str | None,
    version: str | None,
    tags: Mapping[str, str] | None,
) -> CreateChild:
    if instance_id is not None:
        _require("instance_id", instance_id)

    name, payload = callee_of(orchestrator)[0], state.write_input(input, policy)

    return CreateChild(
        id=state.schedule.next_id(),
        name=name,
        input=payload,
        instance_id=instance_id,
        parent=state.ids.execution_id or state.instance_id,
        version=state.host.default_version if version is None else version,
        tags=tags,
    )


def _require(argument: str, text: str) -> None:
    if not text:
        raise ValueError(f"{argument} is {text!r}; it has to be text, and not empty")
