"""A hub with entities, without a server: everything is in a memory backend, and is loaded from it for each turn."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar

from durabletask_backend.memory import MemoryBackend
from durabletask_backend.mutations import Batch, Code, Mutation, Outcome
from durabletask_backend.values import (
    TERMINAL_STATUSES,
    Entity,
    EntityFilter,
    Instance,
    InstanceFilter,
    InstanceKey,
    LoadedEntity,
    LoadedInstance,
    Message,
    Micros,
    RuntimeStatus,
)
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import entity, events, lifecycle, orchestration
from durabletask_server.engine.entity import EntityDecision, Operations, Step
from durabletask_server.engine.framing import NEW_EVENT, frames
from durabletask_server.engine.orchestration import Decision
from durabletask_server.engine.rewind import Found, rewind
from durabletask_server.engine.state import State, fold
from durabletask_server.engine.turn import Letter, NoTurn, open_letter, take

from .scripts import Orchestrator
from .world import HUB, NOW, describe

T = TypeVar("T")
EntityWorker: TypeAlias = Callable[[Entity, Sequence[pb.HistoryEvent]], pb.EntityBatchResult]


def now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of what never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]

    raise AssertionError("it waits")


def adding(entity: Entity, operations: Sequence[pb.HistoryEvent]) -> pb.EntityBatchResult:
    """A worker whose entities write down all that they are asked for, and answer with what is written then."""
    result = pb.EntityBatchResult()
    written = entity.state or ""

    for event in operations:
        written += asked_of(event).operation
        result.results.add().success.result.value = written

    result.entityState.value = written

    return result


def asked_of(event: pb.HistoryEvent) -> pb.EntityOperationCalledEvent | pb.EntityOperationSignaledEvent:
    return event.entityOperationCalled if event.HasField("entityOperationCalled") else event.entityOperationSignaled


class EntityWorld:
    """Holds instances and entities and moves them on, one turn at a time."""

    def __init__(self, worker: EntityWorker = adding, **orchestrators: Orchestrator) -> None:
        self.now = NOW
        self.worker = worker
        self.orchestrators = orchestrators
        self.batches: list[tuple[str, list[str]]] = []
        """The operations that workers were asked for, with the entity's id, in order."""
        self._backend = MemoryBackend()
        self._lease = now(self._backend.open("world"))
        now(self._backend.create_hub(HUB, b"secret"))
        self._ids = 0
        self._count = 0

    def new_id(self) -> str:
        self._ids += 1

        return f"{self._ids:032x}"

    # What clients ask for.

    def start(self, name: str, instance_id: str | None = None) -> Outcome:
        request = pb.CreateInstanceRequest(name=name, instanceId=instance_id or name)

        return self.commit(lifecycle.create(HUB, request, self.now, self.new_id))

    def replace(self, name: str, instance_id: str) -> Outcome:
        """Start an orchestration in the place of a live one."""
        request = pb.CreateInstanceRequest(name=name, instanceId=instance_id)
        request.orchestrationIdReusePolicy.replaceableStatus.extend(
            [pb.ORCHESTRATION_STATUS_PENDING, pb.ORCHESTRATION_STATUS_RUNNING, pb.ORCHESTRATION_STATUS_TERMINATED]
        )

        return self.commit(lifecycle.create(HUB, request, self.now, self.new_id))

    def terminate(self, instance_id: str) -> Outcome:
        return self.commit(lifecycle.request_termination(HUB, pb.TerminateRequest(instanceId=instance_id), self.now))

    def rewind(self, instance_id: str) -> Outcome:
        loaded = self._load(instance_id)
        assert isinstance(loaded, LoadedInstance)
        key = loaded.instance.key
        found = Found(instance=loaded.instance, history=loaded.history)

        return self.commit(rewind(key, {key: found}, None, self.now, self.new_id))

    def raise_event(self, instance_id: str, name: str) -> Outcome:
        return self.commit(
            lifecycle.raise_event(HUB, pb.RaiseEventRequest(instanceId=instance_id, name=name), self.now)
        )

    def signal(self, entity_id: str, operation: str, *, request_id: str = "", due: Micros = 0) -> Outcome:
        request = pb.SignalEntityRequest(instanceId=entity_id, name=operation, requestId=request_id)

        if due:
            request.scheduledTime.CopyFrom(events.timestamp(due))

        return self.commit(lifecycle.signal_entity(HUB, request, self.now))

    def commit(self, mutation: Mutation) -> Outcome:
        self._count += 1
        batch = Batch(id=str(self._count), lease=self._lease, mutations=(mutation,))

        return now(self._backend.commit(batch))[0]

    # What is seen.

    def entity(self, entity_id: str) -> Entity:
        found = now(self._backend.entity(InstanceKey(HUB, entity_id)))
        assert found is not None

        return found

    def entities(self) -> dict[str, Entity]:
        page = now(self._backend.entities(HUB, EntityFilter(empty=True), limit=1000, states=True))

        return {found.key.instance_id: found for found in page.entities}

    def instances(self) -> dict[str, Instance]:
        page = now(self._backend.query(HUB, InstanceFilter(), limit=1000))

        return {found.key.instance_id: found for found in page.instances}

    def status(self, instance_id: str) -> RuntimeStatus:
        return self.instances()[instance_id].status

    def inbox(self, instance_id: str) -> list[str]:
        """What waits for an instance or an entity, in short."""
        return [describe(open_letter(message).event) for message in self._load(instance_id).inbox]

    def state(self, instance_id: str) -> State:
        loaded = self._load(instance_id)
        assert isinstance(loaded, LoadedInstance)

        return fold(loaded.instance, loaded.history)

    def events(self, instance_id: str) -> list[pb.HistoryEvent]:
        loaded = self._load(instance_id)
        assert isinstance(loaded, LoadedInstance)

        return list(pb.OrchestratorRequest.FromString(loaded.history).pastEvents)

    def history(self, instance_id: str) -> list[str]:
        """The history in short, without what heads a turn or the generation."""
        heads = {"OrchestratorStarted", "ExecutionStarted"}

        return [line for line in map(describe, self.events(instance_id)) if line not in heads]

    # How it moves on.

    def advance(self, micros: Micros) -> None:
        self.now += micros

    def decide(self, instance_id: str) -> Decision | None:
        """Take a turn of an orchestration and have it answered, but commit nothing. None: there is nothing to do."""
        loaded = self._load(instance_id)
        assert isinstance(loaded, LoadedInstance)

        if loaded.instance.status in TERMINAL_STATUSES:
            return None

        state = fold(loaded.instance, loaded.history)
        turn = take(state, self._letters(loaded.inbox), self.now)

        if isinstance(turn, NoTurn):
            return None

        if turn.terminated is not None:
            return orchestration.terminate(state, turn, self.now, self.new_id)

        request = pb.OrchestratorRequest.FromString(loaded.history + frames(NEW_EVENT, turn.encoded))
        request.instanceId = instance_id
        answer = self.orchestrators[loaded.instance.name](request)
        response = answer if isinstance(answer, pb.OrchestratorResponse) else pb.OrchestratorResponse(actions=answer)

        return orchestration.decide(state, turn, response, self.now, self.new_id)

    def take(self, entity_id: str) -> Operations | Step | NoTurn:
        loaded = self._load(entity_id)
        assert isinstance(loaded, LoadedEntity)

        return entity.take(loaded.entity, self._letters(loaded.inbox), self.now)

    def decide_entity(self, entity_id: str) -> EntityDecision | None:
        """Take a turn of an entity, and have it answered if it is a worker's, but commit nothing."""
        taken = self.take(entity_id)

        if isinstance(taken, Step):
            return taken.decision

        if isinstance(taken, NoTurn):
            return None

        before = self.entity(entity_id)
        result = self.worker(before, [pb.HistoryEvent.FromString(encoded) for encoded in taken.encoded])
        decision = entity.decide(before, taken, result, self.now, self.new_id)

        if decision.retry:
            return None

        self.batches.append((entity_id, [asked_of(event).operation for event in taken.events]))

        return decision

    def turn(self, instance_id: str) -> bool:
        """One turn of an instance or an entity, if it has one."""
        decision = self.decide_entity(instance_id) if instance_id.startswith("@") else self.decide(instance_id)

        if decision is None:
            return False

        assert self.commit(decision.mutation).code is Code.APPLIED

        if isinstance(decision, Decision):
            assert self.state(instance_id) == decision.state
        else:
            kept = self.entity(instance_id)
            assert (kept.state, kept.lock, kept.turn) == (
                decision.entity.state,
                decision.entity.lock,
                decision.entity.turn,
            )

        return True

    def run(self) -> None:
        """Turns of all, until nothing is left to do now."""
        for _ in range(1000):
            if sum(self.turn(instance_id) for instance_id in [*self.instances(), *self.entities()]) == 0:
                return

        raise AssertionError("it does not come to rest")

    def _load(self, instance_id: str) -> LoadedInstance | LoadedEntity:
        key = InstanceKey(HUB, instance_id)

        return now(self._backend.load(self._lease, [key]))[key]

    def _letters(self, inbox: Sequence[Message]) -> list[Letter]:
        return [open_letter(message) for message in inbox if message.due_at is None or message.due_at <= self.now]
