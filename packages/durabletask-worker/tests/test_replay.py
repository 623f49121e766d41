"""Orchestrations from their first turn to their last: what the code asks for, and that every replay asks for the same."""

from __future__ import annotations

import gc
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from durabletask_client.models import OrchestrationStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import ActivityContext, OrchestrationContext, RetryPolicy, Task, when_all
from durabletask_worker.testing import (
    Story,
    child_completed,
    child_failed,
    event_raised,
    resumed,
    suspended,
    task_completed,
    task_failed,
    terminated,
    timer_fired,
)

COMPLETED = OrchestrationStatus.COMPLETED
FAILED = OrchestrationStatus.FAILED
RUNNING = OrchestrationStatus.RUNNING
TERMINATED = OrchestrationStatus.TERMINATED
CONTINUED_AS_NEW = OrchestrationStatus.CONTINUED_AS_NEW
SECOND = timedelta(seconds=1)


def kinds(story: Story) -> list[tuple[int, str | None]]:
    return [(action.id, action.WhichOneof("orchestratorActionType")) for action in story.actions]


def assert_replays_the_same(story: Story) -> None:
    """Whatever part of the history is taken for past, the code gets to the same end; and each turn, done again, to its own."""
    for split in range(len(story.history)):
        past, new = story.history[:split], story.history[split:]
        again = story.replay(past, new)

        assert [a.SerializeToString(deterministic=True) for a in again.actions[-1:]] == [
            a.SerializeToString(deterministic=True) for a in story.actions[-1:]
        ]

    for begin, end in zip(story.turns, [*story.turns[1:], len(story.history)], strict=True):
        turn = story.history[begin:end]
        asked = [event for event in turn if event.eventId >= 0]
        again = story.replay(story.history[:begin], [event for event in turn if event.eventId < 0])

        assert [action.id for action in again.actions] == [event.eventId for event in asked]


def greet(_: ActivityContext, name: str) -> str:
    return f"Hello, {name}!"


async def awaits(ctx: OrchestrationContext, name: str) -> str:
    return await ctx.call_activity(greet, name)


def yields(ctx: OrchestrationContext, name: str) -> Generator[Task[str], str, str]:
    greeting = yield ctx.call_activity(greet, name)

    return greeting


def delegates(ctx: OrchestrationContext, name: str) -> Generator[Task[Any], Any, str]:
    return (yield from ctx.call_activity(greet, name))


def returns_the_task(ctx: OrchestrationContext, name: str) -> Task[str]:
    return ctx.call_activity(greet, name)


@pytest.mark.parametrize("orchestrator", [awaits, yields, delegates, returns_the_task])
def test_one_activity_whatever_the_shape_of_the_code(orchestrator: Any) -> None:
    story = Story(orchestrator, "World")

    story.turn()

    assert kinds(story) == [(1, "scheduleTask")]
    assert story.actions[0].scheduleTask.name == "greet"
    assert story.actions[0].scheduleTask.input.value == '"World"'

    story.turn(task_completed(1, "Hello, World!"))

    assert kinds(story) == [(2, "completeOrchestration")]
    assert (story.status, story.output()) == (COMPLETED, "Hello, World!")
    assert_replays_the_same(story)


def test_code_without_an_input_parameter() -> None:
    async def nothing(ctx: OrchestrationContext) -> None:
        return None

    story = Story(nothing, {"unused": 1})
    story.turn()

    assert story.status is COMPLETED
    assert story.completion is not None
    assert not story.completion.HasField("result")


def test_a_default_stands_in_for_an_input_that_did_not_come() -> None:
    async def defaulted(ctx: OrchestrationContext, number: int = 5) -> int:
        return number

    story = Story(defaulted)
    story.turn()

    assert story.output() == 5


def test_a_timer_at_a_time_of_another_zone() -> None:
    due = datetime.fromisoformat("2024-01-01T12:00:00+02:00")

    async def sleeper(ctx: OrchestrationContext) -> None:
        await ctx.create_timer(due)

    story = Story(sleeper)
    story.turn()

    assert story.actions[0].createTimer.fireAt.ToDatetime(tzinfo=UTC) == due


async def fans_out(ctx: OrchestrationContext, names: list[str]) -> list[str]:
    return await when_all([ctx.call_activity(greet, name) for name in names])


