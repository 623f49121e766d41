"""The Durable Task sidecar protocol: the .proto and its generated, typed Python code.

Import the modules themselves; this package loads neither, so that it costs nothing:

- `durabletask_protos.orchestrator_service_pb2`: the messages and enums;
- `durabletask_protos.orchestrator_service_pb2_grpc`: the stub for clients and workers, the servicer for servers.

`orchestrator_service.proto` beside them is the source of both, and describes every message and RPC.
"""

__all__ = ["SERVICE_NAME"]

SERVICE_NAME = "TaskHubSidecarService"
"""The service's name on the wire, as in the path `/TaskHubSidecarService/Hello`."""
