"""Turns of entities: from an inbox to what a worker is asked, or to what the engine does alone; and from the answer to what is committed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from durabletask_backend.mutations import AppendMessage, CompleteEntityTurn, Effect
from durabletask_backend.plan import entity_turn_applied
from durabletask_backend.values import Entity, EntityLock, Micros
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import events, locks
from durabletask_server.engine.ids import NewId
from durabletask_server.engine.lifecycle import InvalidRequestError
from durabletask_server.engine.lifecycle import entity_key as entity_key
from durabletask_server.engine.outgoing import perform, reply
from durabletask_server.engine.postmark import bare, postmark
from durabletask_server.engine.turn import Letter, NoTurn

MAX_OPERATIONS = 100
"""A worker gets at most so many operations in one batch…"""
MAX_BYTES = 1 << 20
"""…and none behind so many bytes of them."""
# Of a long inbox no more is looked at, as long as nobody has the lock: a backlog would be read once for every batch of it.
_WINDOW = 1000

PURGED = "EntityPurged"
"""The error type of a call to an entity that was purged before it answered."""

_SIGNALED = "entityOperationSignaled"
_CALLED = "entityOperationCalled"
_REQUESTED = "entityLockRequested"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityDecision:
    """What a turn of an entity came to."""

    mutation: CompleteEntityTurn
    entity: Entity
    """The entity once the mutation is committed."""
    notes: tuple[str, ...] = ()
    """What was set aside, and why; for the log."""
    retry: bool = False
    """Nothing was done. The mutation changes nothing and need not be committed; the operations are to be handed out again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A turn that the engine takes alone."""

    decision: EntityDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """A batch for a worker."""

    letters: tuple[Letter, ...]
    """The operations, in order: signals and calls."""
    events: tuple[pb.HistoryEvent, ...]
    """What of each letter a worker sees."""
    encoded: tuple[bytes, ...]
    """The same events, serialized."""
    dropped: tuple[int, ...]
    """The messages that are void, to be consumed with the batch."""


def take(entity: Entity, inbox: Sequence[Letter], now: Micros) -> Operations | Step | NoTurn:
    """Take the inbox, in order, as far as one turn goes.

    A free entity does the operations up to the first request for its lock; when that comes first, it has the lock. A locked one does
    only what its owner calls; all else waits. A release that finds the request still waiting, takes it back.

    Args:
        entity: As committed.
        inbox: Its messages, in order of delivery, those that are due.
        now: The clock's time.
    """
    sorted_out = _Sorted(entity, inbox if entity.lock is not None else inbox[:_WINDOW], now)
    step = sorted_out.step()

    if step is not None:
        return step

    letters = tuple(_batch(entity.lock, sorted_out.waiting))

    if not letters:
        return sorted_out.drop() if sorted_out.consumed else NoTurn()

    shown = [_shown(letter) for letter in letters]

    return Operations(
        letters=letters,
        events=tuple(event for event, _ in shown),
        encoded=tuple(encoded for _, encoded in shown),
        dropped=tuple(sorted_out.consumed),
    )


def with_repeats(operations: Operations, inbox: Sequence[Letter]) -> Operations:
    """A batch that a worker has done, with the repeats of its signals that came meanwhile: they are void."""
    taken = {letter.message.sequence for letter in operations.letters}
    asked = {
        letter.event.entityOperationSignaled.requestId for letter in operations.letters if letter.kind == _SIGNALED
    }
    asked.discard("")
    repeats = (
        letter.message.sequence
        for letter in inbox
        if letter.kind == _SIGNALED
        and letter.event.entityOperationSignaled.requestId in asked
        and letter.message.sequence not in taken
    )

    return replace(operations, dropped=(*operations.dropped, *repeats))


class _Sorted:
    """An inbox without what the engine deals with alone."""

    def __init__(self, entity: Entity, inbox: Sequence[Letter], now: Micros) -> None:
        self._entity = entity
        self._at = now
        self._lock = entity.lock
        self._hub = entity.key.hub
        self._effects: list[Effect] = []
        self._notes: list[str] = []
        self.consumed: list[int] = []
        withdrawn = self._pass(inbox)
        self.waiting = [letter for letter in self._kept if letter.message.sequence not in withdrawn]

    def _pass(self, inbox: Sequence[Letter]) -> set[int]:
        """Carry out the releases. Returns the requests that they take back."""
        self._kept: list[Letter] = []
        signals: set[str] = set()
        requests: dict[EntityLock, list[int]] = {}
        withdrawn: set[int] = set()

        for letter in inbox:
            sequence = letter.message.sequence

            match letter.kind:
                case "entityOperationSignaled":
                    request_id = letter.event.entityOperationSignaled.requestId

                    if request_id and request_id in signals:
                        # Its sender did not hear that it had arrived, and repeated it.
                        self.consumed.append(sequence)
                        continue

                    signals.add(request_id)

                case "entityOperationCalled":
                    pass

                case "entityLockRequested":
                    requests.setdefault(locks.lock_of(letter.event), []).append(sequence)

                case "entityUnlockSent":
                    self.consumed.append(sequence)
                    lock = locks.lock_of(letter.event)
                    withdrawn.update(requests.pop(lock, ()))
                    self._release(lock, letter.event)
                    continue

                case kind:
                    self.consumed.append(sequence)
                    self._notes.append(f"message {sequence} ({kind or 'unreadable'}) is nothing for an entity; dropped")
                    continue

            self._kept.append(letter)

        self.consumed.extend(sorted(withdrawn))

        return withdrawn

    def _release(self, lock: EntityLock, event: pb.HistoryEvent) -> None:
        if self._lock != lock:
            return

        self._lock = None
        sent_on = locks.unlock_next(self._hub, event, self._at)

        if sent_on is not None:
            self._effects.append(sent_on)

    def step(self) -> Step | None:
        """What the lock calls for, if it does."""
        if self._lock is None and self.waiting and self.waiting[0].kind == _REQUESTED:
            request = self.waiting[0]
            self._lock = locks.lock_of(request.event)
            self._effects.append(locks.forward(self._hub, request.event, self._at))
            self.consumed.append(request.message.sequence)

        return self.drop() if self._lock != self._entity.lock or self._effects else None

    def drop(self) -> Step:
        """A turn that consumes what is void, and no more."""
        entity = self._entity

        return Step(
            decision=_decided(
                entity,
                state=entity.state,
                modified_at=entity.modified_at,
                lock=self._lock,
                consumed=self.consumed,
                effects=self._effects,
                notes=self._notes,
            )
        )


def _batch(lock: EntityLock | None, waiting: Sequence[Letter]) -> Iterator[Letter]:
    count = size = 0

    for letter in waiting:
        if lock is None:
            if letter.kind == _REQUESTED:
                return
        elif not _is_called_by(lock, letter):
            continue

        if count >= MAX_OPERATIONS or size >= MAX_BYTES:
            return

        yield letter
        count += 1
        size += len(letter.message.payload)


def _is_called_by(lock: EntityLock, letter: Letter) -> bool:
    called = letter.event.entityOperationCalled

    return (
        letter.kind == _CALLED
        and called.parentInstanceId.value == lock.instance_id
        and called.parentExecutionId.value == lock.execution_id
    )


def waits_for_lock(lock: EntityLock, letter: Letter) -> bool:
    """Whether a message stays in the inbox as long as that lock is held."""
    return letter.kind in (_SIGNALED, _REQUESTED) or (letter.kind == _CALLED and not _is_called_by(lock, letter))


def _shown(letter: Letter) -> tuple[pb.HistoryEvent, bytes]:
    event = letter.event
    is_changed = False

    if letter.kind == _SIGNALED and not event.entityOperationSignaled.requestId:
        # Some workers accept nothing but a UUID. It is the same whenever the operation is handed out.
        event = bare(event)
        event.entityOperationSignaled.requestId = str(UUID(int=letter.message.sequence))
        is_changed = True

    if letter.kind == _CALLED and postmark(event).legacy:
        event = bare(event)
        is_changed = True

    return event, event.SerializeToString() if is_changed else letter.message.payload


def decide(
    entity: Entity, operations: Operations, result: pb.EntityBatchResult, now: Micros, new_id: NewId
) -> EntityDecision:
    """Apply a worker's answer to a batch. Operations without a result stay in the inbox.

    Args:
        entity: As the batch was taken from it.
        operations: The batch.
        result: The answer.
        now: The clock's time.
        new_id: Makes ids of requests and executions.
    """
    refusal = _refusal(operations, result)

    if refusal is not None:
        return _nothing_done(entity, refusal)

    at = max(now, entity.modified_at)
    done = operations.letters[: len(result.results)]
    notes: list[str] = []

    if len(result.results) > len(operations.letters):
        notes.append(f"{len(result.results)} results for {len(operations.letters)} operations; the rest is ignored")

    effects: list[Effect] = [
        answer
        for letter, each in zip(done, result.results, strict=False)
        if (answer := reply(entity.key.hub, letter, each, at)) is not None
    ]

    for action in result.actions:
        try:
            effects.append(perform(entity.key, action, at, new_id))
        except InvalidRequestError as error:
            notes.append(f"an operation's action {action.id} is dropped: {error}")

    return _decided(
        entity,
        state=events.optional(result, "entityState"),
        modified_at=at,
        lock=entity.lock,
        consumed=[*operations.dropped, *(letter.message.sequence for letter in done)],
        effects=effects,
        notes=notes,
    )


def fail(entity: Entity, operations: Operations, failure: pb.TaskFailureDetails, now: Micros) -> EntityDecision:
    """Let every operation of a batch fail, for a reason of the engine's own. The state stays as it is."""
    result = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=failure))
    answers = (reply(entity.key.hub, letter, result, now) for letter in operations.letters)

    return _decided(
        entity,
        state=entity.state,
        modified_at=entity.modified_at,
        lock=entity.lock,
        consumed=[*operations.dropped, *(letter.message.sequence for letter in operations.letters)],
        effects=[answer for answer in answers if answer is not None],
        notes=[],
    )


