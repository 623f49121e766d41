"""Cases: sub-orchestrations, and others that are started, told and ended."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from durabletask_worker import OrchestrationContext, RetryPolicy, TaskFailedError
from durabletask_worker.testing import (
    Story,
    child_completed,
    child_failed,
    event_raised,
    resumed,
    suspended,
    timer_fired,
)

from .table import Case, Flow, Styles, add_to

CASES: list[Case] = []
case = partial(add_to, CASES)

TWICE = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)


def created(*expected: tuple[str, str, str, dict[str, str]]) -> Any:
    """See whether children were created with these ids, versions, inputs and tags."""

    def look(story: Story) -> None:
        children = [
            event.subOrchestrationInstanceCreated
            for event in story.history
            if event.HasField("subOrchestrationInstanceCreated")
        ]
        found = [(each.instanceId, each.version.value, each.input.value, dict(each.tags)) for each in children]

        assert found == list(expected)

    return look


@case(
    "sub-orchestrations",
    told=[[], [child_completed(1, "one")], [child_failed(2, "two")]],
    asks=["child", "child", "completed"],
    output=["one", "sub-orchestration 'second' failed: two"],
    look=created(("mine", "2", "1", {"a": "b"}), ("execution:0002", "", "", {})),
)
class Children(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> list[str]:
        first = await ctx.call_sub_orchestrator("first", 1, instance_id="mine", version="2", tags={"a": "b"})

        try:
            await ctx.call_sub_orchestrator("second", return_type=str)
        except TaskFailedError as error:
            return [first, str(error)]

        return []

    def generator(self, ctx: OrchestrationContext) -> Flow:
        first = yield ctx.call_sub_orchestrator("first", 1, instance_id="mine", version="2", tags={"a": "b"})

        try:
            yield ctx.call_sub_orchestrator("second", return_type=str)
        except TaskFailedError as error:
            return [first, str(error)]


@case(
    "a sub-orchestration of the worker's version, tried again under an id that follows from the step",
    told=[[], [child_failed(1, "no")], [timer_fired(2)], [child_completed(3, "yes")]],
    asks=["child", "timer", "child", "completed"],
    output="yes",
    host={"default_version": "7", "default_retry_policy": TWICE},
    look=created(("execution:0001", "7", "[1]", {"a": "b"}), ("execution:0003", "7", "[1]", {"a": "b"})),
)
class TriedAgain(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> Any:
        return await ctx.call_sub_orchestrator("child", [1], tags={"a": "b"})

    def generator(self, ctx: OrchestrationContext) -> Flow:
        return (yield ctx.call_sub_orchestrator("child", [1], tags={"a": "b"}))

    def plain(self, ctx: OrchestrationContext) -> Any:
        return ctx.call_sub_orchestrator("child", [1], tags={"a": "b"})


@case(
    "a sub-orchestration of another version than the worker's, tried again under an id of its own",
    told=[[], [child_failed(1, "no")], [timer_fired(2)], [child_failed(3, "still no")]],
    asks=["child", "timer", "child", "failed"],
    failure="still no",
    host={"default_version": "7"},
    look=created(("mine", "8", "", {}), ("mine", "8", "", {})),
)
class TriedAgainByName(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> Any:
        return await ctx.call_sub_orchestrator("child", instance_id="mine", version="8", retry_policy=TWICE)

    def generator(self, ctx: OrchestrationContext) -> Flow:
        return (yield ctx.call_sub_orchestrator("child", instance_id="mine", version="8", retry_policy=TWICE))

    def plain(self, ctx: OrchestrationContext) -> Any:
        return ctx.call_sub_orchestrator("child", instance_id="mine", version="8", retry_policy=TWICE)


def told_and_ended(story: Story) -> None:
    created(("execution:0001", "3", '{"a": 1}', {"a": "b"}))(story)
    (sent,) = (event.eventSent for event in story.history if event.HasField("eventSent"))
    terminate = story.answers[0].actions[2].terminateOrchestration

    assert (sent.instanceId, sent.name, sent.input.value) == ("execution:0001", "hello", "[1]")
    assert (terminate.instanceId, terminate.reason.value, terminate.recurse) == ("third", '"enough"', False)


@case(
    "orchestrations that are started, told and ended, and not waited for",
    told=[[], [child_completed(1), event_raised("go")]],
    asks=["child event terminate", "completed"],
    output="execution:0001",
    look=told_and_ended,
)
class Others(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> str:
        started = ctx.start_orchestration("other", {"a": 1}, version="3", tags={"a": "b"})
        ctx.send_event(started, "hello", data=[1])
        ctx.terminate_orchestration("third", output="enough", recursive=False)
        await ctx.wait_for_external_event("go")

        return started

    def generator(self, ctx: OrchestrationContext) -> Flow:
        started = ctx.start_orchestration("other", {"a": 1}, version="3", tags={"a": "b"})
        ctx.send_event(started, "hello", data=[1])
        ctx.terminate_orchestration("third", output="enough", recursive=False)
        yield ctx.wait_for_external_event("go")

        return started


@case(
    "a termination, which no event records, is asked for once, and not before the orchestration is resumed",
    told=[[suspended()], [resumed()], [event_raised("other")], [event_raised("go")]],
    asks=["", "terminate", "", "completed"],
    has_whole_turns=True,
)
class TerminatesOnce(Styles):
    async def coroutine(self, ctx: OrchestrationContext) -> None:
        ctx.terminate_orchestration("other")
        await ctx.wait_for_external_event("go")

    def generator(self, ctx: OrchestrationContext) -> Flow:
        ctx.terminate_orchestration("other")
        yield ctx.wait_for_external_event("go")
