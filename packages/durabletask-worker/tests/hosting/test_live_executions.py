"""Orchestrations that stay in memory between their turns: when they are used, and when they must not be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from durabletask_client import AsyncTaskHubGrpcClient, OrchestrationStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import (
    ActivityContext,
    ConcurrencyOptions,
    EntityContext,
    EntityInstanceId,
    OrchestrationContext,
    TaskHubGrpcWorker,
)

from .engine import Engine
from .scripted import Code, Hub

TIMEOUT = 20
LEFT_OUT = "x-durabletask-past-events"


def double(_: ActivityContext, number: int) -> int:
    return 2 * number


class Counted:
    """An orchestrator that counts how often its code is run from the start."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(self, ctx: OrchestrationContext, number: int) -> int:
        self.runs += 1

        for _ in range(3):
            number = await ctx.call_activity(double, number)

        return number


def event(kind: str, at: int, event_id: int = -1) -> pb.HistoryEvent:
    made = pb.HistoryEvent(eventId=event_id)
    made.timestamp.FromSeconds(at)
    getattr(made, kind).SetInParent()

    return made


def started(at: int) -> list[pb.HistoryEvent]:
    start = event("executionStarted", at)
    start.executionStarted.name = "counted"
    start.executionStarted.input.value = "1"

    return [event("orchestratorStarted", at), start]


def scheduled(number: int, at: int) -> pb.HistoryEvent:
    made = event("taskScheduled", at, number)
    made.taskScheduled.name = "double"

    return made


def completed(number: int, at: int) -> list[pb.HistoryEvent]:
    made = event("taskCompleted", at)
    made.taskCompleted.taskScheduledId = number
    made.taskCompleted.result.value = str(2**number)

    return [event("orchestratorStarted", at), made]


def work_item(
    new: list[pb.HistoryEvent],
    past: list[pb.HistoryEvent] | int | None = None,
    *,
    token: str = "t",
    execution_id: str = "e",
    streamed: bool = False,
) -> pb.WorkItem:
    """A turn, with its history or with the number of events that are left out."""
    request = pb.OrchestratorRequest(instanceId="i", newEvents=new, requiresHistoryStreaming=streamed)
    request.executionId.value = execution_id

    if isinstance(past, int):
        request.properties[LEFT_OUT].number_value = past
    elif past is not None:
        request.pastEvents.extend(past)

    return pb.WorkItem(orchestratorRequest=request, completionToken=token)


FIRST = started(1)
SECOND = completed(1, 2)
HISTORY = [*FIRST, scheduled(1, 1)]
"""After the first turn."""


@asynccontextmanager
async def at_second_turn(hub: Hub, **options: Any) -> AsyncIterator[Counted]:
    """A worker that has answered the first turn."""
    counted = Counted()
    worker = TaskHubGrpcWorker(host_address=hub.address, **options)
    worker.add_orchestrator(counted, name="counted")
    worker.add_activity(double)

    async with worker:
        hub.work.put_nowait(work_item(FIRST))
        answer = await hub.answer()
        assert [action.scheduleTask.name for action in answer.actions] == ["double"]

        yield counted


def next_step(answer: pb.OrchestratorResponse) -> int:
    (action,) = answer.actions
    assert action.scheduleTask.name == "double"

    return action.id


