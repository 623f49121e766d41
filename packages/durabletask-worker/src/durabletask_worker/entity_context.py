"""What code of an entity is given: the context of an operation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

from durabletask_client.entities import EntityInstanceId
from durabletask_client.errors import InvalidRequestError
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

from durabletask_worker._signature import name_of
from durabletask_worker.execution.operation import OperationState

if TYPE_CHECKING:
    from durabletask_worker.context import OrchestrationContext

__all__ = ["EntityContext"]

I = TypeVar("I")  # noqa: E741 - input, as in the context of orchestrations
T = TypeVar("T")


class EntityContext:
    """One operation of an entity: what it is to do, the state, and the way to signal and to start others. Made by the worker.

    What an operation sets and sends takes effect when it has returned. If it raises, the state is as before, and nothing is sent.
    """

    def __init__(self, state: OperationState) -> None:
        self._state = state

    @property
    def entity_id(self) -> EntityInstanceId:
        """The entity."""
        return self._state.entity_id

    @property
    def operation(self) -> str:
        """The name of the operation, as whoever asked for it wrote it."""
        return self._state.operation

    @property
    def request_id(self) -> str:
        """Tells this request from all others. A batch that is handed out again, after a crash, has the same ones."""
        return self._state.request_id

    @property
    def caller_id(self) -> str | None:
        """The orchestration that waits for the result. None for a signal, and where the server does not say."""
        return self._state.caller_id

    @overload
    def get_state(self, intended_type: type[T], default: T) -> T: ...
    @overload
    def get_state(self, intended_type: type[T], default: None = None) -> T | None: ...
    @overload
    def get_state(self, intended_type: object = None, default: object = None) -> Any: ...
    def get_state(self, intended_type: object = None, default: object = None) -> Any:
        """Read the state. It is a copy: hand it to `set_state` when you have changed it.

        Args:
            intended_type: What to rebuild it as; None for plain values.
            default: What to return if the entity has no state.

        Returns:
            The state, or the default.

        Raises:
            TypeError: The state is of another type.
            ValueError: The state is malformed, or no value of that type.
        """
        state = self._state.read(intended_type)

        return default if state is None else state

    def set_state(self, state: object) -> None:
        """Replace the state.

        Args:
            state: Any value that can be written as a payload; None to delete the state, and with it the entity.

        Raises:
            TypeError: It cannot be written as a payload.
        """
        self._state.write(state)

    @overload
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation: str,
        input: object = None,
        *,
        scheduled_time: datetime | None = None,
    ) -> None: ...
    @overload
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation: Callable[[Any, EntityContext, I], object] | Callable[[Any, I, EntityContext], object],
        input: I,
        *,
        scheduled_time: datetime | None = None,
    ) -> None: ...
    @overload
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation: Callable[[Any, EntityContext], object],
        input: None = None,
        *,
        scheduled_time: datetime | None = None,
    ) -> None: ...
    @overload
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation: Callable[[Any, I], object],
        input: I,
        *,
        scheduled_time: datetime | None = None,
    ) -> None: ...
    @overload
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation: Callable[[Any], object],
        input: None = None,
        *,
        scheduled_time: datetime | None = None,
    ) -> None: ...
    def signal_entity(
        self,
        entity_id: EntityInstanceId,
        operation: str | Callable[..., object],
        input: object = None,
        *,
        scheduled_time: datetime | None = None,
    ) -> None:
        """Have an entity, or this one, do something later; what becomes of it is not known here. Sent as `SendSignalAction`.

        Args:
            entity_id: The entity.
            operation: What it is to do: the method of its class, or the operation's name.
            input: What the operation gets.
            scheduled_time: Not before this time; a naive one is taken as UTC. None for at once.

        Raises:
            InvalidRequestError: `entity_id` is no id.
            RegistrationError: The operation has no name of its own.
            TypeError: The input cannot be written as a payload.
        """
        if not isinstance(entity_id, EntityInstanceId):
            raise InvalidRequestError(
                f"entity_id: {entity_id!r} is no entity's id; pass an EntityInstanceId('counter', 'main')"
            )

        action = pb.OperationAction()
        signal = action.sendSignal
        signal.instanceId = str(entity_id)
        signal.name = name_of(operation)
        signal.requestTime.FromDatetime(self._state.now())
        payload = self._state.payload(input)

        if payload is not None:
            signal.input.CopyFrom(payload)

        if scheduled_time is not None:
            signal.scheduledTime.FromDatetime(scheduled_time)

        self._state.actions.append(action)

    @overload
    def schedule_new_orchestration(
        self,
        orchestrator: str,
        input: object = None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        start_at: datetime | None = None,
    ) -> str: ...
    @overload
    def schedule_new_orchestration(
        self,
        orchestrator: Callable[[OrchestrationContext, I], object],
        input: I,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        start_at: datetime | None = None,
    ) -> str: ...
    @overload
    def schedule_new_orchestration(
        self,
        orchestrator: Callable[[OrchestrationContext], object],
        input: None = None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        start_at: datetime | None = None,
    ) -> str: ...
    def schedule_new_orchestration(
        self,
        orchestrator: str | Callable[..., object],
        input: object = None,
        instance_id: str | None = None,
        *,
        version: str | None = None,
        start_at: datetime | None = None,
    ) -> str:
        """Start an orchestration, without waiting for it. Sent as `StartNewOrchestrationAction`.

        Args:
            orchestrator: What to start: the function, or the name it is registered under.
            input: What it gets.
            instance_id: Its id; nothing is started while an orchestration of that id runs. None for a new one.
            version: Its version; None for none.
            start_at: Not before this time; a naive one is taken as UTC. None for at once.

        Returns:
            Its id.

        Raises:
            InvalidRequestError: `instance_id` is empty.
            RegistrationError: The function has no name of its own.
            TypeError: The input cannot be written as a payload.
        """
        if instance_id == "":
            raise InvalidRequestError("instance_id: '' is no id; pass None for a new one")

        action = pb.OperationAction()
        start = action.startNewOrchestration
        start.name = name_of(orchestrator)
        start.instanceId = instance_id or self._state.new_id()
        start.requestTime.FromDatetime(self._state.now())
        payload = self._state.payload(input)

        if payload is not None:
            start.input.CopyFrom(payload)

        if version is not None:
            start.version.CopyFrom(StringValue(value=version))

        if start_at is not None:
            start.scheduledTime.FromDatetime(start_at)

        self._state.actions.append(action)

        return start.instanceId
