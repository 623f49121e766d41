"""The Durable Task SDK: hosts Python orchestrators and activities."""

from durabletask_client.entities import EntityInstanceId
from durabletask_client.failures import FailureConverter, FailureDetails, MappedFailureConverter, NonRetryableError
from durabletask_client.serialization import DataConverter, JsonDataConverter

from durabletask_worker.concurrency import ConcurrencyOptions
from durabletask_worker.context import ActivityContext, OrchestrationContext, ReplaySafeLogger
from durabletask_worker.entity import DurableEntity, operation
from durabletask_worker.entity_context import EntityContext
from durabletask_worker.errors import (
    ActivityNotRegisteredError,
    DurableTaskWorkerError,
    EntityStateError,
    EntityTaskNotFoundError,
    NonDeterminismError,
    OrchestrationUnloaded,
    OrchestratorBlocked,
    OrchestratorNotRegisteredError,
    RegistrationError,
    TaskFailedError,
)
from durabletask_worker.execution.tasks import Task, when_all, when_any
from durabletask_worker.filters import (
    ActivityWorkItemFilter,
    EntityWorkItemFilter,
    OrchestrationWorkItemFilter,
    WorkItemFilters,
)
from durabletask_worker.middleware import Middleware
from durabletask_worker.registry import Registry
from durabletask_worker.retry import RetryAttempt, RetryPolicy
from durabletask_worker.statistics import WorkerStatistics
from durabletask_worker.versioning import VersionFailureStrategy, VersioningOptions, VersionMatchStrategy
from durabletask_worker.worker import TaskHubGrpcWorker

__all__ = [
    # the worker
    "ActivityWorkItemFilter",
    "ConcurrencyOptions",
    "EntityWorkItemFilter",
    "Middleware",
    "OrchestrationWorkItemFilter",
    "Registry",
    "TaskHubGrpcWorker",
    "VersionFailureStrategy",
    "VersionMatchStrategy",
    "VersioningOptions",
    "WorkItemFilters",
    "WorkerStatistics",
    # what user code works with
    "ActivityContext",
    "DurableEntity",
    "EntityContext",
    "EntityInstanceId",
    "OrchestrationContext",
    "ReplaySafeLogger",
    "RetryAttempt",
    "RetryPolicy",
    "Task",
    "operation",
    "when_all",
    "when_any",
    # payloads
    "DataConverter",
    "JsonDataConverter",
    # errors
    "ActivityNotRegisteredError",
    "DurableTaskWorkerError",
    "EntityStateError",
    "EntityTaskNotFoundError",
    "FailureConverter",
    "FailureDetails",
    "MappedFailureConverter",
    "NonDeterminismError",
    "NonRetryableError",
    "OrchestrationUnloaded",
    "OrchestratorBlocked",
    "OrchestratorNotRegisteredError",
    "RegistrationError",
    "TaskFailedError",
]
