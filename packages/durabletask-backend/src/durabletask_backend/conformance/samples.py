"""The values that the suite writes: small, and different wherever a difference could get lost."""

from __future__ import annotations

from collections.abc import Iterable

from durabletask_backend.mutations import (
    AppendMessage,
    CompleteEntityTurn,
    CompleteTask,
    CompleteTurn,
    CreateInstance,
    Effect,
    NextGeneration,
)
from durabletask_backend.values import (
    TERMINAL_STATUSES,
    EntityLock,
    Instance,
    InstanceKey,
    Micros,
    RuntimeStatus,
    Task,
    TaskKey,
)

HUB = "hub"
"""The hub that every test finds created."""
OTHER_HUB = "other"
"""A second hub, created by the tests that want one."""
START: Micros = 1_800_000_000_000_000
"""When the suite's instances are created, unless a test says otherwise."""
LATER: Micros = START + 3_600_000_000
"""An hour after `START`."""

ODD_IDS = (
    "a b",
    "%",
    "_",
    "a%b_c",
    "\\",
    "'; DROP TABLE instances; --",
    '"quoted"',
    "[0]",
    "$.id",
    "counter@1",
    "new\nline\ttab",
    "\x01\x7f",
    "é",
    "e\u0301",
    "日本語",
    "\U0001f600",
    "\uffff",
    "\U0010ffff",
    "A",
    "a",
    " ",
    "x" * 512,
)
"""Instance ids that a careless query or encoding trips over. None has a NUL, which not every store keeps, or begins with `@`."""


def key(instance_id: str = "i", hub: str = HUB) -> InstanceKey:
    """The key of an instance."""
    return InstanceKey(hub, instance_id)


def instance(
    of: InstanceKey,
    execution_id: str = "g1",
    *,
    status: RuntimeStatus = RuntimeStatus.PENDING,
    created_at: Micros = START,
    input: str | None = None,
    parent_id: str | None = None,
) -> Instance:
    """The record of a new instance."""
    return Instance(
        key=of,
        execution_id=execution_id,
        name="Orchestrate",
        status=status,
        created_at=created_at,
        updated_at=created_at,
        input=input,
        parent_id=parent_id,
    )


def full_instance(of: InstanceKey, execution_id: str = "g1") -> Instance:
    """A record in which no field has its default, but those that only a turn sets."""
    return Instance(
        key=of,
        execution_id=execution_id,
        name="Örchestrate",
        version="2.1",
        status=RuntimeStatus.PENDING,
        created_at=START + 1,
        updated_at=START + 2,
        scheduled_at=LATER,
        input='{"text": "zażółć \U0001f600"}',
        tags={"team": "blue", "": "empty key", "ünï": ""},
        parent_id="parent'%_",
    )


def create(
    of: InstanceKey,
    execution_id: str = "g1",
    *,
    start: bytes = b"start",
    due_at: Micros | None = None,
    replace: Iterable[RuntimeStatus] = (),
    on_conflict: AppendMessage | None = None,
    created_at: Micros = START,
    parent_id: str | None = None,
    input: str | None = None,
) -> CreateInstance:
    """The creation of an instance."""
    return CreateInstance(
        instance=instance(of, execution_id, created_at=created_at, parent_id=parent_id, input=input),
        start=start,
        due_at=due_at,
        replace=frozenset(replace),
        on_conflict=on_conflict,
    )


def append(
    to: InstanceKey,
    payload: bytes = b"message",
    *,
    execution_id: str | None = None,
    due_at: Micros | None = None,
    front: bool = False,
    at: Micros = START,
    otherwise: Iterable[AppendMessage] = (),
) -> AppendMessage:
    """A message."""
    return AppendMessage(
        key=to,
        payload=payload,
        execution_id=execution_id,
        due_at=due_at,
        front=front,
        at=at,
        otherwise=tuple(otherwise),
    )


def task_key(of: InstanceKey, task_id: int = 1, execution_id: str = "g1") -> TaskKey:
    """The key of an activity of an instance."""
    return TaskKey(of.hub, of.instance_id, execution_id, task_id)


def task(of: InstanceKey, task_id: int = 1, execution_id: str = "g1", *, payload: bytes = b"request") -> Task:
    """An activity of an instance."""
    return Task(key=task_key(of, task_id, execution_id), name="Act", payload=payload)


def answer(of: InstanceKey, task_id: int = 1, execution_id: str = "g1", *, payload: bytes = b"answer") -> CompleteTask:
    """The answer of an activity."""
    return CompleteTask(task=task_key(of, task_id, execution_id), payload=payload)


def turn(
    of: InstanceKey,
    number: int = 0,
    execution_id: str = "g1",
    *,
    status: RuntimeStatus = RuntimeStatus.RUNNING,
    at: Micros = START + 1000,
    history: Iterable[bytes] = (),
    history_first: int = 0,
    consumed: Iterable[int] = (),
    tasks: Iterable[Task] = (),
    effects: Iterable[Effect] = (),
    generation: NextGeneration | None = None,
    output: str | None = None,
) -> CompleteTurn:
    """A turn; one with a terminal status completes the instance `at`."""
    events = tuple(history)

    return CompleteTurn(
        key=of,
        execution_id=execution_id,
        turn=number,
        status=status,
        updated_at=at,
        completed_at=at if status in TERMINAL_STATUSES else None,
        output=output,
        history=b"".join(map(framed, events)),
        history_first=history_first,
        history_count=len(events),
        consumed=tuple(consumed),
        tasks=tuple(tasks),
        effects=tuple(effects),
        generation=generation,
    )


def entity_turn(
    of: InstanceKey,
    number: int = 0,
    *,
    state: str | None = None,
    lock: EntityLock | None = None,
    at: Micros = START + 1000,
    consumed: Iterable[int] = (),
    effects: Iterable[Effect] = (),
) -> CompleteEntityTurn:
    """A turn of an entity."""
    return CompleteEntityTurn(
        key=of,
        turn=number,
        state=state,
        lock=lock,
        modified_at=at,
        consumed=tuple(consumed),
        effects=tuple(effects),
    )


def entity_lock(instance_id: str = "holder", execution_id: str = "g1") -> EntityLock:
    """The lock of an entity by a critical section."""
    return EntityLock(instance_id=instance_id, execution_id=execution_id, section_id="section")


def generation(execution_id: str = "g2", *, input: str | None = "again") -> NextGeneration:
    """A next generation, as continue-as-new makes it."""
    return NextGeneration(execution_id=execution_id, input=input, version="3", tags={"round": execution_id})


def framed(event: bytes) -> bytes:
    """An event as a history has it: 0x1a, the length as a base-128 varint, the event."""
    length = len(event)
    prefix = bytearray(b"\x1a")

    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7

    prefix.append(length)

    return bytes(prefix) + event