def farewell(entity: Entity, inbox: Sequence[Letter], now: Micros) -> list[AppendMessage]:
    """What those are told who wait for an entity that was purged: callers that it is gone; and requests for its lock go on without it."""
    gone = events.failure(PURGED, f"entity {entity.key.instance_id!r} was purged")
    result = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=gone))
    answers = (reply(entity.key.hub, letter, result, now) for letter in inbox)
    requests = (locks.forward(entity.key.hub, letter.event, now) for letter in inbox if letter.kind == _REQUESTED)

    return [*(answer for answer in answers if answer is not None), *requests]


def _refusal(operations: Operations, result: pb.EntityBatchResult) -> str | None:
    """Why nothing of the answer is applied."""
    if result.HasField("failureDetails"):
        failure = result.failureDetails

        return f"its worker could not run {len(operations.letters)} operations: {failure.errorType}: {failure.errorMessage}"

    if result.requiresState:
        return "its worker wants the state again"

    return None if result.results else "its worker did none of the operations"


def _nothing_done(entity: Entity, reason: str) -> EntityDecision:
    mutation = CompleteEntityTurn(
        key=entity.key, turn=entity.turn, state=entity.state, lock=entity.lock, modified_at=entity.modified_at
    )

    return EntityDecision(mutation=mutation, entity=entity, notes=(reason,), retry=True)


def _decided(
    entity: Entity,
    *,
    state: str | None,
    modified_at: Micros,
    lock: EntityLock | None,
    consumed: Sequence[int],
    effects: Sequence[Effect],
    notes: Sequence[str],
) -> EntityDecision:
    mutation = CompleteEntityTurn(
        key=entity.key,
        turn=entity.turn,
        state=state,
        lock=lock,
        modified_at=modified_at,
        consumed=tuple(consumed),
        effects=tuple(effects),
    )

    return EntityDecision(mutation=mutation, entity=entity_turn_applied(mutation), notes=tuple(notes))
