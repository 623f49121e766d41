"""Work items as they are sent: spliced from bytes that are encoded already, never built and encoded anew."""

from __future__ import annotations

from durabletask_backend.values import Instance, Task

from durabletask_server.engine.framing import NEW_EVENT, frame, frames
from durabletask_server.engine.turn import Turn

# Tags of WorkItem.
_ORCHESTRATOR_REQUEST = 0x0A
_ACTIVITY_REQUEST = 0x12
_COMPLETION_TOKEN = 0x52
# Tags of OrchestratorRequest; its past events are framed already.
_INSTANCE_ID = 0x0A
_EXECUTION_ID = 0x12
_TURN_CONTEXT = 0x42
_STRING_VALUE = 0x0A
# `entityParameters` with an `entityMessageReorderWindow` of zero: one SDK needs both to be there.
_ENTITY_PARAMETERS = b"\x2a\x02\x0a\x00"
_REQUIRES_HISTORY_STREAMING = b"\x30\x01"

HEALTH_PING = b"\x22\x00"
"""A `WorkItem` with a `healthPing`."""


def encode_turn(instance: Instance, turn: Turn, past: bytes | None, token: str) -> bytes:
    """The `WorkItem` of a turn.

    Args:
        instance: The instance as the turn took it.
        turn: The turn.
        past: The framed history; None: the worker is told to fetch it.
        token: The completion token.
    """
    request = [
        frame(_INSTANCE_ID, instance.key.instance_id.encode()),
        frame(_EXECUTION_ID, frame(_STRING_VALUE, instance.execution_id.encode())),
        _REQUIRES_HISTORY_STREAMING if past is None else past,
        frames(NEW_EVENT, turn.encoded),
        _ENTITY_PARAMETERS,
    ]

    if instance.turn_context is not None:
        request.append(frame(_TURN_CONTEXT, instance.turn_context))

    return frame(_ORCHESTRATOR_REQUEST, b"".join(request)) + frame(_COMPLETION_TOKEN, token.encode())


def encode_activity(task: Task, token: str) -> bytes:
    """The `WorkItem` of an activity."""
    return frame(_ACTIVITY_REQUEST, task.payload) + frame(_COMPLETION_TOKEN, token.encode())
