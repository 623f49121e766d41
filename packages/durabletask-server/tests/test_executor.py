"""Executors in the engine's own process, by doubles: what they are asked, and what becomes of what they do not do."""

from __future__ import annotations

import asyncio

import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind
from durabletask_server.executor import attach_executor
from durabletask_server.testing import ExecutorDouble, ManualClock, Served, serving
from durabletask_server.waiters import ServerStoppingError
from google.protobuf.wrappers_pb2 import StringValue

SECOND = 1_000_000


async def start(served: Served) -> None:
    await served.stub.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="echo", input=StringValue(value="7")))


async def output(served: Served) -> str:
    state = await served.stub.WaitForInstanceCompletion(
        pb.GetInstanceRequest(instanceId="i", getInputsAndOutputs=True), timeout=30
    )

    return state.orchestrationState.output.value


def echo(request: pb.OrchestratorRequest) -> pb.OrchestratorResponse:
    """An orchestrator that gives its input to an activity, and ends with its result."""
    response = pb.OrchestratorResponse(instanceId=request.instanceId)

    for event in request.newEvents:
        if event.HasField("executionStarted"):
            response.actions.add(id=0).scheduleTask.MergeFrom(
                pb.ScheduleTaskAction(name="same", input=event.executionStarted.input)
            )
        elif event.HasField("taskCompleted"):
            done = response.actions.add(id=1).completeOrchestration
            done.orchestrationStatus = pb.ORCHESTRATION_STATUS_COMPLETED
            done.result.CopyFrom(event.taskCompleted.result)

    return response


async def test_it_is_given_work_and_remembers_it() -> None:
    executor = ExecutorDouble(orchestrator=echo)

    async with serving(MemoryBackend()) as served, attach_executor(served.hub, executor):
        await start(served)

        assert await output(served) == "7"

    assert [len(turn.pastEvents) > 0 for turn in executor.turns] == [False, True]
    assert [(each.name, each.input.value) for each in executor.activities] == [("same", "7")]


async def test_what_raises_is_offered_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    failed = asyncio.Event()

    def activity(request: pb.ActivityRequest) -> pb.ActivityResponse:
        if not failed.is_set():
            failed.set()

            raise ConnectionError("no luck")

        return pb.ActivityResponse(taskId=request.taskId, result=StringValue(value="at last"))

    executor = ExecutorDouble(orchestrator=echo, activity=activity)

    async with serving(MemoryBackend(), clock=clock) as served, attach_executor(served.hub, executor):
        await start(served)
        await failed.wait()
        ended = asyncio.ensure_future(output(served))

        # The engine pauses before it offers it again.
        while not ended.done():
            await asyncio.sleep(0)
            clock.advance(SECOND)

        assert await ended == "at last"

    assert "is given back" in caplog.text


async def test_what_hangs_is_for_the_next_one() -> None:
    hangs = asyncio.Event()

    async def never(_: pb.ActivityRequest) -> pb.ActivityResponse:
        hangs.set()
        await asyncio.Event().wait()

        raise AssertionError("nothing sets it")

    async with serving(MemoryBackend()) as served:
        async with attach_executor(served.hub, ExecutorDouble(orchestrator=echo, activity=never)):
            await start(served)
            await hangs.wait()

        async with attach_executor(served.hub, ExecutorDouble(orchestrator=echo)):
            assert await output(served) == "7"


async def test_filters_and_limits() -> None:
    turns = ExecutorDouble(orchestrator=echo)
    activities = ExecutorDouble()
    only = WorkFilters({Kind.ORCHESTRATION: {"echo": ()}})

    async with (
        serving(MemoryBackend()) as served,
        attach_executor(served.hub, turns, filters=only, limits={Kind.ORCHESTRATION: 1}),
        attach_executor(served.hub, activities, filters=WorkFilters({Kind.ACTIVITY: {"same": ()}})),
    ):
        await start(served)
        await output(served)

    assert (len(turns.turns), len(turns.activities)) == (2, 0)
    assert (len(activities.turns), len(activities.activities)) == (0, 1)


async def test_none_is_attached_to_an_engine_that_drains() -> None:
    async with serving(MemoryBackend()) as served:
        await served.hub.drain(0)

        with pytest.raises(ServerStoppingError):
            async with attach_executor(served.hub, ExecutorDouble()):
                pass
