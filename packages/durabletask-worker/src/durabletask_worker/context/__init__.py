"""What user code is given: the context of an orchestration, and that of an activity."""

from durabletask_worker.context.activity import ActivityContext
from durabletask_worker.context.activity_calls import ActivityOptions
from durabletask_worker.context.children import ChildOptions
from durabletask_worker.context.entity_calls import EntityProxy
from durabletask_worker.context.facts import ReplaySafeLogger
from durabletask_worker.context.orchestration import OrchestrationContext

__all__ = [
    "ActivityContext",
    "ActivityOptions",
    "ChildOptions",
    "EntityProxy",
    "OrchestrationContext",
    "ReplaySafeLogger",
]
