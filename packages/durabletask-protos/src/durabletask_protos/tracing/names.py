"""What spans and their attributes are called. `docs/observability.md` lists them, and a test compares the two."""

from __future__ import annotations

SCOPE = "durabletask"
"""The instrumentation scope of all spans."""

TYPE = "durabletask.type"
NAME = "durabletask.task.name"
VERSION = "durabletask.task.version"
INSTANCE_ID = "durabletask.task.instance_id"
EXECUTION_ID = "durabletask.task.execution_id"
TASK_ID = "durabletask.task.task_id"
STATUS = "durabletask.task.status"
TARGET = "durabletask.event.target_instance_id"
FIRE_AT = "durabletask.fire_at"
ENTITY_OPERATION = "durabletask.entity.operation"
ENTITY_ID = "durabletask.entity.instance_id"
ATTRIBUTES = (
    TYPE,
    NAME,
    VERSION,
    INSTANCE_ID,
    EXECUTION_ID,
    TASK_ID,
    STATUS,
    TARGET,
    FIRE_AT,
    ENTITY_OPERATION,
    ENTITY_ID,
)

ORCHESTRATION = "orchestration"
ACTIVITY = "activity"
TIMER = "timer"
EVENT = "event"
ENTITY = "entity"
TYPES = (ORCHESTRATION, ACTIVITY, TIMER, EVENT, ENTITY)
"""The values of `TYPE`."""

RECEIVED, SUSPENDED, RESUMED = "Received external event", "Execution suspended", "Execution resumed"
SPAN_EVENTS = (RECEIVED, SUSPENDED, RESUMED)
"""What an orchestration's span has as events."""


def _versioned(name: str, version: str) -> str:
    return f"{name}@({version})" if version else name


def create_orchestration(name: str, version: str = "") -> str:
    """The start of an orchestration, in a client."""
    return _versioned(f"create_orchestration:{name}", version)


def orchestration(name: str, version: str = "") -> str:
    """An orchestration; in its parent, the wait for it."""
    return _versioned(f"orchestration:{name}", version)


def activity(name: str, version: str = "") -> str:
    """An activity; in its orchestration, the wait for it."""
    return _versioned(f"activity:{name}", version)


def timer(orchestration_name: str) -> str:
    """A timer that fired."""
    return f"orchestration:{orchestration_name}:timer"


def orchestration_event(name: str) -> str:
    """An event on its way to an orchestration."""
    return f"orchestration_event:{name}"


def entity_name(instance_id: str) -> str:
    """The entity in the id of an instance of it: `counter` in `@counter@main`."""
    return instance_id.removeprefix("@").split("@", 1)[0]


def entity(instance_id: str, operation: str) -> str:
    """An operation of an entity, where it runs."""
    return f"entity:{entity_name(instance_id)}:{operation}"


def call_entity(instance_id: str, operation: str) -> str:
    """The wait of an orchestration for an operation."""
    return f"call_entity:{entity_name(instance_id)}:{operation}"


def signal_entity(instance_id: str, operation: str) -> str:
    """A signal on its way to an entity."""
    return f"signal_entity:{entity_name(instance_id)}:{operation}"


SPANS = (
    create_orchestration("<name>"),
    orchestration("<name>"),
    activity("<name>"),
    timer("<name>"),
    orchestration_event("<event>"),
    entity("<entity>", "<operation>"),
    call_entity("<entity>", "<operation>"),
    signal_entity("<entity>", "<operation>"),
)
"""All there are."""
