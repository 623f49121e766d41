"""What orchestrator code learns from its context."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from durabletask_worker import ActivityContext, OrchestrationContext
from durabletask_worker.testing import Story, event_raised, task_completed, timer_fired

SECOND = timedelta(seconds=1)


@dataclass
class Order:
    item: str
    price: float


def quote(_: ActivityContext, item: str) -> Order:
    return Order(item, 1.5)


async def ship(ctx: OrchestrationContext, order: Order) -> Order:
    return order


def test_who_it_is() -> None:
    seen: list[OrchestrationContext] = []

    async def looks(ctx: OrchestrationContext) -> None:
        seen.append(ctx)
        await ctx.create_timer(SECOND)

    story = Story(looks, instance_id="i", execution_id="e", version="1.0", parent_instance_id="p")
    story.turn()
    ctx = seen[0]

    assert (ctx.instance_id, ctx.execution_id, ctx.name, ctx.version) == ("i", "e", "looks", "1.0")
    assert ctx.parent_instance_id == "p"
    assert not ctx.is_suspended


def test_no_version_and_no_parent() -> None:
    async def looks(ctx: OrchestrationContext) -> list[object]:
        return [ctx.version, ctx.parent_instance_id, ctx.execution_id]

    story = Story(looks, execution_id=None)
    story.turn()

    assert story.output() == [None, None, None]


def test_the_time_stands_still_in_a_turn_and_is_seen_again() -> None:
    seen: list[datetime] = []

    async def looks(ctx: OrchestrationContext) -> None:
        seen.extend((ctx.current_utc_datetime, ctx.current_utc_datetime))
        await ctx.create_timer(SECOND)
        seen.append(ctx.current_utc_datetime)

    story = Story(looks)
    begin = story.now
    story.turn()
    story.turn(timer_fired(1))

    assert seen == [begin, begin, begin, begin, begin + SECOND]
    assert begin.tzinfo is UTC


def test_uuids_differ_and_are_seen_again() -> None:
    seen: list[list[str]] = []

    async def draws(ctx: OrchestrationContext) -> None:
        drawn = [ctx.new_uuid(), ctx.new_uuid()]
        await ctx.create_timer(SECOND)
        seen.append([*drawn, ctx.new_uuid()])

    for instance_id in ("a", "a", "b"):
        story = Story(draws, instance_id=instance_id)
        story.turn()
        story.turn(timer_fired(1))

    assert seen[0] == seen[1]
    assert len({UUID(text) for text in (*seen[0], *seen[2])}) == 6


def test_types_are_rebuilt_from_annotations() -> None:
    async def orders(ctx: OrchestrationContext, order: Order) -> list[object]:
        assert isinstance(order, Order)
        quoted = await ctx.call_activity(quote, order.item)
        event = await ctx.wait_for_external_event("more", data_type=Order)
        named = await ctx.call_activity("quote", "tea", return_type=Order)
        plain = await ctx.call_activity("quote", "tea")

        return [quoted == Order("tea", 2), event == Order("milk", 1), named == Order("tea", 3), plain]

    story = Story(orders, Order("tea", 1))
    story.turn()
    story.turn(task_completed(1, {"item": "tea", "price": 2}))
    story.turn(event_raised("more", {"item": "milk", "price": 1}))
    story.turn(task_completed(2, {"item": "tea", "price": 3}))
    story.turn(task_completed(3, {"item": "tea", "price": 4}))

    assert story.output() == [True, True, True, {"item": "tea", "price": 4}]


def test_an_input_that_cannot_be_written_is_an_error_where_it_is_given() -> None:
    async def calls(ctx: OrchestrationContext) -> str:
        try:
            ctx.call_activity("a", object())
        except TypeError:
            await ctx.call_activity("b")

        return "done"

    story = Story(calls)
    story.turn()

    assert [(action.id, action.scheduleTask.name) for action in story.actions] == [(1, "b")]

    story.turn(task_completed(1))

    assert story.output() == "done"


def test_tags_and_inputs_travel() -> None:
    async def calls(ctx: OrchestrationContext) -> None:
        ctx.call_activity("a", input="", tags={"k": "v"})
        await ctx.call_activity("b")

    story = Story(calls)
    story.turn()
    first, second = (action.scheduleTask for action in story.actions)

    assert (first.input.value, dict(first.tags)) == ('""', {"k": "v"})
    assert not second.HasField("input")


def test_a_replay_safe_logger_logs_each_line_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "orders")

    async def logs(ctx: OrchestrationContext) -> None:
        logger = ctx.create_replay_safe_logger(logging.getLogger("orders"))

        try:
            logger.info("begin %s", 1)
            await ctx.create_timer(SECOND)
            logger.info("end")
        finally:
            logger.info("finally")

    story = Story(logs)
    story.turn()
    story.turn(timer_fired(1))

    assert [record.getMessage() for record in caplog.records if record.name == "orders"] == [
        "begin 1",
        "end",
        "finally",
    ]


def test_a_child_by_its_function() -> None:
    async def parent(ctx: OrchestrationContext) -> str:
        shipped = await ctx.call_sub_orchestrator(ship, input=Order("tea", 1), instance_id="mine")

        return shipped.item

    story = Story(parent)
    story.turn()
    created = story.actions[0].createSubOrchestration

    assert (created.instanceId, created.name, created.input.value) == ("mine", "ship", '{"item": "tea", "price": 1}')
