"""The form of the table: what an orchestrator is told, turn by turn, and what it asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import OrchestrationContext
from durabletask_worker.execution.host import Host
from durabletask_worker.testing import Story, entity_completed, entity_failed, locks_granted

Told: TypeAlias = pb.HistoryEvent | Callable[[Story], pb.HistoryEvent]
"""An event, or what makes it when it is known what the story asked for."""

_WORDS = {
    "scheduleTask": "activity",
    "createTimer": "timer",
    "createSubOrchestration": "child",
    "sendEvent": "event",
    "terminateOrchestration": "terminate",
    "entityOperationCalled": "call",
    "entityOperationSignaled": "signal",
    "entityLockRequested": "lock",
    "entityUnlockSent": "unlock",
}
_ENDS = {
    pb.ORCHESTRATION_STATUS_COMPLETED: "completed",
    pb.ORCHESTRATION_STATUS_FAILED: "failed",
    pb.ORCHESTRATION_STATUS_TERMINATED: "terminated",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "continued",
}


Flow: TypeAlias = Generator[Any, Any, Any]
"""What a generator is to a type checker."""


class Styles(ABC):
    """An orchestration in three styles."""

    @abstractmethod
    async def coroutine(self, ctx: OrchestrationContext) -> Any:
        """As `async def`."""

    @abstractmethod
    def generator(self, ctx: OrchestrationContext) -> Flow:
        """As a generator."""

    def plain(self, ctx: OrchestrationContext) -> Any:
        """As a plain function: one that returns what is to be awaited, unless a case knows of a plainer one."""
        return self.coroutine(ctx)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An orchestration, in the styles that it can be written in."""

    name: str
    styles: Mapping[str, Callable[..., Any]]
    """By the name of the style: the same orchestration."""
    told: Sequence[Sequence[Told]]
    """What comes, turn by turn; the first turn has ExecutionStarted before it."""
    asks: Sequence[str]
    """What is asked for, turn by turn, in words: `"activity timer"`."""
    output: object = None
    failure: str | None = None
    """What the failure's type and message have in them, if it fails."""
    host: Mapping[str, Any] = field(default_factory=dict)
    """What the worker is like."""
    has_whole_turns: bool = False
    """Whether it makes sense only with past events that are whole turns, as servers send them."""
    look: Callable[[Story], None] | None = None
    """Looks closer at the end."""

    def story(self, style: str) -> Story:
        """The story, before its first turn."""
        orchestrator = self.styles[style]
        story = Story(orchestrator, version="1.0")
        story.host = Host(
            **{"registry": story.registry, "converter": story.converter, "guard": story.host.guard, **self.host}
        )

        return story


def add_to(cases: list[Case], name: str, **more: Any) -> Callable[[type[Styles]], type[Styles]]:
    """Make a class a case of a table.

    Args:
        cases: The table.
        name: What the case is about.
        more: The rest of the case.

    Returns:
        The decorator.
    """

    def decorator(kind: type[Styles]) -> type[Styles]:
        code = kind()
        styles = {"async def": code.coroutine, "generator": code.generator, "plain function": code.plain}
        cases.append(Case(name=name, styles=styles, **more))

        return kind

    return decorator


def asked(response: pb.OrchestratorResponse) -> str:
    """What an answer asks for, in words."""
    return " ".join(_word(action) for action in response.actions)


def _word(action: pb.OrchestratorAction) -> str:
    kind: str = action.WhichOneof("orchestratorActionType") or ""

    if kind == "completeOrchestration":
        return _ENDS[action.completeOrchestration.orchestrationStatus]

    if kind == "sendEntityMessage":
        kind = action.sendEntityMessage.WhichOneof("EntityMessageType") or ""

    return _WORDS[kind]


def plain(answer: pb.OrchestratorResponse) -> bytes:
    """An answer without stack traces, which have frames of the way that led to the code."""
    bare = pb.OrchestratorResponse()
    bare.CopyFrom(answer)

    for action in bare.actions:
        failure = action.completeOrchestration.failureDetails if action.HasField("completeOrchestration") else None

        while failure is not None:
            failure.ClearField("stackTrace")
            failure = failure.innerFailure if failure.HasField("innerFailure") else None

    return bare.SerializeToString(deterministic=True)


def answered(step: int, result: object = None) -> Callable[[Story], pb.HistoryEvent]:
    """The entity that a step has called has answered."""
    return lambda story: entity_completed(story.request_id(step), result)


def refused(step: int, message: str) -> Callable[[Story], pb.HistoryEvent]:
    """The entity that a step has called has failed."""
    return lambda story: entity_failed(story.request_id(step), message)


def granted(step: int) -> Callable[[Story], pb.HistoryEvent]:
    """The locks that a step has asked for are there."""
    return lambda story: locks_granted(story.request_id(step))
