"""The orchestration processor: turns of orchestrations, from the inbox to the commit.

Long, for a turn's whole way is one subject: every step may find that the instance has changed under it, and has to leave it as the others expect.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from durabletask_backend.mutations import Code, Outcome
from durabletask_backend.values import TERMINAL_STATUSES, Instance, InstanceKey, LoadedInstance, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.tracing import Span
from durabletask_protos.tracing.emission import emit
from google.protobuf.message import DecodeError

from durabletask_server.about import about
from durabletask_server.activities import ActivityProcessor
from durabletask_server.clock import Clock
from durabletask_server.dispatch.encoding import encode_turn
from durabletask_server.dispatch.stream import Kind, WorkerStream
from durabletask_server.engine import events, orchestration
from durabletask_server.engine.chunks import OutOfOrderError, join
from durabletask_server.engine.ids import NewId
from durabletask_server.engine.orchestration import Decision
from durabletask_server.engine.state import State, fold
from durabletask_server.engine.turn import NoTurn, Turn, nothing_taken, take
from durabletask_server.journal import Journal
from durabletask_server.live import LiveOrchestration
from durabletask_server.observability.engine_spans import TurnSpans
from durabletask_server.residency import Residency
from durabletask_server.resident import Phase, Resident, TurnItem
from durabletask_server.settings import Settings
from durabletask_server.tokens import TURN
from durabletask_server.turns import TurnRefusedError, Turns
from durabletask_server.waiters import Waiters

log = logging.getLogger(__name__)


class OrchestrationProcessor:
    """Sees the turns of orchestrations through.

    Args:
        residency: Keeps them in memory.
        turns: Hands turns to workers.
        journal: Commits.
        activities: Takes the tasks that turns schedule.
        waiters: Are told of every commit.
        clock: The time.
        new_id: Makes execution ids.
        settings: Limits and delays.
    """

    def __init__(
        self,
        residency: Residency,
        turns: Turns,
        journal: Journal,
        activities: ActivityProcessor,
        waiters: Waiters,
        clock: Clock,
        new_id: NewId,
        settings: Settings,
    ) -> None:
        self._residency = residency
        self._turns = turns
        self._journal = journal
        self._activities = activities
        self._waiters = waiters
        self._clock = clock
        self._new_id = new_id
        self._settings = settings
        self._spans = TurnSpans(settings.engine_spans)
        self.committed = 0
        """How many turns were committed."""

    def state(self, key: InstanceKey) -> State | None:
        """An orchestration as committed, if it is in memory."""
        resident = self._residency.get(key)

        return resident.state if isinstance(resident, LiveOrchestration) else None

    def begin(self, instance: Instance) -> LiveOrchestration:
        """One that was created this moment."""
        return LiveOrchestration(self, State(instance=instance))

    def revive(self, loaded: LoadedInstance) -> LiveOrchestration | None:
        """One that the store had, unless it has ended. One whose history nobody can read fails, and says so."""
        if loaded.instance.status in TERMINAL_STATUSES:
            return None

        try:
            state = fold(loaded.instance, loaded.history)
        except DecodeError as error:
            broken = LiveOrchestration(
                self, State(instance=loaded.instance, length=loaded.history_count), loaded.history
            )
            log.error(
                "the history of instance %s cannot be read (%s); it fails",
                broken.key.instance_id,
                error,
                extra=about(broken.key),
            )
            self._fail(broken, nothing_taken(broken.state, self._clock.now()), f"its history cannot be read: {error}")

            return broken

        return LiveOrchestration(self, state, loaded.history)

    # From the inbox to a worker.

    def wake(self, resident: LiveOrchestration) -> None:
        """See to it that an instance takes its next turn, if it has none and may."""
        if resident.terminations:
            self._terminate(resident)
            return

        # After an abandon nothing but time makes the turn ready.
        if resident.phase is not Phase.IDLE or not resident.inbox or (resident.pause and resident.abandoned):
            return

        state = resident.state

        # Nothing else is taken now; it would only be looked at, again and again.
        if state.suspended and not resident.controls:
            return

        unanswered = len(state.tasks) + len(state.children)
        only_answers = len(resident.inbox) == resident.answers

        if only_answers and resident.answers < unanswered and unanswered > self._settings.wide:
            if resident.pause is None:
                self._wait_for_more(resident)
        else:
            resident.rest()
            self._make_ready(resident)

    def withdraw(self, resident: LiveOrchestration) -> None:
        """A turn that is ready or out is nobody's any more."""
        resident.turn = None
        resident.parts = []
        self._turns.take_back(resident)

    def _wait_for_more(self, resident: LiveOrchestration) -> None:
        """Many answers are to come: one turn that takes many is better than many turns."""
        first, longest = (int(wait * 1_000_000) for wait in (self._settings.first_wait, self._settings.longest_wait))
        resident.patience = min(resident.patience * 2 or first, longest)
        self._turns.pause(resident, resident.patience, lambda: self._paused(resident))

    def _paused(self, resident: LiveOrchestration) -> None:
        if self._residency.has(resident) and resident.phase is Phase.IDLE and resident.inbox:
            self._make_ready(resident)

    def _make_ready(self, resident: LiveOrchestration, *, front: bool = False) -> None:
        instance = resident.state.instance
        item = TurnItem(Kind.ORCHESTRATION, instance.name, instance.version, resident, self)
        self._turns.ready(resident, item, front=front)

    def hand_out(self, item: TurnItem, stream: WorkerStream) -> bytes | None:
        """Take a turn for a worker. None: it is void, or there is nothing to take."""
        resident = _orchestration(item.resident)

        return self._turns.hand_out(item, lambda: self._take(resident, item, stream), lambda: self._paused(resident))

    def _take(self, resident: LiveOrchestration, item: TurnItem, stream: WorkerStream) -> bytes | None:
        turn = take(resident.state, resident.letters(), self._clock.now())

        if isinstance(turn, NoTurn):
            resident.phase = Phase.IDLE
            resident.item = None
            return None

        if turn.unreadable:
            self.withdraw(resident)
            log.error(
                "a message to instance %s cannot be read; it fails", resident.key.instance_id, extra=about(resident.key)
            )
            self._fail(resident, turn, "a message in its inbox cannot be read")
            return None

        instance = resident.state.instance
        past, left_out = resident.past_for(stream, self._settings.streamed_history)
        encoded = encode_turn(
            instance, turn, past, self._turns.token(item, stream, instance.execution_id, TURN), left_out=left_out
        )

        if len(encoded) > self._settings.message_limit:
            self.withdraw(resident)
            problem = (
                f"its next work item has {len(encoded)} bytes with its history, more than a message to its worker may have "
                f"(message_limit, {self._settings.message_limit}); continue as new earlier, carry less in payloads, or use a "
                "worker that streams histories"
            )
            log.error("instance %s fails: %s", resident.key.instance_id, problem, extra=about(resident.key))
            self._fail(resident, turn, problem, error_type="MessageTooLarge")
            return None

        resident.turn = turn

        return encoded

    # Back from a worker.

    def broken(self, item: TurnItem) -> None:
        """The stream that held a turn ended: it is taken anew, unless it has broken too many."""
        resident = _orchestration(item.resident)

        if resident.item is not item:
            return

        turn = resident.turn
        self.withdraw(resident)

        breaks = self._turns.broke(resident)

        if turn is not None and breaks >= self._settings.poison_limit:
            log.error(
                "a turn of %s broke %d streams in a row; it fails",
                resident.key.instance_id,
                breaks,
                extra=about(resident.key),
            )
            problem = f"a turn was lost with its worker {breaks} times in a row"
            self._fail(resident, turn, problem, error_type="PoisonedWorkItem")
        else:
            self._make_ready(resident, front=True)

    def abandon(self, key: InstanceKey, attempt: str) -> None:
        """A worker gives a turn back. It is offered again after a while that grows; a termination does not wait for that."""
        resident = self._held(key, attempt)

        if resident is not None:
            self._turns.abandon(resident, lambda: self._paused(resident))

    async def complete(self, key: InstanceKey, attempt: str, response: pb.OrchestratorResponse) -> None:
        """Decide and commit a turn as its worker answers.

        Args:
            key: The instance.
            attempt: Which hand-out is answered; one that is not current is logged, and nothing happens. Empty: the current one,
                for workers that give no token back.
            response: The answer, or a part of it.

        Raises:
            TurnRefusedError: The state it was decided on is not current any more.
            BackendError: The store failed. The turn is taken anew.
        """
        resident = self._held(key, attempt)

        if resident is None:
            log.info("an answer to a turn of instance %s came too late", key.instance_id, extra=about(key))
            return

        if response.requiresHistory:
            self._send_history(resident)
            return

        try:
            whole = join(resident.parts, response)
        except OutOfOrderError as error:
            log.warning("instance %s: %s", key.instance_id, error, extra=about(key))
            return

        if whole is None:
            return

        turn = resident.turn
        assert turn is not None
        stream = None if resident.item is None else resident.item.stream
        resident.prefer = stream.number if stream is not None and stream.options.sticky else None
        self._turns.answered(resident)
        self.withdraw(resident)

        now = self._clock.now()

        try:
            spans = self._spans.answered(resident, turn, whole, now)
            decision = orchestration.decide(resident.state, turn, whole, now, self._new_id)
        except Exception:
            resident.trace = None
            self._turns.give_back(resident, lambda: self._paused(resident))
            raise

        for note in decision.notes:
            log.warning("instance %s: %s", key.instance_id, note, extra=about(key))

        # The turn is committed also when the worker does not wait for that any more.
        outcome = await asyncio.shield(self._commit(resident, decision, spans))

        if outcome.code is Code.STALE and resident.is_gone:
            log.info(
                "an answer to a turn of instance %s came too late: it was replaced or purged",
                key.instance_id,
                extra=about(key),
            )
        elif outcome.code is Code.STALE:
            raise TurnRefusedError(
                f"the turn of instance {key.instance_id!r} was decided on a state that is not current any more"
            )

    def _send_history(self, resident: LiveOrchestration) -> None:
        """A worker needs the history with the turn."""
        if resident.embeds_history and not resident.spared:
            # It has been sent whole, and still is not enough.
            assert resident.item is not None
            self.abandon(resident.key, resident.item.attempt)
            return

        resident.embeds_history = not resident.spared
        resident.prefer = None
        self.withdraw(resident)
        self._make_ready(resident, front=True)

    def _held(self, key: InstanceKey, attempt: str) -> LiveOrchestration | None:
        resident = self._residency.get(key)

        return resident if isinstance(resident, LiveOrchestration) and self._turns.holds(resident, attempt) else None

    # Turns of the engine alone.

    def _terminate(self, resident: LiveOrchestration) -> None:
        """End an instance by the engine alone. A worker that has its turn loses it."""
        if resident.phase is Phase.COMMITTING:
            # The commit wakes it.
            return

        self.withdraw(resident)

        if resident.state.start is None:
            # It was to start later; it needs its start to have a history at all.
            for message in list(resident.delayed.values()):
                if message.front:
                    resident.receive(message)

        turn = take(resident.state, resident.letters(), self._clock.now())

        if isinstance(turn, Turn) and turn.terminated is not None:
            now = self._clock.now()
            decision = orchestration.terminate(resident.state, turn, now, self._new_id)
            self._commit(resident, decision, self._spans.ended(resident, turn, RuntimeStatus.TERMINATED, None, now))

    def _fail(self, resident: LiveOrchestration, turn: Turn, problem: str, *, error_type: str = "Unreadable") -> None:
        name = resident.state.instance.name
        failure = events.failure(error_type, f"orchestration {name!r}: {problem}", non_retriable=True)
        now = self._clock.now()
        decision = orchestration.fail(resident.state, turn, failure, now, self._new_id)
        self._commit(resident, decision, self._spans.ended(resident, turn, RuntimeStatus.FAILED, failure, now))

    # The commit.

    def _commit(
        self, resident: LiveOrchestration, decision: Decision, spans: Sequence[Span]
    ) -> asyncio.Future[Outcome]:
        resident.phase = Phase.COMMITTING

        return self._journal.submit(
            decision.mutation,
            lambda outcome: self._committed(resident, decision, spans, outcome),
            lambda _: self._residency.reload_later(resident),
        )

    def _committed(
        self, resident: LiveOrchestration, decision: Decision, spans: Sequence[Span], outcome: Outcome
    ) -> None:
        mutation = decision.mutation

        if outcome.code is Code.STALE:
            self._residency.reload(resident)
            return

        self.committed += 1
        emit(spans)
        current = self._residency.has(resident)

        if current:
            self._advance(resident, decision)

        self._activities.add(mutation.tasks)
        self._residency.follow(mutation.effects, outcome.effects)

        self._waiters.committed(decision.state.instance)

        if current and mutation.status not in TERMINAL_STATUSES:
            self.wake(resident)
            self._residency.trim()

    def _advance(self, resident: LiveOrchestration, decision: Decision) -> None:
        mutation = decision.mutation

        if mutation.status in TERMINAL_STATUSES or mutation.generation is not None:
            ended = resident.state if mutation.generation is not None else decision.state
            self._turns.ended(ended, mutation.status, resident.history_bytes + len(mutation.history))

        if mutation.status in TERMINAL_STATUSES:
            self._residency.forget(resident.key)

            if mutation.status is not RuntimeStatus.COMPLETED:
                self._activities.drop(resident.key)

            return

        resident.state = decision.state
        self._turns.committed(resident)
        resident.consume(mutation.consumed)

        if mutation.generation is None:
            resident.append_history(mutation.history)
        else:
            resident.forget_history()
            resident.prefer = None
            self._activities.drop(resident.key)

        self._residency.weigh(resident)

        if len(decision.state.tasks) + len(decision.state.children) <= self._settings.wide:
            resident.patience = 0


def _orchestration(resident: Resident) -> LiveOrchestration:
    assert isinstance(resident, LiveOrchestration)

    return resident
