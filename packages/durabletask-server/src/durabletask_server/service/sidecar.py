"""`TaskHubSidecarService`, put together. It attaches to any `grpc.aio.Server`."""

from __future__ import annotations

import grpc
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty

from durabletask_server.service.entities import EntityRpcs
from durabletask_server.service.hubs import HubRpcs
from durabletask_server.service.instances import InstanceRpcs
from durabletask_server.service.lifecycle import LifecycleRpcs
from durabletask_server.service.queries import QueryRpcs
from durabletask_server.service.rpc import Rpc, Rpcs
from durabletask_server.service.workitems import WorkItemRpcs
from durabletask_server.taskhub import TaskHubWorker

SERVICE = "TaskHubSidecarService"


def rpcs(hub: TaskHubWorker) -> dict[str, Rpc]:
    """Each RPC of an engine, by its name; to be called without gRPC, too."""
    made = Rpcs(hub.find_hub)
    unary, streaming = made.unary, made.streaming
    instances = InstanceRpcs(hub)
    lifecycle = LifecycleRpcs(hub)
    hubs = HubRpcs(hub)
    queries = QueryRpcs(hub)
    work = WorkItemRpcs(hub)
    entities = EntityRpcs(hub)

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
        "RewindInstance": unary(pb.RewindInstanceRequest, lifecycle.rewind),
        "RestartInstance": unary(pb.RestartInstanceRequest, lifecycle.restart),
        "SkipGracefulOrchestrationTerminations": unary(
            pb.SkipGracefulOrchestrationTerminationsRequest, lifecycle.skip_graceful_terminations
        ),
        "CreateTaskHub": unary(pb.CreateTaskHubRequest, hubs.create, needs_hub=False),
        "DeleteTaskHub": unary(pb.DeleteTaskHubRequest, hubs.delete),
        "QueryInstances": unary(pb.QueryInstancesRequest, queries.query),
        "ListInstanceIds": unary(pb.ListInstanceIdsRequest, queries.list_ids),
        "PurgeInstances": unary(pb.PurgeInstancesRequest, queries.purge),
        "StreamInstanceHistory": streaming(pb.StreamInstanceHistoryRequest, queries.stream_history),
        "GetWorkItems": streaming(pb.GetWorkItemsRequest, work.get_work_items),
        "CompleteActivityTask": unary(pb.ActivityResponse, work.complete_activity),
        "CompleteOrchestratorTask": unary(pb.OrchestratorResponse, work.complete_orchestrator),
        "AbandonTaskActivityWorkItem": unary(pb.AbandonActivityTaskRequest, work.abandon_activity),
        "AbandonTaskOrchestratorWorkItem": unary(pb.AbandonOrchestrationTaskRequest, work.abandon_orchestrator),
        "CompleteEntityTask": unary(pb.EntityBatchResult, work.complete_entity),
        "AbandonTaskEntityWorkItem": unary(pb.AbandonEntityTaskRequest, work.abandon_entity),
        "SignalEntity": unary(pb.SignalEntityRequest, entities.signal),
        "GetEntity": unary(pb.GetEntityRequest, entities.get),
        "QueryEntities": unary(pb.QueryEntitiesRequest, entities.query),
        "CleanEntityStorage": unary(pb.CleanEntityStorageRequest, entities.clean),
    }


def attach(server: grpc.aio.Server, hub: TaskHubWorker) -> None:
    """Serve a started engine on a gRPC server that is the caller's own."""
    handlers = {name: rpc.handler() for name, rpc in rpcs(hub).items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    # A second server on the port must fail, not share it.
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 64 << 20),
    # A window that is large from the start, in place of one that gRPC finds by a ping with each message.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 4 << 20),
    # A stream is dead when its pings go unanswered, and never because an item takes long.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Without it, gRPC waits a minute for an answer, whatever the line above says.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)
"""The options of the server that the command line starts."""
