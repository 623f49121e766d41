"""What orchestrators ask of entities, in few words, today's way and the old one."""

from __future__ import annotations

import json

from durabletask_backend.values import Micros
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events

from .scripts import send


def signal(
    action_id: int, entity_id: str, operation: str, *, request_id: str = "", due: Micros = 0, value: str | None = None
) -> pb.OrchestratorAction:
    signaled = pb.EntityOperationSignaledEvent(
        requestId=request_id or f"signal-{action_id}",
        operation=operation,
        input=events.text(value),
        scheduledTime=events.timestamp(due) if due else None,
        targetInstanceId=events.text(entity_id),
    )

    return _action(action_id, pb.SendEntityMessageAction(entityOperationSignaled=signaled))


def call(
    action_id: int, entity_id: str, operation: str, *, request_id: str = "", value: str | None = None
) -> pb.OrchestratorAction:
    called = pb.EntityOperationCalledEvent(
        requestId=request_id or f"call-{action_id}",
        operation=operation,
        input=events.text(value),
        targetInstanceId=events.text(entity_id),
    )

    return _action(action_id, pb.SendEntityMessageAction(entityOperationCalled=called))


def lock(action_id: int, section_id: str, *entity_ids: str) -> pb.OrchestratorAction:
    requested = pb.EntityLockRequestedEvent(criticalSectionId=section_id, lockSet=entity_ids)

    return _action(action_id, pb.SendEntityMessageAction(entityLockRequested=requested))


def unlock(action_id: int, section_id: str, entity_id: str) -> pb.OrchestratorAction:
    sent = pb.EntityUnlockSentEvent(criticalSectionId=section_id, targetInstanceId=events.text(entity_id))

    return _action(action_id, pb.SendEntityMessageAction(entityUnlockSent=sent))


def old_call(action_id: int, entity_id: str, operation: str, **more: object) -> pb.OrchestratorAction:
    body = {"op": operation, "id": f"call-{action_id}", "parent": "somebody", "parentExecution": "else", **more}

    return send(action_id, entity_id, "op", json.dumps(body))


def old_lock(action_id: int, section_id: str, *entity_ids: str) -> pb.OrchestratorAction:
    names = [dict(zip(("name", "key"), entity_id[1:].split("@", 1), strict=True)) for entity_id in entity_ids]
    body = {"op": None, "id": section_id, "lockset": names, "pos": 0, "parent": "somebody"}

    return send(action_id, entity_ids[0], "op", json.dumps(body))


def old_unlock(action_id: int, section_id: str, entity_id: str) -> pb.OrchestratorAction:
    return send(action_id, entity_id, "release", json.dumps({"parent": "somebody", "id": section_id}))


def _action(action_id: int, message: pb.SendEntityMessageAction) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(id=action_id, sendEntityMessage=message)
