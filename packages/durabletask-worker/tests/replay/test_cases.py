"""Each case of the table, in each style, in each way in which a worker may come to an orchestration's last answer."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from dataclasses import dataclass

import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import OrchestrationContext
from durabletask_worker.context import EntityProxy
from durabletask_worker.execution.fibers import FiberTask
from durabletask_worker.execution.replay import Execution
from durabletask_worker.execution.scopes import TaskGroup, Timeout
from durabletask_worker.execution.sections import EntityLock
from durabletask_worker.testing import Story
from durabletask_worker.testing.story import confirmations

from .cases import CASES, MODULES
from .table import Case, asked, plain

STYLES = ("async def", "generator", "plain function")
EACH = pytest.mark.parametrize(
    ("case", "style"), [pytest.param(case, style, id=f"{case.name}-{style}") for case in CASES for style in case.styles]
)


@dataclass(frozen=True, slots=True)
class _Turn:
    past: list[pb.HistoryEvent]
    new: list[pb.HistoryEvent]
    answer: pb.OrchestratorResponse


def told(case: Case, style: str) -> tuple[Story, list[_Turn]]:
    """Tell a story to its end, each turn with a replay of its own."""
    story, turns = case.story(style), []

    for events in case.told:
        past = list(story.history)
        answer = story.turn(*(event if isinstance(event, pb.HistoryEvent) else event(story) for event in events))
        recorded = len(confirmations(answer, story.now))
        turns.append(_Turn(past, story.history[len(past) : len(story.history) - recorded], answer))

    return story, turns


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_has_all_styles(case: Case) -> None:
    assert tuple(case.styles) == STYLES
    assert inspect.iscoroutinefunction(case.styles["async def"])
    assert inspect.isgeneratorfunction(case.styles["generator"])
    assert not inspect.iscoroutinefunction(case.styles["plain function"])
    assert not inspect.isgeneratorfunction(case.styles["plain function"])


@EACH
def test_turn_by_turn(case: Case, style: str) -> None:
    story, turns = told(case, style)

    assert [asked(turn.answer) for turn in turns] == list(case.asks)

    if case.failure is None:
        assert story.completion is None or story.output() == case.output
    else:
        assert case.failure in f"{story.failure.error_type}: {story.failure.message}"

    if case.look is not None:
        case.look(story)


@EACH
def test_from_any_point_of_the_history(case: Case, style: str) -> None:
    story, turns = told(case, style)
    events = [*turns[-1].past, *turns[-1].new]

    for split in [len(turn.past) for turn in turns] if case.has_whole_turns else range(len(events)):
        again = story.replay(events[:split], events[split:])

        # Split inside a turn, what was replayed is new, and what it asks for is confirmed on the way.
        assert plain(again) == plain(turns[-1].answer), split


@EACH
def test_in_memory_from_turn_to_turn(case: Case, style: str) -> None:
    story, turns = told(case, style)

    for begin in range(len(turns)):
        execution = Execution(story.host, instance_id=story.instance_id)
        answers = [execution.advance(turns[begin].past, turns[begin].new)]
        answers += [execution.advance((), turn.new) for turn in turns[begin + 1 :]]
        execution.close()

        assert [plain(answer) for answer in answers] == [plain(turn.answer) for turn in turns[begin:]], begin


@EACH
def test_each_turn_again(case: Case, style: str) -> None:
    story, turns = told(case, style)

    for turn in turns:
        assert plain(story.replay(turn.past, turn.new)) == plain(turn.answer)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_styles_ask_for_the_same(case: Case) -> None:
    told_by_style = [told(case, style)[1] for style in case.styles]

    for turns in zip(*told_by_style, strict=True):
        assert len({plain(turn.answer) for turn in turns}) == 1


def _offered(kind: type, *, but: Collection[str] = ()) -> set[str]:
    members = inspect.getmembers(kind, lambda member: inspect.isfunction(member) or isinstance(member, property))

    return {name for name, _ in members if not name.startswith("_") and name not in but}


def test_every_construct_is_in_a_case() -> None:
    by_context = {rf"\bctx\.{name}\b" for name in _offered(OrchestrationContext)}
    # What else tasks have is for the core.
    by_value = _offered(FiberTask, but=("join", "leave", "abandon", "complete", "fail"))
    by_value |= _offered(TaskGroup, but=("task_settled",)) | _offered(Timeout) | _offered(EntityLock)
    by_value |= _offered(EntityProxy, but=("id",)) | {"is_complete"}
    patterns = by_context | {rf"\.{name}\b" for name in by_value} | {r"\bwhen_all\(", r"\bwhen_any\("}
    sources = "".join(inspect.getsource(module) for module in MODULES)

    assert {pattern for pattern in patterns if not re.search(pattern, sources)} == set()
