"""Groups of tasks, and who gets an external event when waits compete."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from durabletask_worker import OrchestrationContext, Task, when_all, when_any
from durabletask_worker.execution.tasks import OpenTask
from durabletask_worker.testing import Story, event_raised, task_completed, timer_fired

SECOND = timedelta(seconds=1)


def opened(count: int) -> list[OpenTask[int]]:
    return [OpenTask() for _ in range(count)]


def test_a_task_has_no_result_before_it_is_complete() -> None:
    task: OpenTask[int] = OpenTask()

    with pytest.raises(ValueError, match="not complete"):
        task.get_result()

    task.complete(1)
    task.fail(ValueError("too late"))

    assert (task.is_complete, task.is_failed, task.get_result(), task.get_exception()) == (True, False, 1, None)


def test_when_all_of_nothing_is_complete() -> None:
    assert when_all([]).get_result() == []


def test_when_any_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="one task at least"):
        when_any([])


def test_when_all_takes_tasks_that_are_complete_already() -> None:
    first, second = opened(2)
    first.complete(1)
    group = when_all([first, second, first])

    assert not group.is_complete

    second.complete(2)

    assert group.get_result() == [1, 2, 1]


def test_when_all_fails_with_the_first_failure_and_keeps_it() -> None:
    first, second, third = opened(3)
    group = when_all([first, second, third])
    error = ValueError("second")

    second.fail(error)
    first.fail(ValueError("first"))
    third.complete(3)

    assert group.get_exception() is error

    with pytest.raises(ValueError, match="second"):
        group.get_result()


def test_when_any_is_the_first_even_if_it_failed() -> None:
    first, second = opened(2)
    group = when_any([first, second])

    second.fail(ValueError("bad"))
    first.complete(1)

    assert group.get_result() is second
    assert not group.is_failed


def test_when_any_prefers_the_first_in_order_of_those_that_are_complete() -> None:
    first, second, third = opened(3)
    third.complete(3)
    second.complete(2)

    assert when_any([first, second, third]).get_result() is second


def test_groups_nest() -> None:
    first, second, third = opened(3)
    group = when_any([when_all([first, second]), third])

    first.complete(1)

    assert not group.is_complete

    second.complete(2)

    assert group.get_result().get_result() == [1, 2]


def test_the_losers_of_a_when_any_can_be_waited_for_again() -> None:
    async def drains(ctx: OrchestrationContext) -> list[object]:
        pending: list[Task[Any]] = [ctx.call_activity(name) for name in "abc"]
        order = []

        while pending:
            done = await when_any(pending)
            pending.remove(done)
            order.append(done.get_result())

        return order

    story = Story(drains)
    story.turn()
    story.turn(task_completed(2, "b"))
    story.turn(task_completed(3, "c"), task_completed(1, "a"))

    assert story.output() == ["b", "c", "a"]


class TestCompetingWaits:
    """An event must not be spent on a wait that was given up."""

    async def loses_to_a_timer(self, ctx: OrchestrationContext) -> object:
        given_up = ctx.wait_for_external_event("go")
        await when_any([given_up, ctx.create_timer(SECOND)])
        taken = await ctx.wait_for_external_event("go")

        return [taken, given_up.is_complete]

    async def runs_out(self, ctx: OrchestrationContext) -> object:
        try:
            await ctx.wait_for_external_event("go", timeout=SECOND)
        except TimeoutError:
            return [await ctx.wait_for_external_event("go"), False]

        return "in time"

    async def loses_as_part_of_a_group(self, ctx: OrchestrationContext) -> object:
        given_up = ctx.wait_for_external_event("go")
        await when_any([ctx.create_timer(SECOND), when_all([given_up, ctx.call_activity("a")])])

        return [await ctx.wait_for_external_event("go"), given_up.is_complete]

    @pytest.mark.parametrize("name", ["loses_to_a_timer", "runs_out", "loses_as_part_of_a_group"])
    def test_an_event_goes_to_the_wait_that_is_on(self, name: str) -> None:
        story = Story(getattr(self, name))
        story.turn()
        story.turn(timer_fired(1))
        story.turn(event_raised("go", 42))

        assert story.output() == [42, False]

    @pytest.mark.parametrize("name", ["loses_to_a_timer", "runs_out", "loses_as_part_of_a_group"])
    def test_even_if_it_comes_in_the_same_turn(self, name: str) -> None:
        story = Story(getattr(self, name))
        story.turn()
        story.turn(timer_fired(1), event_raised("go", 42))

        assert story.output() == [42, False]

    def test_an_event_that_comes_while_nobody_listens_is_kept_and_carried_over(self) -> None:
        async def gives_up(ctx: OrchestrationContext) -> None:
            await when_any([ctx.wait_for_external_event("go"), ctx.create_timer(SECOND)])
            await ctx.call_activity("work")
            ctx.continue_as_new(save_events=True)

        story = Story(gives_up)
        story.turn()
        story.turn(timer_fired(1))
        story.turn(event_raised("go", 1))
        story.turn(task_completed(2))

        assert story.completion is not None
        assert len(story.completion.carryoverEvents) == 1

    def test_a_wait_that_lost_can_be_taken_up_again(self) -> None:
        async def insists(ctx: OrchestrationContext) -> object:
            event = ctx.wait_for_external_event("go")
            rounds = 0

            while await when_any([event, ctx.create_timer(SECOND)]) is not event:
                rounds += 1

            return [rounds, event.get_result()]

        story = Story(insists)
        story.turn()
        story.turn(timer_fired(1))
        story.turn(timer_fired(2))
        story.turn(event_raised("go", "!"))

        assert story.output() == [2, "!"]

    def test_a_wait_that_lost_takes_what_came_meanwhile_when_it_is_taken_up_again(self) -> None:
        async def comes_back(ctx: OrchestrationContext) -> object:
            event = ctx.wait_for_external_event("go")
            await when_any([event, ctx.create_timer(SECOND)])
            await ctx.call_activity("work")

            return await event

        story = Story(comes_back)
        story.turn()
        story.turn(timer_fired(1))
        story.turn(event_raised("go", "!"))
        story.turn(task_completed(2))

        assert story.output() == "!"

    def test_a_wait_in_two_groups_goes_on_while_one_is_undecided(self) -> None:
        async def waits(ctx: OrchestrationContext) -> object:
            event = ctx.wait_for_external_event("go")
            everything = when_all([event, ctx.call_activity("work")])
            await when_any([event, ctx.create_timer(SECOND)])

            return await everything

        story = Story(waits)
        story.turn()
        story.turn(timer_fired(2))
        story.turn(event_raised("go", 1))
        story.turn(task_completed(1, 2))

        assert story.output() == [1, 2]

    def test_a_wait_that_is_waited_for_itself_survives_the_end_of_its_group(self) -> None:
        async def waits(ctx: OrchestrationContext) -> object:
            event = ctx.wait_for_external_event("go")
            when_any([event, ctx.create_timer(SECOND)])

            return await event

        story = Story(waits)
        story.turn()
        story.turn(timer_fired(1))
        story.turn(event_raised("go", 1))

        assert story.output() == 1

    def test_a_wait_that_was_begun_first_is_served_first(self) -> None:
        async def waits(ctx: OrchestrationContext) -> object:
            return await when_all([ctx.wait_for_external_event("go") for _ in range(3)])

        story = Story(waits)
        story.turn(event_raised("go", 1))
        story.turn(event_raised("GO", 2), event_raised("go", 3))

        assert story.output() == [1, 2, 3]


def test_a_result_of_another_type_fails_where_it_is_waited_for() -> None:
    async def decodes(ctx: OrchestrationContext) -> str:
        try:
            await ctx.call_activity("a", return_type=int)
        except (TypeError, ValueError) as error:
            return type(error).__name__

        return "decoded"

    story = Story(decodes)
    story.turn()
    story.turn(task_completed(1, "no number"))

    assert story.output() in ("TypeError", "ValueError")


@pytest.mark.parametrize("together", [when_all, when_any])
def test_one_task_is_not_several(together: Any) -> None:
    with pytest.raises(TypeError, match="give a list of tasks"):
        together(OpenTask())
