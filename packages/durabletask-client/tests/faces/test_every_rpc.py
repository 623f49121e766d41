"""Both clients reach every RPC that is not a worker's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from durabletask_client import EntityInstanceId
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import message_factory

from .clients import Face
from .endpoint import Endpoint

WORKERS = {
    "GetWorkItems",
    "CompleteOrchestratorTask",
    "CompleteActivityTask",
    "CompleteEntityTask",
    "AbandonTaskOrchestratorWorkItem",
    "AbandonTaskActivityWorkItem",
    "AbandonTaskEntityWorkItem",
}

METHODS: Mapping[str, tuple[str, tuple[object, ...]]] = {
    "Hello": ("ping", ()),
    "StartInstance": ("schedule_new_orchestration", ("flow",)),
    "GetInstance": ("get_orchestration_state", ("i",)),
    "WaitForInstanceStart": ("wait_for_orchestration_start", ("i",)),
    "WaitForInstanceCompletion": ("wait_for_orchestration_completion", ("i",)),
    "RaiseEvent": ("raise_orchestration_event", ("i", "go")),
    "TerminateInstance": ("terminate_orchestration", ("i",)),
    "SuspendInstance": ("suspend_orchestration", ("i",)),
    "ResumeInstance": ("resume_orchestration", ("i",)),
    "RewindInstance": ("rewind_orchestration", ("i",)),
    "RestartInstance": ("restart_orchestration", ("i",)),
    "QueryInstances": ("get_all_orchestration_states", ()),
    "ListInstanceIds": ("list_instance_ids", ()),
    "PurgeInstances": ("purge_orchestration", ("i",)),
    "StreamInstanceHistory": ("get_orchestration_history", ("i",)),
    "SkipGracefulOrchestrationTerminations": ("skip_graceful_orchestration_terminations", (["i"],)),
    "SignalEntity": ("signal_entity", (EntityInstanceId("counter", "a"), "add")),
    "GetEntity": ("get_entity", (EntityInstanceId("counter", "a"),)),
    "QueryEntities": ("get_all_entities", ()),
    "CleanEntityStorage": ("clean_entity_storage", ()),
    "CreateTaskHub": ("create_task_hub", ()),
    "DeleteTaskHub": ("delete_task_hub", ()),
}


async def test_every_rpc_that_is_not_a_workers_is_reached(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    service = pb.DESCRIPTOR.services_by_name["TaskHubSidecarService"]
    client = face(host_address=endpoint.address)

    for rpc, (method, arguments) in METHODS.items():
        empty: Any = message_factory.GetMessageClass(service.methods_by_name[rpc].output_type)()
        endpoint.answers[rpc] = [[empty] if rpc == "StreamInstanceHistory" else empty]
        await client(method, *arguments)
        assert endpoint.received[-1][0] == rpc

    assert {rpc for rpc, _, _ in endpoint.received} | WORKERS == set(service.methods_by_name)
    await client.close()
