"""A worker in miniature that replays like those of the SDKs: code that asks for what the history does not have fails."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from durabletask_protos import orchestrator_service_pb2 as pb

from .scripts import activity, child, complete, fail, send, timer


class TaskError(Exception):
    """What the code waited for has failed."""


@dataclass(slots=True)
class Context:
    """What the code asks for, by the ids of the actions, and what it has got."""

    pending: dict[int, pb.OrchestratorAction] = field(default_factory=dict)
    results: dict[int, str | TaskError] = field(default_factory=dict)
    asked: int = 0

    def _ask(self, make: Callable[[int], pb.OrchestratorAction]) -> int:
        action_id, self.asked = self.asked, self.asked + 1
        self.pending[action_id] = make(action_id)

        return action_id

    def call(self, name: str) -> int:
        return self._ask(lambda action_id: activity(action_id, name))

    def sleep(self, until: int) -> int:
        return self._ask(lambda action_id: timer(action_id, until))

    def start(self, name: str, instance_id: str) -> int:
        return self._ask(lambda action_id: child(action_id, name, instance_id))

    def send(self, instance_id: str, name: str) -> None:
        self._ask(lambda action_id: send(action_id, instance_id, name))


@dataclass(frozen=True, slots=True)
class All:
    """Wait for all of these; fail with the first that fails."""

    ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Settled:
    """Wait for all of these, also when one fails; then fail if one did."""

    ids: Sequence[int]


Flow: TypeAlias = Generator[All | Settled, list[str], str]
Code: TypeAlias = Callable[[Context], Flow]

_CONFIRMS = {
    "taskScheduled": "scheduleTask",
    "timerCreated": "createTimer",
    "subOrchestrationInstanceCreated": "createSubOrchestration",
    "eventSent": "sendEvent",
}


def replaying(code: Code) -> Callable[[pb.OrchestratorRequest], list[pb.OrchestratorAction]]:
    """A worker's answer to a turn, from code that yields what it waits for."""

    def answer(request: pb.OrchestratorRequest) -> list[pb.OrchestratorAction]:
        context = Context()
        flow = code(context)
        waits: All | Settled = All(())

        try:
            for event in (*request.pastEvents, *request.newEvents):
                _follow(context, event)

                if event.HasField("executionStarted"):
                    waits = next(flow)

                while (result := _result(context, waits)) is not None:
                    waits = flow.throw(result) if isinstance(result, TaskError) else flow.send(result)
        except StopIteration as end:
            return [*context.pending.values(), complete(context.asked, end.value)]
        except Exception as error:  # noqa: BLE001 - as any code may
            return [*context.pending.values(), fail(context.asked, str(error))]

        return list(context.pending.values())

    return answer


def _follow(context: Context, event: pb.HistoryEvent) -> None:
    kind = event.WhichOneof("eventType") or ""

    if kind in _CONFIRMS:
        action = context.pending.pop(event.eventId, None)

        if action is None or not action.HasField(_CONFIRMS[kind]):  # type: ignore[arg-type]
            raise RuntimeError(f"not deterministic: {kind}({event.eventId})")

        return

    confirmed: Any = getattr(event, kind)

    match kind:
        case "taskCompleted" | "subOrchestrationInstanceCompleted":
            context.results[confirmed.taskScheduledId] = confirmed.result.value
        case "taskFailed" | "subOrchestrationInstanceFailed":
            context.results[confirmed.taskScheduledId] = TaskError(f"failed: {confirmed.failureDetails.errorMessage}")
        case "timerFired":
            context.results[confirmed.timerId] = "fired"
        case "executionCompleted" | "executionSuspended":
            raise AssertionError(f"no replay can do with {kind}")
        case _:
            pass


def _result(context: Context, waits: All | Settled) -> list[str] | TaskError | None:
    if not waits.ids:
        return None

    results = [context.results.get(action_id) for action_id in waits.ids]
    failed = [result for result in results if isinstance(result, TaskError)]

    if failed and (isinstance(waits, All) or None not in results):
        return failed[0]

    got = [result for result in results if isinstance(result, str)]

    return got if len(got) == len(results) else None
