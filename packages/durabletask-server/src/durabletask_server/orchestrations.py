"""The orchestration processor: instances in memory, and their turns from the inbox to the commit."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import islice

from durabletask_backend.contract import Backend
from durabletask_backend.errors import StorageFailedError
from durabletask_backend.mutations import AppendMessage, Code, CreateInstance, Effect, Outcome
from durabletask_backend.values import (
    TERMINAL_STATUSES,
    DueMessage,
    InstanceKey,
    Lease,
    LoadedInstance,
    Message,
    RuntimeStatus,
    TaskKey,
)
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.activities import ActivityProcessor
from durabletask_server.clock import Clock
from durabletask_server.dispatch.dispatcher import Dispatcher
from durabletask_server.dispatch.encoding import encode_turn
from durabletask_server.dispatch.stream import Kind, WorkerStream
from durabletask_server.dispatch.timers import Timers
from durabletask_server.engine import events, orchestration
from durabletask_server.engine.ids import NewId
from durabletask_server.engine.orchestration import Decision
from durabletask_server.engine.state import State, fold
from durabletask_server.engine.turn import NoTurn, Turn, take
from durabletask_server.journal import Journal
from durabletask_server.resident import Phase, Resident, TurnItem
from durabletask_server.settings import Settings
from durabletask_server.tokens import TURN, Token, TokenSigner
from durabletask_server.waiters import Waiters

log = logging.getLogger(__name__)

_END_OF_TIME = (1 << 62) - 1
_LOAD = 100
"""Instances read from the store at a time."""
_PAGE = 1000
_TRIM = 16
"""Instances looked at in one go, when some have to leave memory."""


class TurnRefusedError(Exception):
    """A turn was decided on a state that is not current any more; the instance is loaded again, and takes it anew."""


class OrchestrationProcessor:
    """Keeps instances in memory while they have something to do, and sees their turns through.

    Args:
        backend: Where instances are loaded from.
        journal: Commits.
        dispatcher: Finds workers.
        waiters: Are told of every commit.
        clock: The time.
        new_id: Makes execution ids.
        signer: The token signer of a hub.
        boot: Tells this process's hand-outs from another's.
        settings: Limits and delays.
    """

    def __init__(
        self,
        backend: Backend,
        journal: Journal,
        dispatcher: Dispatcher,
        waiters: Waiters,
        clock: Clock,
        new_id: NewId,
        signer: Callable[[str], TokenSigner],
        boot: str,
        settings: Settings,
    ) -> None:
        self._backend = backend
        self._journal = journal
        self._dispatcher = dispatcher
        self._waiters = waiters
        self._clock = clock
        self._new_id = new_id
        self._signer = signer
        self._boot = boot
        self._settings = settings
        self.activities = ActivityProcessor(journal, dispatcher, clock, signer, boot, settings, self.deliver)
        self._timers = Timers(clock, self._due, lambda after, limit: backend.due(after=after, limit=limit))
        # Least recently used first.
        self._residents: OrderedDict[InstanceKey, Resident] = OrderedDict()
        self._weight = 0
        self._loading: dict[InstanceKey, list[Message]] = {}
        self._loader: asyncio.Task[None] | None = None
        self._hand_outs = 0
        self._stopped = False
        self.turns = 0
        """How many turns were committed."""

    async def start(self, lease: Lease) -> None:
        """Take over what the store has: timers, and instances that have something to do."""
        await self._timers.start()
        after: InstanceKey | None = None
        found = 0

        while True:
            keys = await self._backend.claim_instances(lease, after=after, limit=_PAGE)
            found += len(keys)

            for key in keys:
                self._load(key)

            if len(keys) < _PAGE:
                break

            after = keys[-1]

        if found or len(self._timers):
            log.info("%d instances go on, %d timers wait", found, len(self._timers))

    def stop(self) -> None:
        """Start nothing more."""
        self._stopped = True
        self._timers.stop()
        self.activities.stop()

        if self._loader is not None:
            self._loader.cancel()

        for resident in self._residents.values():
            _cancel_pause(resident)

    def state(self, key: InstanceKey) -> State | None:
        """An instance as committed, if it is in memory."""
        resident = self._residents.get(key)

        return None if resident is None else resident.state

    def __len__(self) -> int:
        return len(self._residents)

    # What was committed.

    def created(self, create: CreateInstance, outcome: Outcome) -> None:
        """An instance was created, or the message that says it could not be was appended."""
        if outcome.code is Code.EXISTS and create.on_conflict is not None:
            self.appended(create.on_conflict, outcome.effects[0])

        if outcome.code not in (Code.APPLIED, Code.REPLACED):
            return

        key = create.instance.key
        self._leave(key)
        self.activities.drop(key)
        # A load that is under way may have read the instance that was replaced.
        self._loading.pop(key, None)
        resident = self._keep(Resident(State(instance=create.instance)))
        self._waiters.committed(create.instance)
        message = Message(
            sequence=outcome.sequence,
            payload=create.start,
            execution_id=create.instance.execution_id,
            due_at=create.due_at,
            front=True,
        )
        self._receive(resident, message)

    def appended(self, append: AppendMessage, outcome: Outcome) -> None:
        """A message was appended, or dropped."""
        if outcome.code is Code.APPLIED:
            self.deliver(
                append.key,
                Message(
                    sequence=outcome.sequence,
                    payload=append.payload,
                    execution_id=append.execution_id,
                    due_at=append.due_at,
                    front=append.front,
                ),
            )

    def deliver(self, key: InstanceKey, message: Message) -> None:
        """A message is in an instance's inbox."""
        resident = self._residents.get(key)

        if resident is not None:
            self._receive(resident, message)
        elif message.due_at is not None and message.due_at > self._clock.now():
            self._timers.add(DueMessage(message.due_at, message.sequence, key))
        else:
            self._load(key, message)

    def purged(self, key: InstanceKey) -> None:
        """An instance was deleted."""
        self._leave(key)
        self.activities.drop(key)
        self._waiters.purged(key)

    def _receive(self, resident: Resident, message: Message) -> None:
        if message.due_at is not None and message.due_at > self._clock.now():
            resident.postpone(message)
            self._timers.add(DueMessage(message.due_at, message.sequence, resident.key))
            return

        resident.receive(message)
        self._weigh(resident)
        self._residents.move_to_end(resident.key)
        self._wake(resident)

    def _due(self, due: DueMessage) -> None:
        resident = self._residents.get(due.key)

        if resident is None:
            self._load(due.key)
        elif due.sequence in resident.delayed:
            self._receive(resident, resident.delayed[due.sequence])

    # Turns.

    def _wake(self, resident: Resident) -> None:
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
            _cancel_pause(resident)
            self._make_ready(resident)

    def _wait_for_more(self, resident: Resident) -> None:
        """Many answers are to come: one turn that takes many is better than many turns."""
        first, longest = (int(wait * 1_000_000) for wait in (self._settings.first_wait, self._settings.longest_wait))
        resident.patience = min(resident.patience * 2 or first, longest)
        self._pause(resident, resident.patience)

    def _pause(self, resident: Resident, micros: int) -> None:
        def over() -> None:
            resident.pause = None

            if self._residents.get(resident.key) is resident and resident.phase is Phase.IDLE and resident.inbox:
                self._make_ready(resident)

        resident.pause = self._clock.call_at(self._clock.now() + micros, over)

    def _make_ready(self, resident: Resident, *, front: bool = False) -> None:
        resident.phase = Phase.READY
        resident.item = TurnItem(resident, self)
        self._dispatcher.add(resident.item, front=front)

    def hand_out(self, item: TurnItem, stream: WorkerStream) -> bytes | None:
        """Take a turn for a worker. None: it is void, or there is nothing to take."""
        resident = item.resident

        if resident.item is not item or resident.phase is not Phase.READY:
            return None

        turn = take(resident.state, resident.letters(), self._clock.now())

        if isinstance(turn, NoTurn):
            resident.phase = Phase.IDLE
            resident.item = None
            return None

        self._hand_outs += 1
        instance = resident.state.instance
        item.stream = stream
        item.attempt = f"{self._boot}.{self._hand_outs}"
        resident.turn = turn
        resident.phase = Phase.OUT
        task = TaskKey(*instance.key, instance.execution_id, TURN)
        token = self._signer(instance.key.hub).sign(Token(task, item.attempt))
        streamed = (
            stream.history_streaming
            and resident.history_bytes > self._settings.streamed_history
            and not resident.embeds_history
        )

        return encode_turn(instance, turn, None if streamed else resident.past(), token)

    def broken(self, item: TurnItem) -> None:
        """The stream that held a turn ended: it is taken anew, unless it has broken too many."""
        resident = item.resident

        if resident.item is not item:
            return

        turn = self._take_back(resident)
        resident.breaks += 1

        if turn is not None and resident.breaks >= self._settings.poison_limit:
            log.error("a turn of %s broke %d streams in a row; it fails", resident.key.instance_id, resident.breaks)
            failure = events.failure(
                "PoisonedWorkItem",
                f"a turn of orchestration {resident.state.instance.name!r} was lost with its worker "
                f"{resident.breaks} times in a row",
                non_retriable=True,
            )
            self._commit(resident, orchestration.fail(resident.state, turn, failure, self._clock.now(), self._new_id))
        else:
            self._make_ready(resident, front=True)

    def abandon(self, key: InstanceKey, attempt: str) -> None:
        """A worker gives a turn back. It is offered again after a while that grows; a termination does not wait for that."""
        resident = self._held(key, attempt)

        if resident is None or resident.item is None:
            return

        resident.avoid = None if resident.item.stream is None else resident.item.stream.number
        self._take_back(resident)
        delay = self._settings.backoff(resident.abandoned)
        resident.abandoned += 1
        self._pause(resident, int(delay * 1_000_000))

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
            log.info("an answer to a turn of instance %s came too late", key.instance_id)
            return

        if response.requiresHistory and resident.embeds_history:
            # It has been sent whole, and still is not enough.
            self.abandon(key, attempt)
            return

        if response.requiresHistory:
            resident.embeds_history = True
            self._take_back(resident)
            self._make_ready(resident, front=True)
            return

        whole = resident.join(response)

        if whole is None:
            return

        turn = self._take_back(resident)
        assert turn is not None
        decision = orchestration.decide(resident.state, turn, whole, self._clock.now(), self._new_id)

        for note in decision.notes:
            log.warning("instance %s: %s", key.instance_id, note)

        # The turn is committed also when the worker does not wait for that any more.
        outcome = await asyncio.shield(self._commit(resident, decision))

        if outcome.code is Code.STALE and resident.is_gone:
            log.info("an answer to a turn of instance %s came too late: it was replaced or purged", key.instance_id)
        elif outcome.code is Code.STALE:
            raise TurnRefusedError(
                f"the turn of instance {key.instance_id!r} was decided on a state that is not current any more"
            )

    def _terminate(self, resident: Resident) -> None:
        """End an instance by the engine alone. A worker that has its turn loses it."""
        if resident.phase is Phase.COMMITTING:
            # The commit wakes it.
            return

        self._take_back(resident)

        if resident.state.start is None:
            # It was to start later; it needs its start to have a history at all.
            for message in list(resident.delayed.values()):
                if message.front:
                    resident.receive(message)

        turn = take(resident.state, resident.letters(), self._clock.now())

        if isinstance(turn, Turn) and turn.terminated is not None:
            self._commit(resident, orchestration.terminate(resident.state, turn, self._clock.now(), self._new_id))

    def _held(self, key: InstanceKey, attempt: str) -> Resident | None:
        resident = self._residents.get(key)

        if resident is None or resident.phase is not Phase.OUT or resident.item is None:
            return None

        return resident if attempt in ("", resident.item.attempt) else None

    def _take_back(self, resident: Resident) -> Turn | None:
        """The turn is no worker's any more."""
        turn = resident.turn
        resident.turn = None
        resident.chunks = []
        resident.phase = Phase.IDLE

        item, resident.item = resident.item, None

        if item is not None:
            if item.stream is None:
                self._dispatcher.drop(Kind.ORCHESTRATION, resident.key, lambda other: other is item)

            item.settle()

        _cancel_pause(resident)

        return turn

    def _commit(self, resident: Resident, decision: Decision) -> asyncio.Future[Outcome]:
        resident.phase = Phase.COMMITTING

        return self._journal.submit(
            decision.mutation,
            lambda outcome: self._committed(resident, decision, outcome),
            lambda _: self._failed(resident),
        )

    def _failed(self, resident: Resident) -> None:
        """The batch was not committed: what is true now is what the store says, once it had a moment to recover."""
        key = resident.key

        if self._residents.get(key) is resident:
            self._forget(key)
            self._clock.call_at(
                self._clock.now() + int(self._settings.abandon_delay * 1_000_000), lambda: self._load(key)
            )

    def _committed(self, resident: Resident, decision: Decision, outcome: Outcome) -> None:
        mutation = decision.mutation
        current = self._residents.get(resident.key) is resident

        if outcome.code is Code.STALE:
            if current:
                self._forget(resident.key)
                self._load(resident.key)

            return

        self.turns += 1

        if current:
            self._advance(resident, decision)

        self.activities.add(mutation.tasks)

        for effect, became in zip(mutation.effects, outcome.effects, strict=True):
            try:
                self._effected(effect, became)
            except Exception:
                log.exception("what a turn of instance %s did to another cannot be followed", resident.key.instance_id)

        self._waiters.committed(decision.state.instance)

        if current and mutation.status not in TERMINAL_STATUSES:
            self._wake(resident)
            self._trim()

    def _advance(self, resident: Resident, decision: Decision) -> None:
        mutation = decision.mutation

        if mutation.status in TERMINAL_STATUSES:
            self._forget(resident.key)

            if mutation.status is not RuntimeStatus.COMPLETED:
                self.activities.drop(resident.key)

            return

        resident.state = decision.state
        resident.phase = Phase.IDLE
        resident.abandoned = resident.breaks = 0
        resident.avoid = None
        resident.consume(mutation.consumed)

        if mutation.generation is None:
            resident.append_history(mutation.history)
        else:
            resident.forget_history()
            self.activities.drop(resident.key)

        self._weigh(resident)

        if len(decision.state.tasks) + len(decision.state.children) <= self._settings.wide:
            resident.patience = 0

    def _effected(self, effect: Effect, outcome: Outcome) -> None:
        if isinstance(effect, CreateInstance):
            self.created(effect, outcome)
        else:
            self.appended(effect, outcome)

    # Memory.

    def _keep(self, resident: Resident) -> Resident:
        # Before it is one of them: it is about to be used.
        self._trim()
        self._residents[resident.key] = resident
        self._weigh(resident)

        return resident

    def _weigh(self, resident: Resident) -> None:
        self._weight += resident.weight - resident.weighed
        resident.weighed = resident.weight

    def _forget(self, key: InstanceKey) -> None:
        resident = self._residents.pop(key, None)

        if resident is not None:
            self._weight -= resident.weighed
            resident.weighed = 0
            self._take_back(resident)

    def _leave(self, key: InstanceKey) -> None:
        """An instance was replaced or purged: a turn of it that is being committed is of no use."""
        resident = self._residents.get(key)

        if resident is not None:
            resident.is_gone = True
            self._forget(key)

    def _trim(self) -> None:
        """Let go of idle instances, the longest unused first, while they take too much memory."""
        if self._weight <= self._settings.resident_bytes:
            return

        for key in list(islice(self._residents, _TRIM)):
            resident = self._residents[key]

            if resident.phase is Phase.IDLE and resident.pause is None:
                self._forget(key)
            else:
                self._residents.move_to_end(key)

    def _load(self, key: InstanceKey, message: Message | None = None) -> None:
        """Bring an instance to memory. A message that is known already need not be in what is read."""
        resident = self._residents.get(key)

        if self._stopped:
            return

        if resident is not None:
            if message is not None:
                self._receive(resident, message)

            return

        messages = self._loading.setdefault(key, [])

        if message is not None:
            messages.append(message)

        if self._loader is None:
            self._loader = asyncio.create_task(self._load_all(), name="loader")

    async def _load_all(self) -> None:
        try:
            while self._loading:
                keys = list(islice(self._loading, _LOAD))

                try:
                    loaded = await self._backend.load(keys, now=_END_OF_TIME)
                except StorageFailedError as error:
                    log.warning("cannot load %d instances, trying again: %s", len(keys), error)
                    await asyncio.sleep(self._settings.abandon_delay)
                    continue

                for key in keys:
                    try:
                        self._loaded(self._loading.pop(key, None), loaded.get(key))
                    except Exception:
                        log.exception("instance %s cannot be brought to memory", key.instance_id)
        finally:
            self._loader = None

    def _loaded(self, messages: Sequence[Message] | None, loaded: LoadedInstance | None) -> None:
        # None: it was created anew meanwhile.
        if messages is None or loaded is None or loaded.instance.status in TERMINAL_STATUSES:
            return

        resident = self._keep(Resident(fold(loaded.instance, loaded.history), loaded.history))
        now = self._clock.now()

        for message in (*loaded.inbox, *messages):
            if message.due_at is not None and message.due_at > now:
                resident.postpone(message)
            else:
                resident.receive(message)

        self._weigh(resident)
        self._wake(resident)


def _cancel_pause(resident: Resident) -> None:
    if resident.pause is not None:
        resident.pause.cancel()
        resident.pause = None
