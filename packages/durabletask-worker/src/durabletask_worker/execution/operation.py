"""An operation of an entity while it runs: what it finds, and what it leaves behind. The batch keeps it, the context shows it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from durabletask_client.entities import EntityInstanceId
from durabletask_client.serialization import DataConverter
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.wrappers_pb2 import StringValue

__all__ = ["OperationState"]


class OperationState:
    """What one operation sees and does. It counts when the operation ends well, and is forgotten when it fails.

    Args:
        entity_id: The entity.
        operation: What it is to do.
        request_id: Tells this request from others.
        caller_id: The orchestration that waits for the result; None for a signal.
        state: The entity's state as a payload; None for none.
        converter: Turns values into payloads and back.
        now: The clock; aware, in UTC.
        new_id: Makes ids of orchestrations.
    """

    def __init__(
        self,
        *,
        entity_id: EntityInstanceId,
        operation: str,
        request_id: str,
        caller_id: str | None,
        state: StringValue | None,
        converter: DataConverter,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self.entity_id = entity_id
        self.operation = operation
        self.request_id = request_id
        self.caller_id = caller_id
        self.state = state
        self.has_set_state = False
        """Whether the state is what the operation made it, be it the same as before."""
        self.actions: list[pb.OperationAction] = []
        self.now = now
        self.new_id = new_id
        self.converter = converter

    def read(self, type_hint: object) -> Any:
        """Rebuild the state; None for none, and for what stands for none in other languages, as null does in JSON."""
        return None if self.state is None else self.converter.deserialize(self.state.value, type_hint)

    def write(self, value: object) -> None:
        """Take over a new state; None for none.

        Raises:
            TypeError: It cannot be written as a payload.
            ValueError: The payload is no text that can travel.
        """
        self.state = self.payload(value)
        self.has_set_state = True

    def savepoint(self) -> Callable[[], None]:
        """Make what takes the operation back to where it is now."""
        state, has_set_state, actions = self.state, self.has_set_state, len(self.actions)

        def restore() -> None:
            self.state, self.has_set_state = state, has_set_state
            del self.actions[actions:]

        return restore

    def payload(self, value: object) -> StringValue | None:
        """Turn a value into what the protocol carries; None for nothing.

        Raises:
            TypeError: It cannot be written as a payload.
            ValueError: The payload is no text that can travel.
        """
        payload = self.converter.serialize(value)

        return None if payload is None else StringValue(value=payload)