class TestAtAScriptedServer:
    async def test_a_history_that_is_left_out_is_not_needed(self, hub: Hub) -> None:
        async with at_second_turn(hub) as counted:
            hub.work.put_nowait(work_item(SECOND, 3))
            second = await hub.answer()
            hub.work.put_nowait(work_item(completed(2, 3), 6))
            third = await hub.answer()
            hub.work.put_nowait(work_item(completed(3, 4), 9))
            last = await hub.answer()

        assert (next_step(second), next_step(third)) == (2, 3)
        assert last.actions[0].completeOrchestration.result.value == "8"
        assert counted.runs == 1
        assert hub.metadata["x-durabletask-sticky"] == "1"

    async def test_a_history_that_it_has_seen_is_not_replayed(self, hub: Hub) -> None:
        async with at_second_turn(hub) as counted:
            hub.work.put_nowait(work_item(SECOND, HISTORY))

            assert next_step(await hub.answer()) == 2

        assert counted.runs == 1

    @pytest.mark.parametrize(
        "history",
        [
            pytest.param([*started(7), scheduled(1, 7)], id="of another turn with as many events"),
            pytest.param([*started(1), *completed(5, 2), scheduled(1, 1)], id="with more events"),
        ],
    )
    async def test_another_history_is_replayed(self, hub: Hub, history: list[pb.HistoryEvent]) -> None:
        async with at_second_turn(hub) as counted:
            hub.work.put_nowait(work_item(completed(1, 9), history))

            assert next_step(await hub.answer()) == 2

        assert counted.runs == 2

    async def test_a_history_that_is_streamed_is_fetched_and_compared(self, hub: Hub) -> None:
        hub.history = HISTORY

        async with at_second_turn(hub) as counted:
            hub.work.put_nowait(work_item(SECOND, streamed=True))

            assert next_step(await hub.answer()) == 2

        assert counted.runs == 1

    @pytest.mark.parametrize(
        ("left_out", "execution_id"), [(2, "e"), (4, "e"), (3, "another generation")], ids=["fewer", "more", "other"]
    )
    async def test_the_history_is_asked_for_when_it_was_left_out_wrongly(
        self, hub: Hub, left_out: int, execution_id: str
    ) -> None:
        async with at_second_turn(hub) as counted:
            hub.work.put_nowait(work_item(SECOND, left_out, token="wrong", execution_id=execution_id))
            asked = await hub.answer()
            hub.work.put_nowait(work_item(SECOND, HISTORY, token="right"))
            answer = await hub.answer()

        assert (asked.requiresHistory, asked.completionToken, len(asked.actions)) == (True, "wrong", 0)
        assert next_step(answer) == 2
        assert counted.runs == 2

    async def test_the_history_is_asked_for_by_a_worker_that_keeps_nothing(self, hub: Hub) -> None:
        limits = ConcurrencyOptions(maximum_live_executions=0)

        async with at_second_turn(hub, concurrency_options=limits) as counted:
            hub.work.put_nowait(work_item(SECOND, 3))

            assert (await hub.answer()).requiresHistory

        assert counted.runs == 1
        assert "x-durabletask-sticky" not in hub.metadata

    async def test_an_answer_that_is_refused_is_forgotten(self, hub: Hub) -> None:
        async with at_second_turn(hub) as counted:
            hub.refusals = [Code.FAILED_PRECONDITION]
            hub.work.put_nowait(work_item(SECOND, 3, token="refused"))
            assert await hub.abandonment() == ("turn", "refused")

            hub.work.put_nowait(work_item(SECOND, 6))
            assert (await hub.answer()).requiresHistory

        assert counted.runs == 1

    async def test_those_that_rested_longest_go_first(self, hub: Hub) -> None:
        limits = ConcurrencyOptions(maximum_live_executions=2)

        async with at_second_turn(hub, concurrency_options=limits):
            for instance_id in ("a", "b"):
                item = work_item(FIRST)
                item.orchestratorRequest.instanceId = instance_id
                hub.work.put_nowait(item)
                await hub.answer()

            hub.work.put_nowait(work_item(SECOND, 3))
            assert (await hub.answer()).requiresHistory

            item = work_item(SECOND, 3)
            item.orchestratorRequest.instanceId = "a"
            hub.work.put_nowait(item)
            assert not (await hub.answer()).requiresHistory


