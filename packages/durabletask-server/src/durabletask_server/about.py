"""What a line of the log is about, for formatters that show it as fields of their own."""

from __future__ import annotations

from typing import Any

from durabletask_backend.values import InstanceKey


def about(key: InstanceKey, name: str = "", trace_id: str = "") -> dict[str, Any]:
    """The `extra` of a log call.

    Args:
        key: The orchestration or entity.
        name: Of the orchestrator, activity or entity.
        trace_id: Of its trace.
    """
    known = {"hub": key.hub, "instance": key.instance_id, "name": name, "trace_id": trace_id}

    return {"durable": {field: value for field, value in known.items() if value}}
