"""A hub without a server: instances, their inboxes, a clock and scripted workers, all in one thread of test code.

The engine decides, `durabletask_backend.plan` applies, and the world keeps what it says. After every turn the state that the
engine carried along must be what the history folds to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from durabletask_backend.mutations import (
    AppendMessage,
    Batch,
    Code,
    CompleteTask,
    CompleteTurn,
    CreateInstance,
    Mutation,
    Outcome,
)
from durabletask_backend.plan import Head, Stored, plan, rows_read, turn_applied
from durabletask_backend.values import (
    TERMINAL_STATUSES,
    Instance,
    InstanceKey,
    Lease,
    Message,
    Micros,
    RuntimeStatus,
    Task,
    TaskKey,
)
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import events, lifecycle, orchestration
from durabletask_server.engine.framing import NEW_EVENT, frames
from durabletask_server.engine.orchestration import Decision
from durabletask_server.engine.state import State, fold
from durabletask_server.engine.turn import Letter, NoTurn, Turn, open_letter, take

from .scripts import Answer, Orchestrator

HUB = "hub"
NOW: Micros = 1_700_000_000_000_000
SECOND: Micros = 1_000_000
_LEASE = Lease(owner="world", epoch=1)


@dataclass(slots=True)
class Row:
    """An instance as it is kept."""

    state: State
    history: bytes = b""
    inbox: dict[int, Message] = field(default_factory=dict)
    tasks: dict[TaskKey, Task] = field(default_factory=dict)

    @property
    def instance(self) -> Instance:
        return self.state.instance


class World:
    """Holds instances and moves them on, one turn at a time."""

    def __init__(self, **orchestrators: Orchestrator) -> None:
        self.now = NOW
        self.orchestrators = orchestrators
        self.rows: dict[InstanceKey, Row] = {}
        self.requests: list[pb.OrchestratorRequest] = []
        """What workers were asked, in order."""
        self.decisions: list[Decision] = []
        self._ids = 0
        self._batches = 0
        self._sequence = 1

    def new_id(self) -> str:
        self._ids += 1

        return f"{self._ids:032x}"

    # What clients ask for.

    def start(self, name: str, instance_id: str | None = None, value: str | None = None, *, due: Micros = 0) -> Outcome:
        """Start an orchestration; its id is its name unless one is given."""
        request = pb.CreateInstanceRequest(name=name, instanceId=instance_id or name)

        if value is not None:
            request.input.value = value

        if due:
            request.scheduledStartTimestamp.CopyFrom(events.timestamp(due))

        return self.create(request)

    def create(self, request: pb.CreateInstanceRequest) -> Outcome:
        return self.apply(lifecycle.create(HUB, request, self.now, self.new_id))

    def raise_event(self, instance_id: str, name: str, value: str | None = None) -> Outcome:
        request = pb.RaiseEventRequest(instanceId=instance_id, name=name)

        if value is not None:
            request.input.value = value

        return self.apply(lifecycle.raise_event(HUB, request, self.now))

    def terminate(self, instance_id: str, output: str | None = None, *, recursive: bool = False) -> Outcome:
        request = pb.TerminateRequest(instanceId=instance_id, recursive=recursive)

        if output is not None:
            request.output.value = output

        return self.apply(lifecycle.request_termination(HUB, request, self.now))

    def suspend(self, instance_id: str) -> Outcome:
        return self.apply(lifecycle.request_suspension(HUB, pb.SuspendRequest(instanceId=instance_id), self.now))

    def resume(self, instance_id: str) -> Outcome:
        return self.apply(lifecycle.request_resumption(HUB, pb.ResumeRequest(instanceId=instance_id), self.now))

    def answer(
        self, instance_id: str, task_id: int, result: str | None = "done", *, error: str | None = None
    ) -> Outcome:
        """Complete an activity of the instance, or fail it with `error`."""
        event = (
            events.task_completed(self.now, task_id, result)
            if error is None
            else events.task_failed(self.now, task_id, events.failure("Boom", error))
        )
        task = TaskKey(HUB, instance_id, self.instance(instance_id).execution_id, task_id)

        return self.apply(CompleteTask(task=task, payload=event.SerializeToString()))

    # What is seen.

    def row(self, instance_id: str) -> Row:
        return self.rows[InstanceKey(HUB, instance_id)]

    def instance(self, instance_id: str) -> Instance:
        return self.row(instance_id).instance

    def state(self, instance_id: str) -> State:
        return self.row(instance_id).state

    def open_tasks(self, instance_id: str) -> set[int]:
        return {task.task_id for task in self.row(instance_id).tasks}

    def events(self, instance_id: str) -> list[pb.HistoryEvent]:
        return list(pb.OrchestratorRequest.FromString(self.row(instance_id).history).pastEvents)

    def history(self, instance_id: str) -> list[str]:
        """A line a turn, without the OrchestratorStarted that heads it: see `describe`."""
        lines: list[list[str]] = []

        for event in self.events(instance_id):
            if event.HasField("orchestratorStarted"):
                lines.append([])
            else:
                lines[-1].append(describe(event))

        return [" ".join(line) for line in lines]

    # How it moves on.

    def advance(self, micros: Micros) -> None:
        self.now += micros

    def letters(self, key: InstanceKey) -> list[Letter]:
        """What may be delivered to an instance now, in order."""
        letters = [open_letter(message) for message in self.rows[key].inbox.values()]
        # A termination does not wait for a start that is to come later.
        ending = any(letter.kind == "executionTerminated" for letter in letters)

        return sorted(
            (
                letter
                for letter in letters
                if letter.message.due_at is None
                or letter.message.due_at <= self.now
                or (ending and letter.message.front)
            ),
            key=lambda letter: (not letter.message.front, letter.message.sequence),
        )

    def take(self, instance_id: str) -> Turn | NoTurn:
        key = InstanceKey(HUB, instance_id)

        return take(self.rows[key].state, self.letters(key), self.now)

    def decide(self, instance_id: str) -> Decision | None:
        """Take a turn and have it answered, but commit nothing. None: there is nothing to do."""
        state = self.state(instance_id)

        if state.instance.status in TERMINAL_STATUSES:
            return None

        turn = self.take(instance_id)

        if isinstance(turn, NoTurn):
            return None

        if turn.terminated is not None:
            return orchestration.terminate(state, turn, self.now, self.new_id)

        request = pb.OrchestratorRequest.FromString(self.row(instance_id).history + frames(NEW_EVENT, turn.encoded))
        request.instanceId = instance_id
        self.requests.append(request)

        return orchestration.decide(state, turn, self._ask(state, turn, request), self.now, self.new_id)

    def replayed(self, instance_id: str) -> bytes:
        """An instance's history as it comes out when every turn of it is taken, answered and decided anew."""
        row = self.row(instance_id)
        written = b""

        for events_of_turn in _turns(self.events(instance_id)):
            came = [
                event for event in events_of_turn[1:] if event.eventId < 0 and not event.HasField("executionCompleted")
            ]
            instance = replace(row.instance, status=RuntimeStatus.RUNNING, updated_at=0, completed_at=None)
            state = fold(instance, written)
            letters = [
                open_letter(Message(sequence=number, payload=event.SerializeToString()))
                for number, event in enumerate(came)
            ]
            turn = take(state, letters, events.micros(events_of_turn[0].timestamp))
            assert isinstance(turn, Turn)
            at = events.micros(events_of_turn[-1].timestamp)

            if turn.terminated is None:
                request = pb.OrchestratorRequest.FromString(written + frames(NEW_EVENT, turn.encoded))
                request.instanceId = instance_id
                decision = orchestration.decide(state, turn, self._ask(state, turn, request), at, self.new_id)
            else:
                decision = orchestration.terminate(state, turn, at, self.new_id)

            written += decision.mutation.history

        return written

    def turn(self, instance_id: str) -> bool:
        """One turn of an instance, if it has one."""
        decision = self.decide(instance_id)

        if decision is None:
            return False

        self.commit(decision)

        return True

    def commit(self, decision: Decision) -> Outcome:
        row = self.rows.get(decision.mutation.key)
        outcome = self.apply(decision.mutation)

        # A turn that completes its instance may replace it, by a child of the same id.
        if outcome.code is Code.APPLIED and row is not None and self.rows[decision.mutation.key] is row:
            self.decisions.append(decision)
            assert row.instance == decision.state.instance
            assert fold(row.instance, row.history) == decision.state
            row.state = decision.state

        return outcome

    def run(self) -> None:
        """Turns of all instances, until nothing is left to do now."""
        for _ in range(1000):
            if sum(self.turn(key.instance_id) for key in list(self.rows)) == 0:
                return

        raise AssertionError("it does not come to rest")

    def _ask(self, state: State, turn: Turn, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
        answer: Answer = self.orchestrators[state.instance.name](request)

        if isinstance(answer, pb.OrchestratorResponse):
            whole = pb.OrchestratorResponse()
            whole.CopyFrom(answer)
            return whole

        return pb.OrchestratorResponse(actions=answer)

    def apply(self, mutation: Mutation) -> Outcome:
        """Commit one mutation."""
        self._batches += 1
        batch = Batch(id=str(self._batches), lease=_LEASE, mutations=(mutation,))
        read = rows_read(batch)
        stored = Stored(
            instances={
                key: Head(
                    row.instance.execution_id,
                    row.instance.status,
                    row.instance.turn,
                    first_execution_id=row.instance.first_execution_id,
                )
                for key in read.instances
                if (row := self.rows.get(key)) is not None
            },
            tasks={
                task for task in read.tasks if task.instance in self.rows and task in self.rows[task.instance].tasks
            },
            hubs={HUB},
        )
        outcomes, writes = plan(batch, stored, self._sequence)
        self._sequence = writes.next_sequence

        for key in writes.reset:
            del self.rows[key]

        for key, old in writes.new_generation.items():
            row = self.rows[key]
            row.history = b""
            row.tasks.clear()
            row.inbox = {at: message for at, message in row.inbox.items() if message.execution_id != old}

        for key in writes.inbox_cleared & self.rows.keys():
            self.rows[key].inbox.clear()

        for key in writes.tasks_cleared & self.rows.keys():
            self.rows[key].tasks.clear()

        for task in writes.finished:
            self.rows[task.instance].tasks.pop(task, None)

        for turn in writes.turns:
            self._turned(turn)

        for key, instance in writes.created.items():
            self.rows[key] = Row(State(instance=instance))

        for addition in writes.history:
            self.rows[addition.key].history += addition.events

        for key, message in writes.inbox:
            self.rows[key].inbox[message.sequence] = message

        for new in writes.tasks:
            assert new.key not in self.rows[new.key.instance].tasks, "a store has one open task an id"
            self.rows[new.key.instance].tasks[new.key] = new

        return outcomes[0]

    def _turned(self, turn: CompleteTurn) -> None:
        row = self.rows[turn.key]

        for sequence in turn.consumed:
            row.inbox.pop(sequence, None)

        # Only the record; `commit` has the rest of the state to compare.
        row.state = State(instance=turn_applied(row.instance, turn))


def describe(event: pb.HistoryEvent) -> str:
    """An event in short: its type, with `(id)` of the action it confirms, or `{id}` of the action it answers."""
    kind = event.WhichOneof("eventType") or ""
    name = kind[0].upper() + kind[1:]
    answered = _ANSWERED.get(kind)

    if answered is not None:
        return f"{name}{{{answered(event)}}}"

    return name if event.eventId == events.NO_ID else f"{name}({event.eventId})"


_ANSWERED: dict[str, Callable[[pb.HistoryEvent], int]] = {
    "taskCompleted": lambda event: event.taskCompleted.taskScheduledId,
    "taskFailed": lambda event: event.taskFailed.taskScheduledId,
    "timerFired": lambda event: event.timerFired.timerId,
    "subOrchestrationInstanceCompleted": lambda event: event.subOrchestrationInstanceCompleted.taskScheduledId,
    "subOrchestrationInstanceFailed": lambda event: event.subOrchestrationInstanceFailed.taskScheduledId,
}


def messages(decision: Decision) -> Sequence[pb.HistoryEvent]:
    """The events that a decision sends."""
    return [
        pb.HistoryEvent.FromString(effect.payload)
        for effect in decision.mutation.effects
        if isinstance(effect, AppendMessage)
    ]


def children(decision: Decision) -> Sequence[CreateInstance]:
    """The instances that a decision creates."""
    return [effect for effect in decision.mutation.effects if isinstance(effect, CreateInstance)]


def _turns(history: Iterable[pb.HistoryEvent]) -> list[list[pb.HistoryEvent]]:
    """A history by its turns."""
    turns: list[list[pb.HistoryEvent]] = []

    for event in history:
        if event.HasField("orchestratorStarted"):
            turns.append([])

        turns[-1].append(event)

    return turns
