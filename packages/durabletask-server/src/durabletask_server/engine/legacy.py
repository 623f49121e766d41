"""Entities as older SDKs speak to them: by external events, whose JSON is what the protocol has events for today.

An orchestration that asks so is answered so; its worker would stumble over the other events in its history.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TypeAlias

from durabletask_backend.values import Micros
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import events

_REQUEST = "op"
_RELEASE = "release"
_LOCKED = "Lock Acquisition Completed"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


def translate(target: str, name: str, data: str | None) -> pb.SendEntityMessageAction | None:
    """The message that an external event to an entity stands for.

    Args:
        target: The entity's id.
        name: The event's name.
        data: The event's input.

    Returns:
        None: it stands for none.
    """
    kind, _, scheduled = name.partition("@")

    try:
        body: Json = json.loads(data or "")

        if not isinstance(body, dict):
            return None

        if kind == _RELEASE:
            return _release(target, body)

        return _request(target, body, scheduled) if kind == _REQUEST else None
    except (ValueError, RecursionError):
        # No JSON, or a text in it that is none.
        return None


def operation_completed(at: Micros, request_id: str, output: str | None) -> pb.HistoryEvent:
    """The result of an operation, for a caller of that kind."""
    return events.event_raised(at, request_id, json.dumps({"result": output}))


def operation_failed(at: Micros, request_id: str, failure: pb.TaskFailureDetails) -> pb.HistoryEvent:
    """The failure of an operation, for a caller of that kind."""
    # Some readers find the message in `result`, as JSON, and others in `exceptionType`.
    answer: Json = {
        "result": json.dumps(failure.errorMessage),
        "exceptionType": failure.errorMessage,
        "failureDetails": _details(failure),
    }

    return events.event_raised(at, request_id, json.dumps(answer))


def lock_granted(at: Micros, section_id: str) -> pb.HistoryEvent:
    """All entities of a critical section are locked, for an orchestration of that kind."""
    return events.event_raised(at, section_id, json.dumps({"result": _LOCKED}))


def _request(target: str, body: dict[str, Json], scheduled: str) -> pb.SendEntityMessageAction | None:
    request_id = body.get("id")

    if not isinstance(request_id, str):
        return None

    lock_set = body.get("lockset")

    if isinstance(lock_set, list):
        requested = pb.EntityLockRequestedEvent(criticalSectionId=request_id, lockSet=map(_id, lock_set))

        return pb.SendEntityMessageAction(entityLockRequested=requested)

    operation = body.get("op")

    if not isinstance(operation, str):
        return None

    message = pb.SendEntityMessageAction()
    asked = message.entityOperationSignaled if body.get("signal") else message.entityOperationCalled
    asked.requestId = request_id
    asked.operation = operation
    asked.targetInstanceId.value = target
    given = body.get("input")
    due = _time(scheduled) or _time(body.get("due"))

    if given is not None:
        asked.input.value = given if isinstance(given, str) else json.dumps(given)

    if due is not None:
        asked.scheduledTime.CopyFrom(events.timestamp(due))

    return message


def _release(target: str, body: dict[str, Json]) -> pb.SendEntityMessageAction | None:
    section_id = body.get("id")

    if not isinstance(section_id, str):
        return None

    sent = pb.EntityUnlockSentEvent(criticalSectionId=section_id, targetInstanceId=events.text(target))

    return pb.SendEntityMessageAction(entityUnlockSent=sent)


def _id(entity: Json) -> str:
    return f"@{entity.get('name')}@{entity.get('key')}" if isinstance(entity, dict) else str(entity)


def _time(value: Json) -> Micros | None:
    if not isinstance(value, str):
        return None

    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None

    since = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) - _EPOCH

    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _details(failure: pb.TaskFailureDetails) -> Json:
    return {
        "ErrorType": failure.errorType,
        "ErrorMessage": failure.errorMessage,
        "StackTrace": events.optional(failure, "stackTrace"),
        "InnerFailure": _details(failure.innerFailure) if failure.HasField("innerFailure") else None,
        "IsNonRetriable": failure.isNonRetriable,
    }
