"""The rules of a commit, written once: from a batch and the rows it touches to outcomes and writes. Pure.

A backend reads what `rows_read` names, calls `plan`, and writes the resulting `WriteSet`: deletions first, then updates, then
insertions. Within each group order does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from durabletask_backend.mutations import (
    AppendMessage,
    Batch,
    Code,
    CompleteTask,
    CompleteTurn,
    CreateInstance,
    Effect,
    MarkTasksOut,
    Outcome,
    PurgeInstance,
)
from durabletask_backend.values import TERMINAL_STATUSES, Instance, InstanceKey, Message, RuntimeStatus, Task, TaskKey


class Head(NamedTuple):
    """The part of a stored instance that conditions ask about."""

    execution_id: str
    status: RuntimeStatus
    turn: int
    owner: str | None = None
    """The live owner, None when it has none; a backend with one owner may leave it None."""


class HistoryRow(NamedTuple):
    """Events to append to a history."""

    key: InstanceKey
    execution_id: str
    first: int
    length: int
    events: bytes


class InboxRow(NamedTuple):
    """A message to insert."""

    key: InstanceKey
    message: Message


@dataclass(slots=True)
class WriteSet:
    """What a backend has to write for a batch. Deletions name what was there before the batch."""

    reset: set[InstanceKey] = field(default_factory=set)
    """Delete the instance (its record, history, inbox, tasks): it was purged or replaced."""
    new_generation: dict[InstanceKey, str] = field(default_factory=dict)
    """Delete the history and the tasks of the instance, and the messages bound to this, its old, generation."""
    inbox_cleared: set[InstanceKey] = field(default_factory=set)
    """Delete all messages of the instance."""
    tasks_cleared: set[InstanceKey] = field(default_factory=set)
    """Delete all open tasks of the instance."""
    consumed: list[int] = field(default_factory=list)
    """Delete these messages, by sequence. Some may be gone already."""
    finished: list[TaskKey] = field(default_factory=list)
    """Delete these tasks. Some may be gone already."""
    created: dict[InstanceKey, Instance] = field(default_factory=dict)
    """Insert these instances, owned by the batch's owner, as the turns of this batch left them."""
    turns: list[CompleteTurn] = field(default_factory=list)
    """Update the record of each of these instances (with `generation`: also what that says); owner is the batch's."""
    history: list[HistoryRow] = field(default_factory=list)
    inbox: list[InboxRow] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    """Insert these open tasks, owned by the batch's owner."""
    out: list[TaskKey] = field(default_factory=list)
    """Mark these tasks as held by a worker; some may be gone."""
    next_sequence: int = 0
    """The first sequence that the batch left unused."""


def rows_read(batch: Batch) -> tuple[set[InstanceKey], set[TaskKey]]:
    """What the conditions of a batch ask about: instances (for `Head`) and tasks (whether they are open)."""
    instances: set[InstanceKey] = set()
    tasks: set[TaskKey] = set()

    for mutation in batch.mutations:
        match mutation:
            case CompleteTurn():
                instances.add(mutation.key)
                _effect_keys(mutation.effects, instances)

            case CompleteTask():
                tasks.add(mutation.task)
                instances.add(mutation.task.instance)

            case CreateInstance() | AppendMessage():
                _effect_keys((mutation,), instances)

            case PurgeInstance():
                instances.add(mutation.key)

            case MarkTasksOut():
                pass

    return instances, tasks


def _effect_keys(effects: Iterable[Effect], into: set[InstanceKey]) -> None:
    for effect in effects:
        if isinstance(effect, CreateInstance):
            into.add(effect.instance.key)

            if effect.on_conflict is not None:
                into.add(effect.on_conflict.key)
        else:
            into.add(effect.key)


def plan(
    batch: Batch, heads: Mapping[InstanceKey, Head], open_tasks: AbstractSet[TaskKey], next_sequence: int
) -> tuple[list[Outcome], WriteSet]:
    """Decide a batch.

    Args:
        batch: The mutations, in order.
        heads: The heads of all instances that `rows_read` names and that exist.
        open_tasks: Which of the tasks that `rows_read` names are open.
        next_sequence: The first unused message sequence, 1 or more.

    Returns:
        One outcome a mutation, and what to write.
    """
    planner = _Planner(batch, heads, open_tasks, next_sequence)
    outcomes = [planner.apply(mutation) for mutation in batch.mutations]

    return outcomes, planner.write_set()


