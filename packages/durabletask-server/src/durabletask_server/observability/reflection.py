"""gRPC server reflection: tools such as grpcurl ask the server for its services and messages."""

from __future__ import annotations

import grpc
from durabletask_protos import SERVICE_NAME
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection

_NAMES = frozenset({"type_name", "input_type", "output_type"})
_HEALTH = "grpc.health.v1.Health"


def reflect(server: grpc.aio.Server) -> None:
    """Put reflection on a server, for the sidecar's and the health service.

    Args:
        server: It, not started yet.
    """
    reflection.enable_server_reflection((SERVICE_NAME, _HEALTH, reflection.SERVICE_NAME), server, pool=_pool())


def _pool() -> descriptor_pool.DescriptorPool:
    """Descriptors as they are on the wire. Ours are generated in a package of their own, so that they clash with nobody's."""
    pool = descriptor_pool.DescriptorPool()

    for module in (timestamp_pb2, duration_pb2, wrappers_pb2, empty_pb2, struct_pb2, health_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)

    from grpc_reflection.v1alpha import reflection_pb2

    pool.AddSerializedFile(reflection_pb2.DESCRIPTOR.serialized_pb)
    ours = descriptor_pb2.FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(ours)
    package = f".{ours.package}."
    ours.ClearField("package")
    _rename(ours, package)
    pool.AddSerializedFile(ours.SerializeToString())

    return pool


def _rename(message: Message, package: str) -> None:
    """Take the package out of all names of types in a descriptor."""
    for field, value in message.ListFields():
        if field.name in _NAMES:
            setattr(message, field.name, value.replace(package, "."))
        elif field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                if isinstance(part, Message):
                    _rename(part, package)
