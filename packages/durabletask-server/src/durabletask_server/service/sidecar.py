"""`TaskHubSidecarService`, put together. It attaches to any `grpc.aio.Server`."""

from __future__ import annotations

import grpc
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty

from durabletask_server.service.instances import InstanceRpcs
from durabletask_server.service.queries import QueryRpcs
from durabletask_server.service.rpc import streaming, unary, unimplemented
from durabletask_server.service.workitems import WorkItemRpcs
from durabletask_server.taskhub import TaskHubWorker

SERVICE = "TaskHubSidecarService"

YET_TO_COME = (
    "RewindInstance",
    "RestartInstance",
    "CreateTaskHub",
    "DeleteTaskHub",
    "SignalEntity",
    "GetEntity",
    "QueryEntities",
    "CleanEntityStorage",
    "CompleteEntityTask",
    "AbandonTaskEntityWorkItem",
    "SkipGracefulOrchestrationTerminations",
)
"""RPCs that are answered with UNIMPLEMENTED."""


def handlers(hub: TaskHubWorker) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
    """The handler of each RPC, by its name."""
    instances = InstanceRpcs(hub)
    queries = QueryRpcs(hub)
    work = WorkItemRpcs(hub)

    return {
        "Hello": unary(Empty, work.hello),
        "StartInstance": unary(pb.CreateInstanceRequest, instances.start_instance),
        "GetInstance": unary(pb.GetInstanceRequest, instances.get_instance),
        "WaitForInstanceStart": unary(pb.GetInstanceRequest, instances.wait_for_start),
        "WaitForInstanceCompletion": unary(pb.GetInstanceRequest, instances.wait_for_completion),
        "RaiseEvent": unary(pb.RaiseEventRequest, instances.raise_event),
        "TerminateInstance": unary(pb.TerminateRequest, instances.terminate),
        "SuspendInstance": unary(pb.SuspendRequest, instances.suspend),
        "ResumeInstance": unary(pb.ResumeRequest, instances.resume),
        "QueryInstances": unary(pb.QueryInstancesRequest, queries.query),
        "ListInstanceIds": unary(pb.ListInstanceIdsRequest, queries.list_ids),
        "PurgeInstances": unary(pb.PurgeInstancesRequest, queries.purge),
        "StreamInstanceHistory": streaming(pb.StreamInstanceHistoryRequest, queries.stream_history),
        "GetWorkItems": streaming(pb.GetWorkItemsRequest, work.get_work_items),
        "CompleteActivityTask": unary(pb.ActivityResponse, work.complete_activity),
        "CompleteOrchestratorTask": unary(pb.OrchestratorResponse, work.complete_orchestrator),
        "AbandonTaskActivityWorkItem": unary(pb.AbandonActivityTaskRequest, work.abandon_activity),
        "AbandonTaskOrchestratorWorkItem": unary(pb.AbandonOrchestrationTaskRequest, work.abandon_orchestrator),
        **{name: unimplemented(name) for name in YET_TO_COME},
    }


def attach(server: grpc.aio.Server, hub: TaskHubWorker) -> None:
    """Serve a started engine on a gRPC server that is the caller's own."""
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers(hub)),))


SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    # A second server on the port must fail, not share it.
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 64 << 20),
    # A stream is dead when its pings go unanswered, and never because an item takes long.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)
"""The options of the server that the command line starts."""