class _Planner:
    def __init__(
        self, batch: Batch, heads: Mapping[InstanceKey, Head], open_tasks: AbstractSet[TaskKey], next_sequence: int
    ) -> None:
        self._owner = batch.lease.owner
        self._heads: dict[InstanceKey, Head] = dict(heads)
        self._open_tasks: dict[InstanceKey, set[TaskKey]] = {}
        self._sequence = next_sequence
        self._writes = WriteSet()
        self._stored = frozenset(heads)
        # Rows to insert are kept by instance until the end: a later mutation of the batch may void them.
        self._inbox: dict[InstanceKey, list[Message]] = {}
        self._tasks: dict[InstanceKey, list[Task]] = {}
        self._history: dict[InstanceKey, list[HistoryRow]] = {}
        self._turns: dict[InstanceKey, list[CompleteTurn]] = {}

        for task in open_tasks:
            self._open_tasks.setdefault(task.instance, set()).add(task)

    def apply(self, mutation: object) -> Outcome:
        match mutation:
            case CompleteTurn():
                return self._complete_turn(mutation)
            case CompleteTask():
                return self._complete_task(mutation)
            case AppendMessage():
                return self._append(mutation)
            case CreateInstance():
                return self._create(mutation)
            case PurgeInstance():
                return self._purge(mutation)
            case MarkTasksOut():
                return self._mark_out(mutation)
            case _:
                raise TypeError(f"{type(mutation).__name__} is not a mutation")

    def write_set(self) -> WriteSet:
        writes = self._writes
        writes.turns = [turn for turns in self._turns.values() for turn in turns]
        writes.history = [row for rows in self._history.values() for row in rows]
        writes.inbox = [InboxRow(key, message) for key, messages in self._inbox.items() for message in messages]
        writes.tasks = [task for tasks in self._tasks.values() for task in tasks]
        writes.next_sequence = self._sequence

        return writes

    def _put(
        self, key: InstanceKey, payload: bytes, execution_id: str | None, due_at: int | None, front: bool
    ) -> Outcome:
        sequence = self._sequence
        self._sequence = sequence + 1
        message = Message(sequence=sequence, payload=payload, execution_id=execution_id, due_at=due_at, front=front)
        self._inbox.setdefault(key, []).append(message)

        return Outcome(Code.APPLIED, sequence)

    def _append(self, append: AppendMessage) -> Outcome:
        head = self._heads.get(append.key)

        if head is None:
            return Outcome(Code.MISSING)

        if head.status in TERMINAL_STATUSES:
            return Outcome(Code.TERMINAL, status=head.status)

        if append.execution_id is not None and append.execution_id != head.execution_id:
            return Outcome(Code.SUPERSEDED)

        return self._put(append.key, append.payload, append.execution_id, append.due_at, append.front)

    def _create(self, create: CreateInstance) -> Outcome:
        instance = create.instance
        key = instance.key
        head = self._heads.get(key)
        code = Code.APPLIED

        if head is not None:
            if head.execution_id == instance.execution_id:
                return Outcome(Code.UNCHANGED, status=head.status)

            if head.status not in create.replace:
                answered = () if create.on_conflict is None else (self._append(create.on_conflict),)
                return Outcome(Code.EXISTS, status=head.status, effects=answered)

            self._reset(key)
            code = Code.REPLACED

        self._heads[key] = Head(instance.execution_id, instance.status, instance.turn, self._owner)
        self._writes.created[key] = instance
        started = self._put(key, create.start, instance.execution_id, create.due_at, True)

        return Outcome(code, started.sequence)

    def _complete_turn(self, turn: CompleteTurn) -> Outcome:
        key = turn.key
        head = self._heads.get(key)

        if (
            head is None
            or head.execution_id != turn.execution_id
            or head.turn != turn.turn
            or head.owner not in (None, self._owner)
        ):
            return Outcome(Code.STALE)

        execution_id = turn.execution_id if turn.generation is None else turn.generation.execution_id
        self._heads[key] = Head(execution_id, turn.status, turn.turn + 1, self._owner)
        created = self._writes.created.get(key)

        if created is None:
            self._turns.setdefault(key, []).append(turn)
        else:
            self._writes.created[key] = turn_applied(created, turn)

        self._forget_consumed(key, turn.consumed)

        if turn.status not in TERMINAL_STATUSES:
            self._writes.consumed.extend(turn.consumed)

        if turn.generation is not None:
            self._start_generation(key, turn.execution_id)
        elif turn.history_count:
            row = HistoryRow(key, execution_id, turn.history_first, turn.history_count, turn.history)
            self._history.setdefault(key, []).append(row)

        if turn.status in TERMINAL_STATUSES:
            self._inbox.pop(key, None)
            self._writes.inbox_cleared.add(key)

            if turn.status is not RuntimeStatus.COMPLETED:
                self._drop_tasks(key)
                self._writes.tasks_cleared.add(key)

        if turn.tasks:
            self._tasks.setdefault(key, []).extend(turn.tasks)
            self._open_tasks.setdefault(key, set()).update(task.key for task in turn.tasks)

        effects = tuple(
            self._create(effect) if isinstance(effect, CreateInstance) else self._append(effect)
            for effect in turn.effects
        )

        return Outcome(Code.APPLIED, effects=effects)

    def _forget_consumed(self, key: InstanceKey, consumed: tuple[int, ...]) -> None:
        pending = self._inbox.get(key)

        if pending:
            taken = frozenset(consumed)
            self._inbox[key] = [message for message in pending if message.sequence not in taken]

    def _start_generation(self, key: InstanceKey, old: str) -> None:
        self._history.pop(key, None)
        self._drop_tasks(key)

        if key not in self._writes.created:
            self._writes.new_generation.setdefault(key, old)

        pending = self._inbox.get(key)

        if pending:
            self._inbox[key] = [message for message in pending if message.execution_id != old]

    def _complete_task(self, complete: CompleteTask) -> Outcome:
        task = complete.task
        key = task.instance
        still_open = self._open_tasks.get(key)

        if still_open is None or task not in still_open:
            return Outcome(Code.MISSING)

        still_open.discard(task)
        self._writes.finished.append(task)
        pending = self._tasks.get(key)

        if pending:
            self._tasks[key] = [new for new in pending if new.key != task]

        return self._append(AppendMessage(key=key, payload=complete.payload, execution_id=task.execution_id))

    def _drop_tasks(self, key: InstanceKey) -> None:
        self._tasks.pop(key, None)
        self._open_tasks.pop(key, None)

    def _mark_out(self, mark: MarkTasksOut) -> Outcome:
        self._writes.out.extend(mark.tasks)

        for task in mark.tasks:
            pending = self._tasks.get(task.instance)

            if pending:
                self._tasks[task.instance] = [replace(new, out=True) if new.key == task else new for new in pending]

        return Outcome(Code.APPLIED)

    def _purge(self, purge: PurgeInstance) -> Outcome:
        head = self._heads.get(purge.key)

        if head is None:
            return Outcome(Code.MISSING)

        if head.status not in TERMINAL_STATUSES:
            return Outcome(Code.NOT_TERMINAL, status=head.status)

        self._reset(purge.key)
        del self._heads[purge.key]

        return Outcome(Code.APPLIED)

    def _reset(self, key: InstanceKey) -> None:
        self._inbox.pop(key, None)
        self._drop_tasks(key)
        self._history.pop(key, None)
        self._turns.pop(key, None)
        self._writes.created.pop(key, None)
        self._writes.new_generation.pop(key, None)

        if key in self._stored:
            self._writes.reset.add(key)


def turn_applied(instance: Instance, turn: CompleteTurn) -> Instance:
    """The record of an instance after a turn of it was applied."""
    generation = turn.generation or instance

    # Spelled out: `dataclasses.replace` would take four times as long, and every turn passes here.
    return Instance(
        key=instance.key,
        execution_id=generation.execution_id,
        name=instance.name,
        version=generation.version,
        status=turn.status,
        created_at=instance.created_at,
        updated_at=turn.updated_at,
        completed_at=turn.completed_at,
        scheduled_at=instance.scheduled_at,
        input=generation.input,
        output=turn.output,
        custom_status=turn.custom_status,
        failure=turn.failure,
        tags=generation.tags,
        parent_id=instance.parent_id,
        turn=turn.turn + 1,
        turn_context=turn.turn_context,
    )
