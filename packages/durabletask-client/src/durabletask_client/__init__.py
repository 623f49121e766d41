"""A thin gRPC client, sync and async, that drives a Durable Task hub."""

from durabletask_client.channel import ChannelOptions
from durabletask_client.client import AsyncTaskHubGrpcClient
from durabletask_client.errors import (
    ClientClosedError,
    DurableTaskClientError,
    InvalidRequestError,
    OrchestrationAlreadyExistsError,
    OrchestrationFailedError,
    OrchestrationNotFoundError,
    OrchestrationStatusError,
    RequestFailedError,
    ServerUnavailableError,
    UnsupportedRequestError,
)
from durabletask_client.history import HistoryEvent
from durabletask_client.models import (
    FailureDetails,
    OrchestrationIdReusePolicy,
    OrchestrationQuery,
    OrchestrationState,
    OrchestrationStatus,
    Page,
    PurgeInstancesResult,
)
from durabletask_client.serialization import DataConverter, JsonDataConverter
from durabletask_client.sync import TaskHubGrpcClient

__all__ = [
    # the clients
    "AsyncTaskHubGrpcClient",
    "ChannelOptions",
    "TaskHubGrpcClient",
    # what they ask and learn
    "FailureDetails",
    "HistoryEvent",
    "OrchestrationIdReusePolicy",
    "OrchestrationQuery",
    "OrchestrationState",
    "OrchestrationStatus",
    "Page",
    "PurgeInstancesResult",
    # payloads
    "DataConverter",
    "JsonDataConverter",
    # errors
    "ClientClosedError",
    "DurableTaskClientError",
    "InvalidRequestError",
    "OrchestrationAlreadyExistsError",
    "OrchestrationFailedError",
    "OrchestrationNotFoundError",
    "OrchestrationStatusError",
    "RequestFailedError",
    "ServerUnavailableError",
    "UnsupportedRequestError",
]
