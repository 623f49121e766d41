"""The Durable Task SDK: hosts Python orchestrators and activities."""

from durabletask_client.models import FailureDetails
from durabletask_client.serialization import DataConverter, JsonDataConverter

from durabletask_worker.concurrency import ConcurrencyOptions
from durabletask_worker.context import ActivityContext, OrchestrationContext, ReplaySafeLogger
from durabletask_worker.errors import (
    ActivityNotRegisteredError,
    DurableTaskWorkerError,
    NonDeterminismError,
    OrchestrationUnloaded,
    OrchestratorNotRegisteredError,
    RegistrationError,
    TaskFailedError,
)
from durabletask_worker.execution.tasks import Task, when_all, when_any
from durabletask_worker.registry import Registry
from durabletask_worker.retry import RetryPolicy
from durabletask_worker.worker import TaskHubGrpcWorker

__all__ = [
    # the worker
    "ConcurrencyOptions",
    "Registry",
    "TaskHubGrpcWorker",
    # what user code works with
    "ActivityContext",
    "OrchestrationContext",
    "ReplaySafeLogger",
    "RetryPolicy",
    "Task",
    "when_all",
    "when_any",
    # payloads
    "DataConverter",
    "JsonDataConverter",
    # errors
    "ActivityNotRegisteredError",
    "DurableTaskWorkerError",
    "FailureDetails",
    "NonDeterminismError",
    "OrchestrationUnloaded",
    "OrchestratorNotRegisteredError",
    "RegistrationError",
    "TaskFailedError",
]
