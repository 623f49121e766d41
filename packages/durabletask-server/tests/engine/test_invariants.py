"""What holds whatever workers answer, clients ask, and in whatever order things happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from durabletask_backend.mutations import Code
from durabletask_backend.values import TERMINAL_STATUSES, Instance, InstanceKey, Message, RuntimeStatus, Task, TaskKey
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine.events import micros
from durabletask_server.engine.orchestration import Decision
from durabletask_server.engine.turn import open_letter
from google.protobuf.wrappers_pb2 import Int32Value
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from .scripts import activity, child, complete, continue_as_new, fail, raised, send, stop, timer
from .world import SECOND, Row, World, describe

IDS = ["x", "y"]
CHILD_OF = {"a": "b", "b": "c", "c": None}
"""What each orchestrator starts as its child, so that the trees are low."""


class Step(NamedTuple):
    kind: str
    target: str


class Plan(NamedTuple):
    """One turn of a worker."""

    steps: list[Step]
    end: str
    processed: int


steps = st.builds(
    Step,
    st.sampled_from(["task", "task", "timer", "timer", "child", "child", "send", "stop"]),
    st.sampled_from([*IDS, ""]),
)
ends = st.sampled_from(["", "", "", "", "", "", "complete", "fail", "cancel", "continue", "continue"])
plans = st.lists(
    st.builds(Plan, st.lists(steps, min_size=1, max_size=3), ends, st.integers(0, 4)), min_size=1, max_size=4
)
ids = st.sampled_from(IDS)


class Planned:
    """A worker that does the same each time it is asked the same. It consumes no event, and carries over all it has seen."""

    def __init__(self, child_name: str | None, turns: Sequence[Plan]) -> None:
        self._child_name = child_name
        self._turns = turns

    def __call__(self, request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
        turn = sum(event.HasField("orchestratorStarted") for event in request.pastEvents)
        plan = self._turns[turn % len(self._turns)]
        numbers = count(sum(event.eventId >= 0 for event in request.pastEvents))
        response = pb.OrchestratorResponse()

        for kind, target in plan.steps:
            if kind == "task":
                response.actions.append(activity(next(numbers)))
            elif kind == "timer":
                # Of the turn's time, so that a replay asks for the same.
                response.actions.append(timer(next(numbers), micros(request.newEvents[0].timestamp) + SECOND))
            elif kind == "child" and self._child_name is not None:
                response.actions.append(child(next(numbers), self._child_name, target))
            elif kind == "send":
                response.actions.append(send(next(numbers), target, "from another"))
            elif kind == "stop" and target:
                response.actions.append(stop(next(numbers), target, recurse=True))

        if plan.end == "complete":
            response.actions.append(complete(next(numbers)))
        elif plan.end == "fail":
            response.actions.append(fail(next(numbers), "no luck"))
        elif plan.end == "cancel":
            response.actions.append(complete(next(numbers), None, RuntimeStatus.CANCELED))
        elif plan.end == "continue":
            response.actions.append(continue_as_new(next(numbers), carry=raised(request)))
        else:
            response.numEventsProcessed.CopyFrom(Int32Value(value=plan.processed))

        return response


class Hub(RuleBasedStateMachine):
    """Instances x and y, their children, and all that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.raised: dict[str, Row] = {}
        """The instance that each external event was raised to, by the event's name."""
        self.ended: list[tuple[Row, Instance]] = []
        self.decided: list[Decision] = []

    @initialize(a=plans, b=plans, c=plans)
    def begin(self, a: list[Plan], b: list[Plan], c: list[Plan]) -> None:
        for name, turns in (("a", a), ("b", b), ("c", c)):
            self.world.orchestrators[name] = Planned(CHILD_OF[name], turns)

        for instance_id in IDS:
            self.world.start("a", instance_id)

    @rule(instance_id=ids, name=st.sampled_from(["a", "b", "c"]), delay=st.sampled_from([0, 0, SECOND]))
    def start(self, instance_id: str, name: str, delay: int) -> None:
        self.world.start(name, instance_id, due=self.world.now + delay if delay else 0)

    @rule(instance_id=ids, times=st.integers(1, 3))
    def raise_events(self, instance_id: str, times: int) -> None:
        for _ in range(times):
            name = f"{len(self.raised):04}"

            if self.world.raise_event(instance_id, name).code is Code.APPLIED:
                self.raised[name] = self.world.row(instance_id)

    @rule(instance_id=ids, what=st.sampled_from(["suspend", "resume", "suspend", "resume", "end", "end all"]))
    def control(self, instance_id: str, what: str) -> None:
        if what == "suspend":
            self.world.suspend(instance_id)
        elif what == "resume":
            self.world.resume(instance_id)
        else:
            self.world.terminate(instance_id, "enough", recursive=what == "end all")

    @rule(micros=st.sampled_from([1, SECOND, -SECOND]))
    def time_passes(self, micros: int) -> None:
        self.world.advance(micros)

    @rule(data=st.data(), error=st.sampled_from([None, "no luck"]), twice=st.booleans())
    def answer_a_task(self, data: st.DataObject, error: str | None, twice: bool) -> None:
        still_open = [task for row in self.world.rows.values() for task in row.tasks]

        if still_open:
            task = data.draw(st.sampled_from(still_open))
            self.world.answer(task.instance_id, task.task_id, error=error)

            if twice:
                assert self.world.answer(task.instance_id, task.task_id).code is Code.MISSING

    @rule(data=st.data())
    def decide(self, data: st.DataObject) -> None:
        """Any instance takes a turn, which is decided; it is committed later, or never if the process ends before."""
        key = data.draw(st.sampled_from(sorted(self.world.rows)))
        decision = self.world.decide(key.instance_id)

        if decision is not None:
            self.decided.append(decision)

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """What was decided is committed, if nothing else was meanwhile. A stale turn is refused whole."""
        if not self.decided:
            return

        decision = data.draw(st.sampled_from(self.decided[::-1]))
        mutation = decision.mutation
        row = self.world.rows.get(mutation.key)

        if row is not None and (row.instance.execution_id, row.instance.turn) == (mutation.execution_id, mutation.turn):
            self._commit(decision, row)
        else:
            before = self._everything()
            assert self.world.commit(decision).code is Code.STALE
            assert self._everything() == before

    @rule()
    def everyone_takes_a_turn(self) -> None:
        for key, row in list(self.world.rows.items()):
            decision = self.world.decide(key.instance_id) if self.world.rows.get(key) is row else None

            if decision is not None:
                self._commit(decision, row)

    def teardown(self) -> None:
        """Replaying what is written gives what is written."""
        for key, row in self.world.rows.items():
            assert self.world.replayed(key.instance_id) == row.history

    def _commit(self, decision: Decision, row: Row) -> None:
        assert self.world.commit(decision).code is Code.APPLIED

        # Unless a child of the same id took its place at once.
        if decision.state.instance.status in TERMINAL_STATUSES and self.world.rows[decision.mutation.key] is row:
            self.ended.append((row, decision.state.instance))

    def _everything(self) -> dict[InstanceKey, tuple[Instance, bytes, dict[int, Message], dict[TaskKey, Task]]]:
        return {
            key: (row.instance, row.history, dict(row.inbox), dict(row.tasks)) for key, row in self.world.rows.items()
        }

    @invariant()
    def a_history_begins_with_its_start_and_ends_with_its_completion(self) -> None:
        for key, row in self.world.rows.items():
            history = [describe(event).split("(")[0] for event in self.world.events(key.instance_id)]
            assert not history or history[:2] == ["OrchestratorStarted", "ExecutionStarted"]
            assert history.count("ExecutionStarted") == bool(history)
            ended = row.instance.status in TERMINAL_STATUSES
            assert history.count("ExecutionCompleted") == ended
            assert not ended or history[-1] == "ExecutionCompleted"
            assert ended == (row.instance.completed_at is not None)

    @invariant()
    def a_reply_follows_what_it_answers_and_there_is_one(self) -> None:
        replies = {
            "TaskCompleted": "TaskScheduled",
            "TaskFailed": "TaskScheduled",
            "TimerFired": "TimerCreated",
            "SubOrchestrationInstanceCompleted": "SubOrchestrationInstanceCreated",
            "SubOrchestrationInstanceFailed": "SubOrchestrationInstanceCreated",
        }

        for key in self.world.rows:
            still_open: set[str] = set()

            for event in self.world.events(key.instance_id):
                name, brace, answered = describe(event).partition("{")

                if brace:
                    still_open.remove(f"{replies[name]}({answered[:-1]})")
                else:
                    still_open.add(describe(event))

    @invariant()
    def whatever_a_live_instance_waits_for_is_under_way_exactly_once(self) -> None:
        for key, row in self.world.rows.items():
            if row.instance.status in TERMINAL_STATUSES:
                assert not row.inbox
                assert not row.tasks or row.instance.status is RuntimeStatus.COMPLETED
                continue

            to_come = Counter(describe(open_letter(message).event) for message in row.inbox.values())

            for task_id in row.state.tasks:
                answers = to_come[f"TaskCompleted{{{task_id}}}"] + to_come[f"TaskFailed{{{task_id}}}"]
                assert answers + (task_id in self.world.open_tasks(key.instance_id)) == 1

            for timer_id in row.state.timers:
                assert to_come[f"TimerFired{{{timer_id}}}"] == 1

            for child_id in row.state.children:
                answers = (
                    to_come[f"SubOrchestrationInstanceCompleted{{{child_id}}}"]
                    + to_come[f"SubOrchestrationInstanceFailed{{{child_id}}}"]
                )
                assert answers + self._children_at_work(row, child_id) == 1

    def _children_at_work(self, parent: Row, action_id: int) -> int:
        links = [
            next(
                (event.executionStarted for event in self._with_inbox(row) if event.HasField("executionStarted")),
                pb.ExecutionStartedEvent(),
            ).parentInstance
            for row in self.world.rows.values()
            if row.instance.status not in TERMINAL_STATUSES
        ]

        return sum(
            link.orchestrationInstance.executionId.value == parent.instance.execution_id
            and link.taskScheduledId == action_id
            for link in links
        )

    def _with_inbox(self, row: Row) -> list[pb.HistoryEvent]:
        """The history of an instance and what is to come, in order."""
        waiting = sorted(row.inbox.values(), key=lambda message: (not message.front, message.sequence))

        return [
            *self.world.events(row.instance.key.instance_id),
            *(open_letter(message).event for message in waiting),
        ]

    @invariant()
    def no_event_is_lost_doubled_or_out_of_order(self) -> None:
        for row in self.world.rows.values():
            there = [
                event.eventRaised.name
                for event in self._with_inbox(row)
                if event.HasField("eventRaised") and event.eventRaised.name in self.raised
            ]
            raised_to_it = [name for name, to in self.raised.items() if to is row]

            if row.instance.status in TERMINAL_STATUSES:
                assert there == raised_to_it[: len(there)]
            else:
                assert there == raised_to_it

    @invariant()
    def what_has_ended_does_not_change(self) -> None:
        for row, instance in self.ended:
            assert row.instance == instance


Hub.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestHub = Hub.TestCase
