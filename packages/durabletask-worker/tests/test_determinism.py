"""Code that is not what its history says, or that waits for what cannot be replayed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from durabletask_client.models import OrchestrationStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import OrchestrationContext
from durabletask_worker.testing import Story, event_raised, task_completed

SECOND = timedelta(seconds=1)
NON_DETERMINISM = "durabletask_worker.errors.NonDeterminismError"


async def recorded(ctx: OrchestrationContext) -> None:
    ctx.call_activity("pay")
    ctx.call_sub_orchestrator("child")
    ctx.create_timer(SECOND)
    ctx.send_event("other", "ping")
    await ctx.wait_for_external_event("end")


class Changed:
    """The same orchestration with other code."""

    async def another_activity(self, ctx: OrchestrationContext) -> None:
        ctx.call_activity("refund")
        await ctx.wait_for_external_event("end")

    async def a_timer_instead(self, ctx: OrchestrationContext) -> None:
        ctx.create_timer(SECOND)
        await ctx.wait_for_external_event("end")

    async def nothing(self, ctx: OrchestrationContext) -> None:
        await ctx.wait_for_external_event("end")

    async def another_child(self, ctx: OrchestrationContext) -> None:
        ctx.call_activity("pay")
        ctx.call_sub_orchestrator("another")
        await ctx.wait_for_external_event("end")

    async def no_timer(self, ctx: OrchestrationContext) -> None:
        ctx.call_activity("pay")
        ctx.call_sub_orchestrator("child")
        ctx.send_event("other", "ping")
        await ctx.wait_for_external_event("end")

    async def another_event(self, ctx: OrchestrationContext) -> None:
        ctx.call_activity("pay")
        ctx.call_sub_orchestrator("child")
        ctx.create_timer(SECOND)
        ctx.send_event("other", "pong")
        await ctx.wait_for_external_event("end")

    async def another_target(self, ctx: OrchestrationContext) -> None:
        ctx.call_activity("pay")
        ctx.call_sub_orchestrator("child")
        ctx.create_timer(SECOND)
        ctx.send_event("another", "ping")
        await ctx.wait_for_external_event("end")


def line_in(changed: str, code: str) -> int:
    """Where the changed code does something, or waits."""
    lines, first = inspect.getsourcelines(getattr(Changed, changed))
    word = {
        "activity": "refund",
        "a": "timer",
        "nothing": "wait",
        "sub-orchestration": "another",
        "event": "send_event",
    }

    return next(first + at for at, line in enumerate(lines) if at and word[code.split()[0]] in line)


@pytest.mark.parametrize(
    ("changed", "step", "history", "code"),
    [
        ("another_activity", 1, "activity 'pay'", "activity 'refund'"),
        ("a_timer_instead", 1, "activity 'pay'", "a timer"),
        ("nothing", 1, "activity 'pay'", "nothing"),
        ("another_child", 2, "sub-orchestration 'child'", "sub-orchestration 'another'"),
        ("no_timer", 3, "a timer", "event 'ping' to 'other'"),
        ("another_event", 4, "event 'ping' to 'other'", "event 'pong' to 'other'"),
        ("another_target", 4, "event 'ping' to 'other'", "event 'ping' to 'another'"),
    ],
)
def test_a_mismatch_names_the_step_and_both_sides(changed: str, step: int, history: str, code: str) -> None:
    story = Story(recorded, instance_id="order-1")
    story.turn()
    changed_story = Story(getattr(Changed(), changed), instance_id="order-1")
    story.history[1].executionStarted.name = changed
    changed_story.history = story.history

    changed_story.turn(event_raised("end"))

    assert changed_story.status is OrchestrationStatus.FAILED
    assert changed_story.failure.error_type == NON_DETERMINISM
    message = changed_story.failure.message
    assert "'order-1'" in message
    assert f"at step {step} the history has {history}, but the code did {code} " in message
    assert f"at {__file__}:{line_in(changed, code)}. " in message
    assert [action.id for action in changed_story.actions] == [-1]


def test_the_case_of_an_events_name_may_change() -> None:
    story = Story(recorded)
    story.turn()
    story.history[-1].eventSent.name = "PING"

    story.turn(event_raised("end"))

    assert story.status is OrchestrationStatus.COMPLETED


def test_a_history_without_a_beginning() -> None:
    response = Story(recorded).replay([], [event_raised("end")])

    assert response.actions[0].completeOrchestration.failureDetails.errorType == NON_DETERMINISM


async def library() -> None:
    await asyncio.get_running_loop().create_future()


async def sleeps(ctx: OrchestrationContext) -> None:
    try:
        await asyncio.sleep(1)
    except Exception:  # noqa: BLE001 - the error is none that the code could catch
        return


async def sleeps_for_nothing(ctx: OrchestrationContext) -> None:
    await asyncio.sleep(0)


async def gathers(ctx: OrchestrationContext) -> None:
    await asyncio.gather(asyncio.get_running_loop().create_future())


async def waits(ctx: OrchestrationContext) -> None:
    await asyncio.wait([asyncio.get_running_loop().create_future()])


async def calls_a_library(ctx: OrchestrationContext) -> None:
    await library()


async def waits_for_a_future(ctx: OrchestrationContext) -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    ("orchestrator", "culprit", "replacement"),
    [
        (sleeps, "asyncio.sleep", "await ctx.create_timer(…)"),
        (sleeps_for_nothing, "asyncio.sleep", "await ctx.create_timer(…)"),
        (gathers, "asyncio.gather", "await when_all([…])"),
        (waits, "asyncio.wait", "await when_any([…])"),
        (calls_a_library, "library", "an activity for everything else"),
        (waits_for_a_future, "Future", "an activity for everything else"),
    ],
)
async def test_a_wait_for_anything_else_fails_at_once(orchestrator: Any, culprit: str, replacement: str) -> None:
    story = Story(orchestrator)
    story.host = replace(story.host, guard=None)
    story.turn()

    assert story.failure.error_type == NON_DETERMINISM
    assert f"awaited {culprit} " in story.failure.message
    assert replacement in story.failure.message


def test_a_generator_may_yield_tasks_only() -> None:
    def yields(ctx: OrchestrationContext) -> Generator[object, object, None]:
        yield [1]

    story = Story(yields)
    story.turn()

    assert story.failure.error_type == NON_DETERMINISM
    assert "yielded a list" in story.failure.message


class TestUnloading:
    """Code that has not returned is unwound at the end of each turn; that must not be noticed."""

    def test_what_a_finally_asks_for_is_not_done(self) -> None:
        unwound: list[str] = []

        async def tidies(ctx: OrchestrationContext) -> None:
            try:
                await ctx.call_activity("work")
            finally:
                unwound.append("begin")
                ctx.call_activity("tidy")
                unwound.append("end")

        story = Story(tidies)
        story.turn()

        assert [action.scheduleTask.name for action in story.actions] == ["work"]
        assert unwound == ["begin"]

        story.turn(task_completed(1))

        assert [action.scheduleTask.name for action in story.actions[:1]] == ["tidy"]

    def test_code_that_resists_does_no_harm(self) -> None:
        async def resists(ctx: OrchestrationContext) -> str:
            for _ in range(3):
                try:
                    await ctx.call_activity("work")
                except BaseException:  # noqa: BLE001 - the point
                    continue

            return "done"

        story = Story(resists)
        story.turn()

        assert story.status is OrchestrationStatus.RUNNING
        assert len(story.actions) == 1

        story.turn(task_completed(1))
        story.turn(task_completed(2))
        story.turn(task_completed(3))

        assert story.output() == "done"


def test_extra_events_after_the_end_are_passed_over() -> None:
    story = Story(recorded)
    story.turn()
    completed = pb.HistoryEvent(eventId=-1, executionCompleted=pb.ExecutionCompletedEvent())

    story.turn(event_raised("end"), completed, task_completed(1))

    assert story.status is OrchestrationStatus.COMPLETED
