"""Code that changes behind `ctx.patched` while orchestrations run, which a table of one code each cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from durabletask_worker import OrchestrationContext, Registry
from durabletask_worker.testing import Story, task_completed

from .table import asked


async def before(ctx: OrchestrationContext) -> list[Any]:
    return [await ctx.call_activity("old"), await ctx.call_activity("more")]


async def after(ctx: OrchestrationContext) -> list[Any]:
    first = await ctx.call_activity("new" if ctx.patched("first") else "old")
    more = [ctx.call_activity("more")] if not ctx.patched("second") else [ctx.call_activity(name) for name in "ab"]

    return [first, *[await each for each in more], ctx.patched("first")]


def change(story: Story, orchestrator: Callable[..., Any]) -> None:
    """Have the worker stopped, and started with other code under the same name."""
    registry = Registry()
    registry.add_orchestrator(orchestrator, name=before.__name__)
    story.host = replace(story.host, registry=registry)


def test_what_is_in_the_history_goes_the_old_path_and_what_is_not_the_new_one() -> None:
    story = Story(before)
    story.turn()
    change(story, after)

    # The code has passed the first change, but not yet come to the second one.
    assert asked(story.turn(task_completed(1, "old"))) == "event activity activity"

    story.turn(task_completed(3, "a"))
    story.turn(task_completed(4, "b"))

    assert story.output() == ["old", "a", "b", False]
    assert story.replay(story.history, []) == story.response


def test_what_was_passed_before_the_change_stays_on_the_old_path() -> None:
    story = Story(before)
    story.turn()
    story.turn(task_completed(1, "old"))
    change(story, after)
    story.turn(task_completed(2, "more"))

    assert story.output() == ["old", "more", False]


def test_who_begins_after_the_change_takes_the_new_path_in_each_replay() -> None:
    story = Story(before)
    change(story, after)

    assert asked(story.turn()) == "event activity"
    assert asked(story.turn(task_completed(2, "new"))) == "event activity activity"

    story.turn(task_completed(4, "a"), task_completed(5, "b"))

    assert story.output() == ["new", "a", "b", True]