def test_actions_are_matched_by_id_whatever_their_order_in_the_history() -> None:
    story = Story(fans_out, ["a", "b"])
    story.turn()
    story.history[-2:] = reversed(story.history[-2:])

    story.turn(task_completed(1, "A"), task_completed(2, "B"))

    assert story.output() == ["A", "B"]


async def child(ctx: OrchestrationContext, number: int) -> int:
    return number


async def parent(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_sub_orchestrator(child, number, version="2")


def test_a_sub_orchestration() -> None:
    story = Story(parent, 3)

    story.turn()

    assert kinds(story) == [(1, "createSubOrchestration")]
    created = story.actions[0].createSubOrchestration
    assert (created.name, created.input.value, created.version.value) == ("child", "3", "2")
    assert created.instanceId == "execution:0001"

    story.turn(child_completed(1, 4))

    assert story.output() == 4
    assert_replays_the_same(story)


def test_a_child_of_a_generation_without_a_name_is_called_after_the_instance() -> None:
    story = Story(parent, 3, execution_id=None)
    story.turn()

    assert story.actions[0].createSubOrchestration.instanceId == "instance:0001"


def test_a_failed_child_fails_the_parent_with_its_message() -> None:
    story = Story(parent, 3)
    story.turn()
    story.turn(child_failed(1, "no bread", error_type="Kitchen"))

    assert story.status is FAILED
    assert "no bread" in story.failure.message
    assert story.failure.inner is not None
    assert (story.failure.inner.error_type, story.failure.inner.message) == ("Kitchen", "no bread")
    assert_replays_the_same(story)


async def waits(ctx: OrchestrationContext) -> object:
    return await ctx.wait_for_external_event("Approved")


def test_external_events_in_the_order_in_which_they_came() -> None:
    async def collects(ctx: OrchestrationContext) -> list[object]:
        return [await ctx.wait_for_external_event("item") for _ in range(4)]

    story = Story(collects)
    story.turn(event_raised("item", 1), event_raised("item", 2))
    story.turn(event_raised("item", 3), event_raised("other"), event_raised("item", 4))

    assert story.output() == [1, 2, 3, 4]
    assert_replays_the_same(story)


async def waits_a_minute(ctx: OrchestrationContext) -> object:
    try:
        return await ctx.wait_for_external_event("approved", timeout=timedelta(minutes=1))
    except TimeoutError as error:
        return str(error)


def test_an_external_event_in_time() -> None:
    story = Story(waits_a_minute)
    began = story.now
    story.turn()

    assert kinds(story) == [(1, "createTimer")]
    assert story.actions[0].createTimer.fireAt.ToDatetime(tzinfo=UTC) == began + timedelta(minutes=1)

    story.turn(event_raised("approved", 1))

    assert kinds(story) == [(2, "completeOrchestration")]
    assert story.output() == 1
    assert_replays_the_same(story)


def test_an_external_event_too_late() -> None:
    story = Story(waits_a_minute)
    story.turn()
    story.turn(timer_fired(1), event_raised("approved", 1))

    assert story.output() == "the event 'approved' did not come within 0:01:00"
    assert_replays_the_same(story)


def test_no_timer_for_an_event_that_came_with_the_start() -> None:
    async def waits_twice(ctx: OrchestrationContext) -> object:
        first = await ctx.wait_for_external_event("a", timeout=timedelta(minutes=1))
        await ctx.create_timer(SECOND)

        return first

    story = Story(waits_twice)
    story.turn(event_raised("a", 1))

    assert kinds(story) == [(2, "createTimer")]

    story.turn(timer_fired(2))

    assert story.output() == 1
    assert_replays_the_same(story)


@pytest.mark.parametrize(("events", "expected"), [((), "nothing"), ((event_raised("a", 1),), 1)])
def test_a_wait_of_no_time_takes_what_is_there(events: tuple[pb.HistoryEvent, ...], expected: object) -> None:
    async def polls(ctx: OrchestrationContext) -> object:
        await ctx.create_timer(SECOND)

        try:
            return await ctx.wait_for_external_event("a", timeout=timedelta(0))
        except TimeoutError:
            return "nothing"

    story = Story(polls)
    story.turn(*events)
    story.turn(timer_fired(1))

    assert story.output() == expected
    assert_replays_the_same(story)


def test_what_is_asked_for_last_is_done_but_for_timers() -> None:
    async def leaves(ctx: OrchestrationContext) -> None:
        ctx.send_event("other", "done")
        ctx.call_activity("audit")
        ctx.create_timer(SECOND)

    story = Story(leaves)
    story.turn()

    assert kinds(story) == [(1, "sendEvent"), (2, "scheduleTask"), (4, "completeOrchestration")]


def test_an_exception_of_the_code_is_its_failure() -> None:
    async def fails(ctx: OrchestrationContext) -> None:
        try:
            raise KeyError("k")
        except KeyError as error:
            raise ValueError("bad") from error

    story = Story(fails)
    story.turn()

    assert kinds(story) == [(1, "completeOrchestration")]
    assert (story.failure.error_type, story.failure.message) == ("builtins.ValueError", "bad")
    assert story.failure.inner is not None
    assert story.failure.inner.error_type == "builtins.KeyError"
    assert "raise ValueError" in (story.failure.stack_trace or "")


def test_even_system_exit_is_only_a_failure() -> None:
    async def exits(ctx: OrchestrationContext) -> None:
        raise SystemExit(3)

    story = Story(exits)
    story.turn()

    assert story.failure.error_type == "builtins.SystemExit"


def test_a_result_that_cannot_be_written_is_a_failure() -> None:
    async def returns_an_object(ctx: OrchestrationContext) -> object:
        return object()

    story = Story(returns_an_object)
    story.turn()

    assert story.failure.error_type == "builtins.TypeError"


def test_an_unknown_orchestrator_fails_and_is_not_retried() -> None:
    story = Story(waits)
    story.turn()
    story.history[1].executionStarted.name = "gone"

    story.turn()

    assert story.failure.error_type == "OrchestratorNotRegistered"
    assert story.failure.is_non_retriable
    assert "'gone'" in story.failure.message


def test_is_replaying_while_the_past_is_repeated() -> None:
    async def watches(ctx: OrchestrationContext) -> list[bool]:
        seen = [ctx.is_replaying]
        await ctx.create_timer(SECOND)
        seen.append(ctx.is_replaying)
        await ctx.create_timer(SECOND)
        seen.append(ctx.is_replaying)

        return seen

    story = Story(watches)
    story.turn()
    story.turn(timer_fired(1))
    story.turn(timer_fired(2))

    assert story.output() == [True, True, False]


def test_the_last_custom_status_is_reported_with_each_turn() -> None:
    async def reports(ctx: OrchestrationContext) -> None:
        ctx.set_custom_status({"at": 1})
        await ctx.create_timer(SECOND)
        await ctx.create_timer(SECOND)
        ctx.set_custom_status(None)

    story = Story(reports)

    assert story.turn().customStatus.value == '{"at": 1}'
    assert story.turn(timer_fired(1)).customStatus.value == '{"at": 1}'
    assert not story.turn(timer_fired(2)).HasField("customStatus")


class TestContinueAsNew:
    async def counts(self, ctx: OrchestrationContext, number: int) -> int:
        taken = await ctx.wait_for_external_event("more")
        ctx.continue_as_new(number + taken, save_events=True)

        return -1

    def test_with_the_events_that_nobody_took(self) -> None:
        story = Story(self.counts, 1)
        story.turn(event_raised("more", 2), event_raised("b", 3), event_raised("More", 4))

        assert kinds(story) == [(1, "completeOrchestration")]
        assert story.status is CONTINUED_AS_NEW
        assert story.output() == 3
        assert story.completion is not None
        assert [event.eventRaised.name for event in story.completion.carryoverEvents] == ["b", "More"]

    def test_without_them(self) -> None:
        async def again(ctx: OrchestrationContext) -> None:
            ctx.continue_as_new()

        story = Story(again)
        story.turn(event_raised("more"))

        assert story.status is CONTINUED_AS_NEW
        assert story.completion is not None
        assert not story.completion.carryoverEvents
        assert not story.completion.HasField("result")

    def test_at_the_next_wait(self) -> None:
        async def goes_on(ctx: OrchestrationContext) -> None:
            ctx.continue_as_new(1)
            await ctx.create_timer(SECOND)
            ctx.continue_as_new(2)

        story = Story(goes_on)
        story.turn()

        assert story.status is CONTINUED_AS_NEW
        assert story.output() == 1

    def test_messages_go_out_before(self) -> None:
        async def sends(ctx: OrchestrationContext) -> None:
            ctx.send_event("other", "ping")
            ctx.continue_as_new(1)

        story = Story(sends)
        story.turn()

        assert kinds(story) == [(1, "sendEvent"), (2, "completeOrchestration")]

    def test_an_exception_after_it_is_a_failure(self) -> None:
        async def fails(ctx: OrchestrationContext) -> None:
            ctx.continue_as_new(1)
            raise ValueError("bad")

        story = Story(fails)
        story.turn()

        assert story.status is FAILED


class TestSuspension:
    async def work(self, ctx: OrchestrationContext) -> list[object]:
        first = await ctx.call_activity("first")
        second = await ctx.wait_for_external_event("second")

        return [first, second, ctx.is_suspended, ctx.current_utc_datetime.second]

    def test_withholds_what_the_code_asks_for(self) -> None:
        story = Story(self.work)

        story.turn(suspended())

        assert kinds(story) == []

        story.turn(resumed())

        assert kinds(story) == [(1, "scheduleTask")]

    def test_withholds_all_that_is_in_it_beside_a_patch_which_is_recorded(self) -> None:
        async def asks(ctx: OrchestrationContext) -> list[Any]:
            asked = [ctx.call_activity("pay", input=7), ctx.call_sub_orchestrator("child", input="x")]
            asked.append(ctx.create_timer(timedelta(seconds=5)))

            return [ctx.patched("later"), *[await each for each in asked]]

        story = Story(asks)
        began = story.now
        story.turn(suspended())
        story.turn()

        assert kinds(story) == []

        story.turn(resumed())
        pay, child, timer = story.actions

        assert (pay.scheduleTask.input.value, child.createSubOrchestration.input.value) == ("7", '"x"')
        assert timer.createTimer.fireAt.ToDatetime(UTC) == began + timedelta(seconds=5)

        story.turn(task_completed(1, 1), child_completed(2, 2), timer_fired(3))

        assert story.output() == [True, 1, 2, None]
        assert story.replay(story.history, []) == story.response

    def test_holds_events_until_it_ends(self) -> None:
        story = Story(self.work)
        story.turn()
        story.turn(suspended())
        story.turn(task_completed(1, "a"))
        story.turn(event_raised("second", "b"), suspended())

        assert kinds(story) == []

        story.turn(resumed())

        assert story.output() == ["a", "b", False, 4]
        assert_replays_the_same(story)

    def test_may_begin_anew_while_events_are_let_in(self) -> None:
        story = Story(self.work)
        story.turn()
        story.turn(suspended(), task_completed(1, "a"), resumed(), suspended(), event_raised("second", "b"))

        assert story.status is RUNNING

        story.turn(resumed())

        assert story.output()[:2] == ["a", "b"]
        assert_replays_the_same(story)

    def test_does_not_hold_a_completion_that_was_before_it(self) -> None:
        story = Story(waits)
        story.turn()
        story.turn(event_raised("approved", 1), suspended())

        assert story.output() == 1

    def test_does_not_hold_a_termination(self) -> None:
        story = Story(self.work)
        story.turn()
        story.turn(suspended())
        story.turn(terminated("enough"))

        assert (story.status, story.output()) == (TERMINATED, "enough")


def test_a_termination_drops_what_the_code_asked_for() -> None:
    story = Story(fans_out, ["a", "b"])
    story.turn(terminated({"why": 1}))

    assert kinds(story) == [(3, "completeOrchestration")]
    assert (story.status, story.output()) == (TERMINATED, {"why": 1})


def test_the_first_of_completion_and_termination_counts() -> None:
    story = Story(waits)
    story.turn()
    story.turn(event_raised("approved", 1), terminated())

    assert (story.status, story.output()) == (COMPLETED, 1)


def test_answers_to_steps_that_are_not_open_have_no_effect() -> None:
    story = Story(awaits, "x")
    story.turn()
    story.turn(task_completed(7, "?"), task_failed(8, "?"), timer_fired(9), child_completed(10), child_failed(11, "?"))

    assert (story.status, kinds(story)) == (RUNNING, [])

    story.turn(task_completed(1, "first"), task_completed(1, "second"))

    assert story.output() == "first"


@pytest.mark.parametrize(
    "event",
    [
        pb.HistoryEvent(orchestratorCompleted=pb.OrchestratorCompletedEvent()),
        pb.HistoryEvent(genericEvent=pb.GenericEvent()),
        pb.HistoryEvent(executionRewound=pb.ExecutionRewoundEvent()),
        pb.HistoryEvent(),
    ],
)
def test_events_that_are_not_for_the_code_are_passed_over(event: pb.HistoryEvent) -> None:
    story = Story(waits)
    story.turn(event)
    story.turn(event, event_raised("approved", 1))

    assert story.output() == 1


class TestRetries:
    POLICY = RetryPolicy(first_retry_interval=SECOND, max_number_of_attempts=3, backoff_coefficient=4)

    async def pays(self, ctx: OrchestrationContext) -> object:
        return await ctx.call_activity("pay", 5, retry_policy=self.POLICY, tags={"a": "b"})

    def test_each_attempt_is_a_timer_and_a_task_of_its_own(self) -> None:
        story = Story(self.pays)
        story.turn()
        first = story.actions[0].scheduleTask
        failed_at = story.now

        story.turn(task_failed(1, "no"))

        assert kinds(story) == [(2, "createTimer")]
        assert story.actions[0].createTimer.fireAt.ToDatetime(tzinfo=UTC) == failed_at + SECOND

        story.turn(timer_fired(2))

        assert kinds(story) == [(3, "scheduleTask")]
        assert story.actions[0].scheduleTask == first

        failed_at = story.now
        story.turn(task_failed(3, "no"))

        assert kinds(story) == [(4, "createTimer")]
        assert story.actions[0].createTimer.fireAt.ToDatetime(tzinfo=UTC) == failed_at + 4 * SECOND

        story.turn(timer_fired(4))
        story.turn(task_failed(5, "no more"))

        assert story.status is FAILED
        assert "no more" in story.failure.message
        assert_replays_the_same(story)

    def test_what_is_final_is_not_tried_again(self) -> None:
        story = Story(self.pays)
        story.turn()
        story.turn(task_failed(1, "never", is_non_retriable=True))

        assert story.status is FAILED

    def test_no_attempt_after_the_timeout_of_the_orchestrations_time(self) -> None:
        policy = RetryPolicy(first_retry_interval=SECOND, max_number_of_attempts=9, retry_timeout=timedelta(hours=1))

        async def pays(ctx: OrchestrationContext) -> object:
            return await ctx.call_activity("pay", retry_policy=policy)

        story = Story(pays)
        story.turn()
        story.turn(task_failed(1, "no"))

        assert kinds(story) == [(2, "createTimer")]

        story.turn(timer_fired(2))
        story.now += timedelta(hours=1)
        story.turn(task_failed(3, "no"))

        assert story.status is FAILED
        assert_replays_the_same(story)

    @pytest.mark.parametrize(
        ("chosen", "expected"), [("mine", ["mine", "mine"]), (None, ["execution:0001", "execution:0003"])]
    )
    def test_the_id_of_a_child_that_is_tried_again(self, chosen: str | None, expected: list[str]) -> None:
        async def parent(ctx: OrchestrationContext) -> object:
            return await ctx.call_sub_orchestrator("child", instance_id=chosen, retry_policy=self.POLICY)

        story = Story(parent)
        story.turn()
        ids = [story.actions[0].createSubOrchestration.instanceId]
        story.turn(child_failed(1, "no"))
        story.turn(timer_fired(2))
        ids.append(story.actions[0].createSubOrchestration.instanceId)

        assert ids == expected

        story.turn(child_completed(3, 1))

        assert story.output() == 1
        assert_replays_the_same(story)


def test_nothing_of_it_is_left_for_the_collector_of_garbage() -> None:
    async def asks(ctx: OrchestrationContext) -> object:
        async def waits_beside() -> None:
            await ctx.create_timer(SECOND)

        ctx.spawn(waits_beside())

        return await ctx.call_activity("done")

    times = 100
    story = Story(asks)
    story.turn()
    story.turn(task_completed(1, "well"))
    gc.collect()
    gc.disable()

    try:
        for _ in range(times):
            assert story.replay(story.history, []) == story.response

        assert gc.collect() < times
    finally:
        gc.enable()
