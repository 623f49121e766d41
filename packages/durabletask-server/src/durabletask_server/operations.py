"""The operation processor: turns of entities, from the inbox to the commit."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from durabletask_backend.mutations import Code, Outcome, PurgeEntity
from durabletask_backend.values import InstanceKey, LoadedEntity
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.about import about
from durabletask_server.clock import Clock
from durabletask_server.dispatch.encoding import encode_batch, encode_operations
from durabletask_server.dispatch.stream import Kind, WorkerStream
from durabletask_server.engine import entity, events
from durabletask_server.engine.entity import EntityDecision, Operations, Step
from durabletask_server.engine.ids import NewId
from durabletask_server.engine.turn import NoTurn
from durabletask_server.journal import Journal
from durabletask_server.live import LiveEntity
from durabletask_server.residency import Residency
from durabletask_server.resident import Phase, Resident, TurnItem
from durabletask_server.settings import Settings
from durabletask_server.tokens import OPERATIONS
from durabletask_server.turns import TurnRefusedError, Turns

log = logging.getLogger(__name__)


class OperationProcessor:
    """Sees the turns of entities through.

    Args:
        residency: Keeps them in memory.
        turns: Hands turns to workers.
        journal: Commits.
        clock: The time.
        new_id: Makes ids of requests and executions.
        settings: Limits and delays.
    """

    def __init__(
        self, residency: Residency, turns: Turns, journal: Journal, clock: Clock, new_id: NewId, settings: Settings
    ) -> None:
        self._residency = residency
        self._turns = turns
        self._journal = journal
        self._clock = clock
        self._new_id = new_id
        self._settings = settings

    def revive(self, loaded: LoadedEntity) -> LiveEntity:
        """One that the store had."""
        return LiveEntity(self, loaded.entity)

    def wake(self, resident: LiveEntity) -> None:
        """See to it that an entity takes its next turn, if it has none and may."""
        if resident.phase is not Phase.IDLE or not resident.inbox or resident.pause is not None:
            return

        # Nothing else is done now; it would only be looked at, again and again.
        if resident.entity.lock is not None and not resident.stirred:
            return

        taken = entity.take(resident.entity, resident.letters(), self._clock.now())

        if isinstance(taken, NoTurn):
            resident.stirred = False
        elif isinstance(taken, Step):
            self._commit(resident, taken.decision)
        elif isinstance(taken, Operations):
            self._make_ready(resident)

    def withdraw(self, resident: LiveEntity) -> None:
        """A turn that is ready or out is nobody's any more."""
        resident.operations = None
        self._turns.take_back(resident)

    def _make_ready(self, resident: LiveEntity, *, front: bool = False) -> None:
        self._turns.ready(resident, TurnItem(Kind.ENTITY, resident.key.entity_name, None, resident, self), front=front)

    def hand_out(self, item: TurnItem, stream: WorkerStream) -> bytes | None:
        """Take a batch of operations for a worker. None: it is void, or there is nothing to take."""
        resident = _entity(item.resident)

        return self._turns.hand_out(item, lambda: self._take(resident, item, stream), resident.wake)

    def _take(self, resident: LiveEntity, item: TurnItem, stream: WorkerStream) -> bytes | None:
        operations = entity.take(resident.entity, resident.letters(), self._clock.now())

        if not isinstance(operations, Operations):
            resident.phase = Phase.IDLE
            resident.item = None
            resident.wake()
            return None

        resident.operations = operations
        token = self._turns.token(item, stream, "", OPERATIONS)

        if stream.options.batch_entities:
            encoded = encode_batch(resident.entity, operations.events, token)
        else:
            encoded = encode_operations(resident.entity, operations.encoded, token)

        if len(encoded) > self._settings.message_limit:
            self.withdraw(resident)
            self._fail(
                resident,
                operations,
                "MessageTooLarge",
                f"the work item has {len(encoded)} bytes, more than a message to a worker may have "
                f"(message_limit, {self._settings.message_limit})",
            )
            return None

        return encoded

    def broken(self, item: TurnItem) -> None:
        """The stream that held a batch ended: it is taken anew, unless it has broken too many."""
        resident = _entity(item.resident)

        if resident.item is not item:
            return

        operations = resident.operations
        self.withdraw(resident)

        breaks = self._turns.broke(resident)

        if operations is not None and breaks >= self._settings.poison_limit:
            self._fail(
                resident,
                operations,
                "PoisonedWorkItem",
                f"the operations were lost with their worker {breaks} times in a row",
            )
        else:
            self._make_ready(resident, front=True)

    def abandon(self, key: InstanceKey, attempt: str) -> None:
        """A worker gives a batch back. It is offered again after a while that grows."""
        resident = self._held(key, attempt)

        if resident is not None:
            self._turns.abandon(resident, resident.wake)

    async def complete(self, key: InstanceKey, attempt: str, result: pb.EntityBatchResult) -> None:
        """Decide and commit a batch as its worker answers.

        Args:
            key: The entity.
            attempt: Which hand-out is answered; one that is not current is logged, and nothing happens.
            result: The answer.

        Raises:
            TurnRefusedError: The state it was decided on is not current any more.
            BackendError: The store failed. The batch is taken anew.
        """
        resident = self._held(key, attempt)

        if resident is None or resident.operations is None:
            log.info("an answer to operations of entity %s came too late", key.instance_id, extra=about(key))
            return

        operations = entity.with_repeats(resident.operations, resident.letters())
        decision = entity.decide(resident.entity, operations, result, self._clock.now(), self._new_id)

        for note in decision.notes:
            log.warning("entity %s: %s", key.instance_id, note, extra=about(key))

        if decision.retry:
            self.abandon(key, attempt)
            return

        self._turns.answered(resident)
        self.withdraw(resident)
        outcome = await asyncio.shield(self._commit(resident, decision))

        if outcome.code is Code.STALE and not resident.is_gone:
            raise TurnRefusedError(
                f"the operations of entity {key.instance_id!r} were done on a state that is not current any more"
            )

    async def purge(self, key: InstanceKey, *, only_empty: bool = False) -> bool:
        """Delete an entity, with its messages. Those who wait for it here are told.

        Returns:
            Whether there was one, and an empty one if only that was wanted.
        """
        resident = self._residency.get(key)
        told = []

        if isinstance(resident, LiveEntity) and not only_empty:
            told = entity.farewell(resident.entity, resident.letters(), self._clock.now())
            # What a worker does for it now is not for the one that may come to be after it.
            self._residency.lose(key)

        def applied(outcome: Outcome) -> None:
            if outcome.code is Code.APPLIED:
                self._residency.leave(key)

                for append in told:
                    self._journal.submit(append, partial(self._residency.appended, append))

        mutation = PurgeEntity(key=key, only_empty=only_empty)
        outcome = await self._journal.submit(mutation, applied, lambda _: self._residency.load(key))

        return outcome.code is Code.APPLIED

    def _held(self, key: InstanceKey, attempt: str) -> LiveEntity | None:
        resident = self._residency.get(key)

        return resident if isinstance(resident, LiveEntity) and self._turns.holds(resident, attempt) else None

    def _fail(self, resident: LiveEntity, operations: Operations, error_type: str, problem: str) -> None:
        log.error("operations of entity %s fail: %s", resident.key.instance_id, problem, extra=about(resident.key))
        failure = events.failure(error_type, f"entity {resident.key.instance_id!r}: {problem}", non_retriable=True)
        self._commit(resident, entity.fail(resident.entity, operations, failure, self._clock.now()))

    def _commit(self, resident: LiveEntity, decision: EntityDecision) -> asyncio.Future[Outcome]:
        resident.phase = Phase.COMMITTING

        return self._journal.submit(
            decision.mutation,
            lambda outcome: self._committed(resident, decision, outcome),
            lambda _: self._residency.reload_later(resident),
        )

    def _committed(self, resident: LiveEntity, decision: EntityDecision, outcome: Outcome) -> None:
        if outcome.code is Code.STALE:
            self._residency.reload(resident)
            return

        current = self._residency.has(resident)

        if current:
            resident.entity = decision.entity
            resident.stirred = True
            self._turns.committed(resident)
            resident.consume(decision.mutation.consumed)
            self._residency.weigh(resident)

        self._residency.follow(decision.mutation.effects, outcome.effects)

        if current:
            self.wake(resident)
            self._residency.trim()


def _entity(resident: Resident) -> LiveEntity:
    assert isinstance(resident, LiveEntity)

    return resident
