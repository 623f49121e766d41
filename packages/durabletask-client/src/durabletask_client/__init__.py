"""A thin gRPC client, sync and async, that drives a Durable Task hub."""

from durabletask_client.channel import ChannelOptions
from durabletask_client.client import AsyncTaskHubGrpcClient
from durabletask_client.codecs import AesGcmCodec, CodecDataConverter, PayloadCodec, PayloadCodecError, ZlibCodec
from durabletask_client.connection import ConnectionSettings
from durabletask_client.entities import CleanEntityStorageResult, EntityInstanceId, EntityMetadata, EntityQuery
from durabletask_client.errors import (
    ClientClosedError,
    DurableTaskClientError,
    InvalidRequestError,
    OrchestrationAlreadyExistsError,
    OrchestrationFailedError,
    OrchestrationNotFoundError,
    OrchestrationStatusError,
    OrchestrationTerminatedError,
    RequestFailedError,
    ServerUnavailableError,
    UnsupportedRequestError,
)
from durabletask_client.failures import (
    DefaultFailureConverter,
    FailureConverter,
    FailureDetails,
    MappedFailureConverter,
    NonRetryableError,
)
from durabletask_client.history import HistoryEvent
from durabletask_client.models import (
    OrchestrationIdReusePolicy,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)
from durabletask_client.serialization import DataConverter, JsonDataConverter
from durabletask_client.sync import TaskHubGrpcClient
from durabletask_client.tls import TlsOptions

__all__ = [
    # the clients
    "AsyncTaskHubGrpcClient",
    "ChannelOptions",
    "ConnectionSettings",
    "TaskHubGrpcClient",
    "TlsOptions",
    # what they ask and learn
    "CleanEntityStorageResult",
    "EntityInstanceId",
    "EntityMetadata",
    "EntityQuery",
    "FailureDetails",
    "HistoryEvent",
    "OrchestrationIdReusePolicy",
    "OrchestrationQuery",
    "OrchestrationState",
    "OrchestrationStatus",
    "Page",
    "PurgeInstancesResult",
    # payloads
    "AesGcmCodec",
    "CodecDataConverter",
    "DataConverter",
    "JsonDataConverter",
    "PayloadCodec",
    "ZlibCodec",
    # errors, and how they travel
    "DefaultFailureConverter",
    "FailureConverter",
    "MappedFailureConverter",
    "NonRetryableError",
    "ClientClosedError",
    "DurableTaskClientError",
    "InvalidRequestError",
    "OrchestrationAlreadyExistsError",
    "OrchestrationFailedError",
    "OrchestrationNotFoundError",
    "OrchestrationStatusError",
    "OrchestrationTerminatedError",
    "PayloadCodecError",
    "RequestFailedError",
    "ServerUnavailableError",
    "UnsupportedRequestError",
]
