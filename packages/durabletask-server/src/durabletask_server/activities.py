"""The activity processor: open tasks from their commit to the commit of their answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from durabletask_backend.mutations import Code, CompleteTask, MarkTasksOut, Mutation, Outcome
from durabletask_backend.values import InstanceKey, Message, Micros, Task, TaskKey
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.about import about
from durabletask_server.clock import Alarm, Clock
from durabletask_server.dispatch.dispatcher import Dispatcher
from durabletask_server.dispatch.encoding import encode_activity
from durabletask_server.dispatch.stream import Kind, WorkerStream, WorkItem
from durabletask_server.engine import events
from durabletask_server.journal import Journal
from durabletask_server.settings import Settings
from durabletask_server.tokens import Token, TokenSigner

log = logging.getLogger(__name__)

_MARK_AFTER = 1_000_000
"""Microseconds a worker holds a task before that is noted in the store."""


class ActivityItem:
    """An open task as the dispatcher sees it.

    Args:
        task: The task.
        processor: Has it back.
    """

    kind = Kind.ACTIVITY

    def __init__(self, task: Task, processor: ActivityProcessor) -> None:
        self.task = task
        self.instance = task.key.instance
        """The instance that scheduled it."""
        self.name = task.name
        self.version = task.version
        self.caller_version = task.caller_version
        self.stream: WorkerStream | None = None
        self.avoid: int | None = None
        self.prefer: int | None = None
        self.attempt = ""
        """Which hand-out its worker has it by."""
        self.ready_at = self.out_at = 0.0
        self.since: Micros = 0
        """When its worker got it."""
        self.breaks = 0
        self.abandoned = 0
        self._processor = processor

    def hand_out(self, stream: WorkerStream) -> bytes | None:
        """Give it to a worker."""
        return self._processor.hand_out(self, stream)

    def broken(self) -> None:
        """The worker's stream ended."""
        self.stream = None
        self._processor.broken(self)

    def settle(self) -> None:
        """It is the worker's no more."""
        if self.stream is not None:
            self.stream.release(self)
            self.stream = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of an activity, as its worker says."""

    result: str | None = None
    failure: pb.TaskFailureDetails | None = None

    def event(self, at: Micros, task_id: int) -> pb.HistoryEvent:
        """The event that tells the orchestration."""
        if self.failure is not None:
            return events.task_failed(at, task_id, events.bounded(self.failure))

        return events.task_completed(at, task_id, self.result)


class ActivityProcessor:
    """Keeps the open tasks, offers them to workers, and commits their answers.

    Args:
        journal: Commits.
        dispatcher: Finds workers.
        clock: The time.
        signer: Makes the tokens.
        boot: Tells this process's hand-outs from another's.
        settings: Limits and delays.
    """

    def __init__(
        self,
        journal: Journal,
        dispatcher: Dispatcher,
        clock: Clock,
        signer: Callable[[str], TokenSigner],
        boot: str,
        settings: Settings,
    ) -> None:
        self._journal = journal
        self._dispatcher = dispatcher
        self._clock = clock
        self._signer = signer
        self._boot = boot
        self._settings = settings
        self._deliver: Callable[[InstanceKey, Message], None]
        self._spare: Callable[[Sequence[Task]], Sequence[Task]]
        self._open: dict[TaskKey, ActivityItem] = {}
        self._by_instance: dict[InstanceKey, set[TaskKey]] = {}
        # In order of their hand-out; what is not noted in the store yet.
        self._unmarked: dict[TaskKey, Micros] = {}
        self._mark_alarm: Alarm | None = None
        self._hand_outs = 0

    def bind(
        self,
        deliver: Callable[[InstanceKey, Message], None],
        spare: Callable[[Sequence[Task]], Sequence[Task]],
    ) -> None:
        """What it calls; once, before anything else.

        Args:
            deliver: Called with each committed answer.
            spare: Asked which of some new tasks are to be kept; the others are left to other servers.
        """
        self._deliver = deliver
        self._spare = spare

    def take_over(self, tasks: Sequence[Task]) -> None:
        """Open tasks that nobody had are ours now. One that a worker is known to have held gets time to be answered."""
        for task in tasks:
            # It may have been ours all along.
            if task.key in self._open:
                continue

            item = self._keep(task)

            if task.out:
                self._later(item, self._settings.activity_grace)
            else:
                self._dispatcher.add(item)

    def stop(self) -> None:
        """Mark nothing more."""
        if self._mark_alarm is not None:
            self._mark_alarm.cancel()

    def add(self, tasks: Sequence[Task]) -> None:
        """Tasks were committed."""
        for task in self._spare(tasks):
            self._dispatcher.add(self._keep(task))

    def drop(self, instance: InstanceKey) -> None:
        """An instance's tasks are not open any more."""
        for key in list(self._by_instance.get(instance, ())):
            self._forget(key)

        self._dispatcher.drop(Kind.ACTIVITY, instance, lambda item: not self._is_open(item))

    def let_go(self, fits: Callable[[Task], bool]) -> Sequence[TaskKey]:
        """Forget the tasks that wait for a worker and fit none; they are still open."""
        gone = [key for key, item in self._open.items() if item.stream is None and not fits(item.task)]

        for key in gone:
            self._forget(key)

        for instance in {key.instance for key in gone}:
            self._dispatcher.drop(Kind.ACTIVITY, instance, lambda item: not self._is_open(item))

        return gone

    def close_hub(self, hub: str) -> None:
        """A hub was deleted, with all that was in it."""
        for instance in [instance for instance in self._by_instance if instance.hub == hub]:
            self.drop(instance)

    def _is_open(self, item: WorkItem) -> bool:
        return isinstance(item, ActivityItem) and self._open.get(item.task.key) is item

    def task_key(self, instance: InstanceKey, task_id: int) -> TaskKey | None:
        """The open task of that id, for workers that give no token back."""
        return next((key for key in self._by_instance.get(instance, ()) if key.task_id == task_id), None)

    async def complete(self, key: TaskKey, answer: Answer) -> None:
        """Commit an answer. It counts if the task is open, whoever gives it; otherwise nothing happens but a line in the log.

        Raises:
            BackendError: The store failed; the answer may be given again.
        """
        item = self._open.get(key)

        if item is not None:
            if item.stream is not None:
                self._dispatcher.measures.answered(item)

            item.settle()

        self._unmarked.pop(key, None)
        payload = answer.event(self._clock.now(), key.task_id).SerializeToString()
        # The answer is committed also when the worker does not wait for that any more.
        await asyncio.shield(self._answered(key, payload))

    def _answered(self, key: TaskKey, payload: bytes) -> asyncio.Future[Outcome]:
        def failed(_: Exception) -> None:
            item = self._open.get(key)

            if item is not None and item.stream is None:
                self._later(item, self._settings.abandon_delay)

        return self._journal.submit(
            CompleteTask(task=key, payload=payload), lambda outcome: self._completed(key, payload, outcome), failed
        )

    def abandon(self, key: TaskKey, attempt: str) -> None:
        """A worker gives a task back. It is offered again after a while that grows; unless another worker has it by now."""
        item = self._open.get(key)

        if item is None or item.stream is None or item.attempt != attempt:
            return

        self._dispatcher.measures.returned(item)
        item.avoid = item.stream.number
        item.settle()
        self._unmarked.pop(key, None)
        delay = self._settings.backoff(item.abandoned)
        item.abandoned += 1
        self._later(item, delay)

    def hand_out(self, item: ActivityItem, stream: WorkerStream) -> bytes | None:
        """Give a task to a worker; None if it is not open any more."""
        key = item.task.key

        if self._open.get(key) is not item or item.stream is not None:
            return None

        self._hand_outs += 1
        item.attempt = f"{self._boot}.{self._hand_outs}"
        encoded = encode_activity(item.task, self._signer(key.hub).sign(Token(key, item.attempt)))

        if len(encoded) > self._settings.message_limit:
            self._fail(
                item,
                "MessageTooLarge",
                f"has a work item of {len(encoded)} bytes, more than a message to its worker may have (message_limit, "
                f"{self._settings.message_limit}); carry less in its input",
            )
            return None

        item.stream = stream
        now = item.since = self._clock.now()
        self._unmarked[key] = now

        if self._mark_alarm is None:
            self._mark_alarm = self._clock.call_at(now + 2 * _MARK_AFTER, self._mark)

        return encoded

    def broken(self, item: ActivityItem) -> None:
        """The stream that held a task ended: the task is ready again, unless it has broken too many."""
        if self._open.get(item.task.key) is not item:
            return

        # What a worker has had for long is not what broke it.
        if self._clock.now() - item.since > int(self._settings.slow_turn * 1_000_000):
            item.breaks = 0

        item.breaks += 1
        self._unmarked.pop(item.task.key, None)

        if item.breaks >= self._settings.poison_limit:
            self._fail(item, "PoisonedWorkItem", f"was lost with its worker {item.breaks} times in a row")
        else:
            self._dispatcher.add(item, front=True)

    def riders(self) -> Sequence[Mutation]:
        """What to note in a batch that is committed anyway: the tasks that workers have held for a while."""
        horizon = self._clock.now() - _MARK_AFTER
        marked: list[TaskKey] = []

        for key, since in self._unmarked.items():
            if since > horizon:
                break

            marked.append(key)

        for key in marked:
            del self._unmarked[key]

        return (MarkTasksOut(tasks=tuple(marked)),) if marked else ()

    def __len__(self) -> int:
        return len(self._open)

    def _mark(self) -> None:
        """No batch came along: note what has been out for long in one of its own."""
        self._mark_alarm = None

        for mutation in self.riders():
            self._journal.submit(mutation, lambda _: None)

        if self._unmarked:
            self._mark_alarm = self._clock.call_at(self._clock.now() + _MARK_AFTER, self._mark)

    def _fail(self, item: ActivityItem, error_type: str, problem: str) -> None:
        """An activity that no worker can do fails, for its orchestration to see."""
        key = item.task.key
        log.error(
            "activity %s (task %d of instance %s) %s",
            item.task.name,
            key.task_id,
            key.instance_id,
            problem,
            extra=about(key.instance),
        )
        failure = events.failure(
            error_type, f"activity {item.task.name!r} (task {key.task_id}) {problem}", non_retriable=True
        )
        self._answered(key, events.task_failed(self._clock.now(), key.task_id, failure).SerializeToString())

    def _completed(self, key: TaskKey, payload: bytes, outcome: Outcome) -> None:
        self._forget(key)

        if outcome.code is Code.APPLIED:
            self._deliver(
                key.instance, Message(sequence=outcome.sequence, payload=payload, execution_id=key.execution_id)
            )
        else:
            log.info(
                "the result of task %d of instance %s is of no use any more (%s)",
                key.task_id,
                key.instance_id,
                outcome.code.name.lower(),
                extra=about(key.instance),
            )

    def _keep(self, task: Task) -> ActivityItem:
        item = self._open[task.key] = ActivityItem(task, self)
        self._by_instance.setdefault(task.key.instance, set()).add(task.key)

        return item

    def _forget(self, key: TaskKey) -> None:
        item = self._open.pop(key, None)

        if item is None:
            return

        item.settle()
        self._unmarked.pop(key, None)
        siblings = self._by_instance[key.instance]
        siblings.discard(key)

        if not siblings:
            del self._by_instance[key.instance]

    def _later(self, item: ActivityItem, delay: float) -> None:
        def ready() -> None:
            if item.stream is None and self._open.get(item.task.key) is item:
                self._dispatcher.add(item)

        self._clock.call_at(self._clock.now() + int(delay * 1_000_000), ready)
