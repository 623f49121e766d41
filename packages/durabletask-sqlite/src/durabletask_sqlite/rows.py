"""Between the contract's values and rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from durabletask_backend.mutations import Code, Outcome
from durabletask_backend.values import Instance, InstanceKey, Message, RuntimeStatus, Task, TaskKey

Row: TypeAlias = tuple[Any, ...]
"""What sqlite3 gives: its columns have the types of the schema."""
Statement: TypeAlias = tuple[str, Iterable[tuple[object, ...]]]
"""SQL, and one tuple of parameters for each time to run it."""

INSTANCE_COLUMNS = (
    "i.hub, i.instance_id, i.execution_id, i.name, i.version, i.status, i.created_at, i.updated_at, i.completed_at, "
    "i.scheduled_at, i.custom_status, i.failure, i.tags, i.parent_id, i.turn, i.turn_context, "
    "i.first_execution_id"
)
"""What `instance` reads, of a table called `i`; then output and input."""


def instance(row: Row) -> Instance:
    """An instance, from INSTANCE_COLUMNS, output and input."""
    tags = row[12]

    return Instance(
        key=InstanceKey(row[0], row[1]),
        execution_id=row[2],
        name=row[3],
        version=row[4],
        status=RuntimeStatus(row[5]),
        created_at=row[6],
        updated_at=row[7],
        completed_at=row[8],
        scheduled_at=row[9],
        custom_status=row[10],
        failure=row[11],
        tags={} if tags is None else json.loads(tags),
        parent_id=row[13],
        turn=row[14],
        turn_context=row[15],
        first_execution_id=row[16],
        output=row[17],
        input=row[18],
    )


def tags_text(tags: Mapping[str, str]) -> str | None:
    """Tags as they are stored."""
    return json.dumps(dict(tags)) if tags else None


def message(row: Row) -> Message:
    """A message, from sequence, execution_id, due_at, front, payload."""
    return Message(sequence=row[0], execution_id=row[1], due_at=row[2], front=bool(row[3]), payload=row[4])


def task(row: Row) -> Task:
    """A task, from hub, instance_id, execution_id, task_id, name, version, caller_version, out, payload."""
    return Task(
        key=TaskKey(*row[:4]), name=row[4], version=row[5], caller_version=row[6], out=bool(row[7]), payload=row[8]
    )


def outcomes_text(outcomes: Sequence[Outcome]) -> str:
    """Outcomes as they are stored."""
    return json.dumps(outcomes, separators=(",", ":"))


def outcomes(text: str) -> list[Outcome]:
    """Outcomes as they were stored."""
    return [_outcome(entry) for entry in json.loads(text)]


def _outcome(entry: Sequence[Any]) -> Outcome:
    code, sequence, status, effects = entry

    return Outcome(
        Code(code),
        sequence,
        None if status is None else RuntimeStatus(status),
        tuple(_outcome(effect) for effect in effects),
    )
