"""Deciding a batch, mutation by mutation, on what was there and on what the mutations before it made of that."""

from __future__ import annotations

from dataclasses import replace

from durabletask_backend._reads import EntityHead, Head, Stored
from durabletask_backend._writes import HistoryRow, InboxRow, WriteSet, entity_turn_applied, turn_applied
from durabletask_backend.mutations import (
    AppendMessage,
    Batch,
    Code,
    CompleteEntityTurn,
    CompleteTask,
    CompleteTurn,
    CreateInstance,
    Effect,
    MarkTasksOut,
    Outcome,
    PurgeEntity,
    PurgeInstance,
    RewindInstances,
)
from durabletask_backend.values import TERMINAL_STATUSES, Entity, InstanceKey, Message, RuntimeStatus, Task, TaskKey


class Planner:
    """The state of one batch's decision.

    Args:
        batch: Whose; its mutations are given to `apply`, in order.
        stored: What there is of all that `rows_read` names.
        next_sequence: The first unused message sequence.
    """

    def __init__(self, batch: Batch, stored: Stored, next_sequence: int) -> None:
        self._owner = batch.lease.owner
        self._stored = stored
        self._heads: dict[InstanceKey, Head] = dict(stored.instances)
        self._entities: dict[InstanceKey, EntityHead] = dict(stored.entities)
        self._open_tasks: dict[InstanceKey, set[TaskKey]] = {}
        self._sequence = next_sequence
        self._writes = WriteSet()
        # Rows to insert are kept by instance until the end: a later mutation of the batch may void them.
        self._inbox: dict[InstanceKey, list[Message]] = {}
        self._tasks: dict[InstanceKey, list[Task]] = {}
        self._history: dict[InstanceKey, list[HistoryRow]] = {}
        self._turns: dict[InstanceKey, list[CompleteTurn]] = {}
        self._entity_turns: dict[InstanceKey, list[CompleteEntityTurn]] = {}

        for task in stored.tasks:
            self._open_tasks.setdefault(task.instance, set()).add(task)

    def apply(self, mutation: object) -> Outcome:
        """Decide the next mutation.

        Raises:
            TypeError: It is none.
        """
        match mutation:
            case CompleteTurn():
                return self._complete_turn(mutation)
            case CompleteTask():
                return self._complete_task(mutation)
            case AppendMessage():
                return self._append(mutation)
            case CreateInstance():
                return self._create(mutation)
            case CompleteEntityTurn():
                return self._complete_entity_turn(mutation)
            case RewindInstances():
                return self._rewind(mutation)
            case PurgeInstance():
                return self._purge(mutation)
            case PurgeEntity():
                return self._purge_entity(mutation)
            case MarkTasksOut():
                return self._mark_out(mutation)
            case _:
                raise TypeError(f"{type(mutation).__name__} is not a mutation")

    def write_set(self) -> WriteSet:
        """What the mutations come to."""
        writes = self._writes
        writes.turns = [turn for turns in self._turns.values() for turn in turns]
        writes.entity_turns = [turn for turns in self._entity_turns.values() for turn in turns]
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
        refused = self._refusal(append)

        if refused is None:
            return self._put(append.key, append.payload, append.execution_id, append.due_at, append.front)

        if append.otherwise:
            return refused._replace(effects=tuple(map(self._append, append.otherwise)))

        return refused

    def _refusal(self, append: AppendMessage) -> Outcome | None:
        if append.key.is_entity:
            return self._no_entity(append)

        head = self._heads.get(append.key)

        if head is None:
            return Outcome(Code.MISSING)

        if head.status in TERMINAL_STATUSES:
            return Outcome(Code.TERMINAL, status=head.status)

        if append.execution_id is not None and append.execution_id != head.execution_id:
            return Outcome(Code.SUPERSEDED)

        return None

    def _no_entity(self, append: AppendMessage) -> Outcome | None:
        """Let the entity come to be if there is none, or say why it cannot."""
        key = append.key

        if key in self._entities:
            return None

        if key.hub not in self._stored.hubs:
            return Outcome(Code.NO_HUB)

        self._entities[key] = EntityHead(0, False, self._owner)
        self._writes.entities_created[key] = Entity(key=key, modified_at=append.at)

        return None

    def _create(self, create: CreateInstance) -> Outcome:
        instance = create.instance
        key = instance.key
        head = self._heads.get(key)
        code = Code.APPLIED

        if head is not None:
            if instance.execution_id in (head.execution_id, head.first_execution_id):
                return Outcome(Code.UNCHANGED, status=head.status)

            if head.status not in create.replace:
                answered = () if create.on_conflict is None else (self._append(create.on_conflict),)
                return Outcome(Code.EXISTS, status=head.status, effects=answered)

            self._reset(key)
            code = Code.REPLACED
        elif key.hub not in self._stored.hubs:
            return Outcome(Code.NO_HUB)

        self._heads[key] = Head(instance.execution_id, instance.status, instance.turn, self._owner)
        self._writes.created[key] = instance
        started = self._put(key, create.start, instance.execution_id, create.due_at, True)

        if code is Code.REPLACED and create.on_replaced:
            return Outcome(code, started.sequence, effects=tuple(map(self._append, create.on_replaced)))

        return Outcome(code, started.sequence)

    def _complete_turn(self, turn: CompleteTurn) -> Outcome:
        if not self._is_current(turn):
            return Outcome(Code.STALE)

        self._apply_turn(turn)

        return Outcome(Code.APPLIED, effects=self._apply_effects(turn.effects))

    def _rewind(self, rewind: RewindInstances) -> Outcome:
        turns = rewind.turns
        failed = all(self._is_latest(turn) and self._heads[turn.key].status is RuntimeStatus.FAILED for turn in turns)

        # Of two turns of one instance the second would be decided on a turn that is not current any more.
        if not failed or len({turn.key for turn in turns}) < len(turns):
            return Outcome(Code.STALE)

        # All of them before their effects: what one does to another meets it rewound.
        for turn in turns:
            self._apply_turn(turn, rewinding=True)

        return Outcome(
            Code.APPLIED,
            effects=tuple(Outcome(Code.APPLIED, effects=self._apply_effects(turn.effects)) for turn in turns),
        )

    def _is_current(self, turn: CompleteTurn) -> bool:
        return self._is_latest(turn) and self._heads[turn.key].owner in (None, self._owner)

    def _is_latest(self, turn: CompleteTurn) -> bool:
        head = self._heads.get(turn.key)

        return head is not None and head.execution_id == turn.execution_id and head.turn == turn.turn

    def _apply_turn(self, turn: CompleteTurn, *, rewinding: bool = False) -> None:
        """Apply all of a turn but its effects."""
        key = turn.key
        execution_id = turn.execution_id if turn.generation is None else turn.generation.execution_id
        first = self._heads[key].first_execution_id or (None if turn.generation is None else turn.execution_id)
        self._heads[key] = Head(execution_id, turn.status, turn.turn + 1, self._owner, first)
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

        if rewinding:
            self._history.pop(key, None)

            if created is None:
                self._writes.history_cleared.add(key)

        if turn.history_count and (rewinding or turn.generation is None):
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

    def _apply_effects(self, effects: tuple[Effect, ...]) -> tuple[Outcome, ...]:
        return tuple(
            self._create(effect) if isinstance(effect, CreateInstance) else self._append(effect) for effect in effects
        )

    def _complete_entity_turn(self, turn: CompleteEntityTurn) -> Outcome:
        key = turn.key
        head = self._entities.get(key)

        if head is None or head.turn != turn.turn or head.owner not in (None, self._owner):
            return Outcome(Code.STALE)

        held = turn.state is not None or turn.lock is not None
        self._entities[key] = EntityHead(turn.turn + 1, held, self._owner, head.waiting.difference(turn.consumed))

        if key in self._writes.entities_created:
            self._writes.entities_created[key] = entity_turn_applied(turn)
        else:
            self._entity_turns.setdefault(key, []).append(turn)

        self._forget_consumed(key, turn.consumed)
        self._writes.consumed.extend(turn.consumed)

        return Outcome(Code.APPLIED, effects=self._apply_effects(turn.effects))

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

    def _purge_entity(self, purge: PurgeEntity) -> Outcome:
        key = purge.key
        head = self._entities.get(key)

        if head is None:
            return Outcome(Code.MISSING)

        if purge.only_empty and (head.held or head.waiting or self._inbox.get(key)):
            return Outcome(Code.NOT_EMPTY)

        del self._entities[key]
        self._inbox.pop(key, None)
        self._writes.entities_created.pop(key, None)
        self._entity_turns.pop(key, None)

        if key in self._stored.entities:
            self._writes.entities_deleted.add(key)

        return Outcome(Code.APPLIED)

    def _reset(self, key: InstanceKey) -> None:
        self._inbox.pop(key, None)
        self._drop_tasks(key)
        self._history.pop(key, None)
        self._turns.pop(key, None)
        self._writes.created.pop(key, None)
        self._writes.new_generation.pop(key, None)
        self._writes.history_cleared.discard(key)

        if key in self._stored.instances:
            self._writes.reset.add(key)