class Everything:
    """An orchestrator that does each kind of thing that a history records, and counts how often it is run from the start."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(self, ctx: OrchestrationContext) -> list[object]:
        self.runs += 1
        counter = EntityInstanceId("counter", "key")
        done: list[object] = [await ctx.call_activity(double, 1)]
        await ctx.create_timer(timedelta(milliseconds=1))
        ctx.signal_entity(counter, "add", 2)
        done.append(await ctx.call_entity(counter, "add", 3, return_type=int))
        done.append(await ctx.call_sub_orchestrator("child", input=4, return_type=int))
        ctx.send_event(f"{ctx.instance_id}-other", "hello", data=1)

        async with ctx.lock_entities([counter]):
            done.append(await ctx.call_entity(counter, "add", 1, return_type=int))

        ctx.set_custom_status("waits")
        done.append(await ctx.wait_for_external_event("go", data_type=str))
        done.append(await ctx.call_activity(double, 2))

        return done


async def child(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(double, number)


def counter(ctx: EntityContext, number: int) -> int:
    value = ctx.get_state(int, 0) + number
    ctx.set_state(value)

    return value


@asynccontextmanager
async def hosted(engine: Engine, orchestrator: Callable[..., Any], **options: Any) -> AsyncIterator[TaskHubGrpcWorker]:
    worker = TaskHubGrpcWorker(host_address=engine.address, **options)
    worker.add_orchestrator(orchestrator, name="main")
    worker.add_orchestrator(child)
    worker.add_activity(double)
    worker.add_entity(counter)

    async with worker:
        yield worker


async def until_it_waits(client: AsyncTaskHubGrpcClient, instance_id: str) -> None:
    async with asyncio.timeout(TIMEOUT):
        while True:
            state = await client.get_orchestration_state(instance_id)

            assert state is not None
            assert not state.runtime_status.is_terminal, state.failure_details

            if state.serialized_custom_status == '"waits"':
                return

            await asyncio.sleep(0.01)


EVERYTHING = [2, 5, 8, 6, "now", 4]


class TestAtARealServer:
    async def test_nothing_that_an_orchestration_does_makes_it_replay(self, engine: Engine) -> None:
        everything = Everything()

        async with (
            hosted(engine, everything) as worker,
            AsyncTaskHubGrpcClient(host_address=engine.address) as client,
        ):
            instance_id = await client.schedule_new_orchestration("main")
            await until_it_waits(client, instance_id)

            assert worker.statistics.live_executions == 1

            await client.suspend_orchestration(instance_id)
            await client.raise_orchestration_event(instance_id, "go", data="now")
            await client.resume_orchestration(instance_id)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)

            assert state is not None
            assert state.get_output(list[object]) == EVERYTHING
            assert worker.statistics.replays == 0
            assert worker.statistics.live_executions == 0

        assert everything.runs == 1

    @pytest.mark.parametrize("limit", [0, 1000])
    async def test_a_server_that_is_restarted_between_turns(self, engine: Engine, limit: int) -> None:
        everything = Everything()
        limits = ConcurrencyOptions(maximum_live_executions=limit)

        async with hosted(engine, everything, concurrency_options=limits) as worker:
            async with AsyncTaskHubGrpcClient(host_address=engine.address) as client:
                instance_id = await client.schedule_new_orchestration("main", instance_id="one")
                await until_it_waits(client, instance_id)

            await engine.stop()
            await engine.start()

            async with AsyncTaskHubGrpcClient(host_address=engine.address) as client:
                await client.raise_orchestration_event(instance_id, "go", data="now")
                state = await client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)

            assert state is not None
            assert state.get_output(list[object]) == EVERYTHING
            # What it has seen is what was committed: there is nothing to replay.
            assert worker.statistics.replays == 0 or limit == 0

        assert everything.runs == 1 or limit == 0

    async def test_each_generation_begins_anew(self, engine: Engine) -> None:
        async def generations(ctx: OrchestrationContext, left: int) -> int:
            await ctx.call_activity(double, left)

            if left:
                ctx.continue_as_new(left - 1)

            return left

        async with (
            hosted(engine, generations) as worker,
            AsyncTaskHubGrpcClient(host_address=engine.address) as client,
        ):
            instance_id = await client.schedule_new_orchestration("main", input=3)
            state = await client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)

            assert state is not None
            assert state.runtime_status is OrchestrationStatus.COMPLETED
            assert (worker.statistics.replays, worker.statistics.live_executions) == (0, 0)

    async def test_two_workers_that_keep_the_same_orchestration(self, engine: Engine) -> None:
        first, second = Everything(), Everything()

        async with AsyncTaskHubGrpcClient(host_address=engine.address) as client:
            async with hosted(engine, first):
                instance_id = await client.schedule_new_orchestration("main")
                await until_it_waits(client, instance_id)

            async with hosted(engine, second):
                await client.raise_orchestration_event(instance_id, "go", data="now")
                state = await client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)

        assert state is not None
        assert state.get_output(list[object]) == EVERYTHING
        assert (first.runs, second.runs >= 1) == (1, True)
