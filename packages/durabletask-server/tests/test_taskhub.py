"""The engine on a store that outlives it: what goes on, and how."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from durabletask_backend.errors import StorageFailedError
from durabletask_backend.memory import MemoryBackend, MemoryStore
from durabletask_backend.testing import FaultyBackend
from durabletask_backend.values import InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.activities import Answer
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind, StreamOptions, WorkerStream
from durabletask_server.engine import events, lifecycle
from durabletask_server.instances import has_ended
from durabletask_server.settings import Settings
from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker
from durabletask_server.testing import ManualClock
from durabletask_server.tokens import Token

KEY = InstanceKey(DEFAULT_HUB, "i")
SECOND = 1_000_000


@asynccontextmanager
async def engine(store: MemoryStore, clock: ManualClock, **settings: int) -> AsyncIterator[TaskHubWorker]:
    """An engine that dies at the end without having drained."""
    hub = TaskHubWorker(MemoryBackend(store), clock=clock, settings=Settings(**settings))  # type: ignore[arg-type]
    await hub.start()

    try:
        yield hub
    finally:
        await hub.close()


def connect(hub: TaskHubWorker, *, history_streaming: bool = False, sticky: bool = False) -> WorkerStream:
    return hub.dispatcher.open(
        StreamOptions(
            hub=DEFAULT_HUB, limits={}, filters=WorkFilters(), history_streaming=history_streaming, sticky=sticky
        )
    )


async def items(stream: WorkerStream) -> list[pb.WorkItem]:
    """What the engine sends once it has nothing more to do."""
    for _ in range(100):
        await asyncio.sleep(0)

    return [pb.WorkItem.FromString(raw) for raw in stream.take()]


def token(hub: TaskHubWorker, item: pb.WorkItem) -> Token:
    read = hub.signer_of(DEFAULT_HUB).read(item.completionToken)
    assert read is not None

    return read


async def begin(hub: TaskHubWorker, clock: ManualClock) -> None:
    request = pb.CreateInstanceRequest(instanceId=KEY.instance_id, name="n")
    await hub.instances.create(lifecycle.create(DEFAULT_HUB, request, clock.now(), hub.new_id))


async def answer(hub: TaskHubWorker, item: pb.WorkItem, *actions: pb.OrchestratorAction) -> None:
    read = token(hub, item)
    await hub.orchestrations.complete(read.task.instance, read.attempt, pb.OrchestratorResponse(actions=actions))


SCHEDULE = pb.OrchestratorAction(id=1, scheduleTask=pb.ScheduleTaskAction(name="a"))


def timer(clock: ManualClock, seconds: int) -> pb.OrchestratorAction:
    fire_at = events.timestamp(clock.now() + seconds * SECOND)

    return pb.OrchestratorAction(id=1, createTimer=pb.CreateTimerAction(fireAt=fire_at))


async def test_a_turn_that_was_out_is_taken_anew_and_its_old_token_is_void() -> None:
    store, clock = MemoryStore(), ManualClock()

    async with engine(store, clock) as first:
        stream = connect(first)
        await begin(first, clock)
        (old,) = await items(stream)

    async with engine(store, clock) as second:
        stream = connect(second)
        (new,) = await items(stream)
        await answer(second, old, SCHEDULE)
        assert await items(stream) == []
        await answer(second, new, SCHEDULE)
        (activity,) = await items(stream)

    assert new.orchestratorRequest.newEvents[1:] == old.orchestratorRequest.newEvents[1:]
    assert activity.HasField("activityRequest")


async def test_the_next_server_takes_the_result_of_an_activity_that_is_open() -> None:
    store, clock = MemoryStore(), ManualClock()

    async with engine(store, clock) as first:
        stream = connect(first)
        await begin(first, clock)
        await answer(first, (await items(stream))[0], SCHEDULE)
        (activity,) = await items(stream)

    async with engine(store, clock) as second:
        await second.activities.complete(token(second, activity).task, Answer(result="42"))
        (turn,) = await items(connect(second))

    assert [event.taskCompleted.result.value for event in turn.orchestratorRequest.newEvents][1:] == ["42"]


async def test_an_activity_that_was_out_for_long_is_held_back_for_its_worker() -> None:
    store, clock = MemoryStore(), ManualClock()

    async with engine(store, clock) as first:
        stream = connect(first)
        await begin(first, clock)
        await answer(first, (await items(stream))[0], SCHEDULE)
        await items(stream)
        clock.advance(3 * SECOND)
        await items(stream)

    async with engine(store, clock) as second:
        stream = connect(second)
        at_once = await items(stream)
        clock.advance(5 * SECOND)
        later = await items(stream)

    assert at_once == []
    assert [item.activityRequest.name for item in later] == ["a"]


async def test_a_timer_fires_after_a_restart_and_not_before_it_is_due() -> None:
    store, clock = MemoryStore(), ManualClock()

    async with engine(store, clock) as first:
        stream = connect(first)
        await begin(first, clock)
        await answer(first, (await items(stream))[0], timer(clock, 60))

    async with engine(store, clock) as second:
        stream = connect(second)
        clock.advance(59 * SECOND)
        early = await items(stream)
        clock.advance(1 * SECOND)
        (turn,) = await items(stream)

    assert early == []
    assert turn.orchestratorRequest.newEvents[1].timerFired.timerId == 1


async def test_a_scheduled_start_waits_and_can_be_terminated_before() -> None:
    store, clock = MemoryStore(), ManualClock()

    async with engine(store, clock) as hub:
        stream = connect(hub)
        request = pb.CreateInstanceRequest(
            instanceId=KEY.instance_id,
            name="n",
            scheduledStartTimestamp=events.timestamp(clock.now() + 60 * SECOND),
        )
        await hub.instances.create(lifecycle.create(DEFAULT_HUB, request, clock.now(), hub.new_id))
        assert await items(stream) == []
        await hub.instances.send(
            lifecycle.request_termination(DEFAULT_HUB, pb.TerminateRequest(instanceId=KEY.instance_id), clock.now())
        )
        instance = await hub.instances.wait(KEY, has_ended)
        kinds = [
            event.WhichOneof("eventType")
            async for chunk in hub.instances.history(KEY)
            for event in pb.OrchestratorRequest.FromString(chunk.events).pastEvents
        ]
        clock.advance(61 * SECOND)
        assert await items(stream) == []

    assert instance is not None
    assert instance.status is RuntimeStatus.TERMINATED
    assert kinds == ["orchestratorStarted", "executionStarted", "executionTerminated", "executionCompleted"]


async def test_a_poisoned_turn_ends_as_a_failure_that_says_so() -> None:
    store, clock = MemoryStore(), ManualClock()

    async with engine(store, clock, poison_limit=3) as hub:
        await begin(hub, clock)

        for _ in range(3):
            stream = connect(hub)
            assert len(await items(stream)) == 1
            hub.dispatcher.close(stream)

        instance = await hub.instances.wait(KEY, has_ended)

    assert instance is not None
    assert instance.failure is not None
    assert pb.TaskFailureDetails.FromString(instance.failure).errorType == "PoisonedWorkItem"


async def test_a_poisoned_activity_fails_for_its_orchestration() -> None:
    store, clock = MemoryStore(), ManualClock()

    async with engine(store, clock, poison_limit=3) as hub:
        stream = connect(hub)
        await begin(hub, clock)
        await answer(hub, (await items(stream))[0], SCHEDULE)
        await items(stream)

        for _ in range(2):
            hub.dispatcher.close(stream)
            stream = connect(hub)
            await items(stream)

        hub.dispatcher.close(stream)
        (turn,) = await items(connect(hub))

    assert turn.orchestratorRequest.newEvents[1].taskFailed.failureDetails.errorType == "PoisonedWorkItem"


async def test_idle_instances_leave_memory_and_come_back_when_they_are_needed() -> None:
    store, clock = MemoryStore(), ManualClock()

    async with engine(store, clock, resident_bytes=1) as hub:
        stream = connect(hub)
        await begin(hub, clock)
        await answer(hub, (await items(stream))[0])
        assert len(hub.residency) == 0
        raised = pb.RaiseEventRequest(instanceId=KEY.instance_id, name="e")
        await hub.instances.send(lifecycle.raise_event(DEFAULT_HUB, raised, clock.now()))
        (turn,) = await items(stream)

    assert len(turn.orchestratorRequest.pastEvents) == 2
    assert turn.orchestratorRequest.newEvents[1].eventRaised.name == "e"


async def test_a_turn_that_could_not_be_committed_is_taken_anew() -> None:
    clock, backend = ManualClock(), FaultyBackend()
    hub = TaskHubWorker(backend, clock=clock)
    await hub.start()
    stream = connect(hub)
    await begin(hub, clock)
    (turn,) = await items(stream)
    backend.fail_next(applied=False)

    with pytest.raises(StorageFailedError):
        await answer(hub, turn, SCHEDULE)

    at_once = await items(stream)
    clock.advance(1 * SECOND)
    (again,) = await items(stream)
    await answer(hub, again, SCHEDULE)
    (activity,) = await items(stream)
    await hub.close()

    assert at_once == []

    assert activity.activityRequest.name == "a"


async def test_an_answer_that_could_not_be_committed_can_be_given_again() -> None:
    clock, backend = ManualClock(), FaultyBackend()
    hub = TaskHubWorker(backend, clock=clock)
    await hub.start()
    stream = connect(hub)
    await begin(hub, clock)
    await answer(hub, (await items(stream))[0], SCHEDULE)
    (activity,) = await items(stream)
    key = token(hub, activity).task
    backend.fail_next(applied=False)

    with pytest.raises(StorageFailedError):
        await hub.activities.complete(key, Answer(result="1"))

    await hub.activities.complete(key, Answer(result="1"))
    (turn,) = await items(stream)
    await hub.close()

    assert turn.orchestratorRequest.newEvents[1].taskCompleted.result.value == "1"


async def test_what_is_abandoned_is_offered_again_after_a_while_that_grows() -> None:
    clock = ManualClock()

    async with engine(MemoryStore(), clock) as hub:
        stream = connect(hub)
        await begin(hub, clock)

        for seconds in (1, 2, 4):
            (turn,) = await items(stream)
            hub.orchestrations.abandon(KEY, token(hub, turn).attempt)
            clock.advance(seconds * SECOND - 1)
            assert await items(stream) == []
            clock.advance(1)

        await answer(hub, (await items(stream))[0], SCHEDULE)
        (activity,) = await items(stream)
        read = token(hub, activity)
        hub.activities.abandon(read.task, read.attempt)
        hub.activities.abandon(read.task, read.attempt)
        assert await items(stream) == []
        clock.advance(1 * SECOND)
        (again,) = await items(stream)

    assert again.activityRequest == activity.activityRequest
    assert again.completionToken != activity.completionToken


async def test_a_termination_does_not_wait_for_an_abandoned_turn() -> None:
    clock = ManualClock()

    async with engine(MemoryStore(), clock) as hub:
        stream = connect(hub)
        await begin(hub, clock)
        (turn,) = await items(stream)
        hub.orchestrations.abandon(KEY, token(hub, turn).attempt)
        request = pb.TerminateRequest(instanceId=KEY.instance_id)
        await hub.instances.send(lifecycle.request_termination(DEFAULT_HUB, request, clock.now()))
        instance = await hub.instances.wait(KEY, has_ended)

    assert instance is not None
    assert instance.status is RuntimeStatus.TERMINATED


async def test_an_answer_counts_or_is_taken_anew_also_when_its_worker_gave_up_waiting() -> None:
    clock, backend = ManualClock(), FaultyBackend()
    hub = TaskHubWorker(backend, clock=clock)
    await hub.start()
    stream = connect(hub)
    await begin(hub, clock)
    (turn,) = await items(stream)
    backend.fail_next(applied=False)
    given_up = asyncio.create_task(answer(hub, turn, SCHEDULE))
    await asyncio.sleep(0)
    given_up.cancel()
    await items(stream)
    clock.advance(1 * SECOND)
    (again,) = await items(stream)
    await answer(hub, again, SCHEDULE)
    (activity,) = await items(stream)
    backend.fail_next(applied=False)
    key = token(hub, activity).task
    given_up = asyncio.create_task(hub.activities.complete(key, Answer(result="1")))
    await asyncio.sleep(0)
    given_up.cancel()
    await items(stream)
    clock.advance(1 * SECOND)
    (activity_again,) = await items(stream)
    await hub.close()

    assert activity_again.activityRequest == activity.activityRequest


async def test_a_failure_nested_beyond_all_readers_keeps_its_head() -> None:
    store, clock = MemoryStore(), ManualClock()
    failure = pb.TaskFailureDetails(errorType="Deep", errorMessage="outermost")
    inner = failure

    for _ in range(90):
        inner.innerFailure.errorType = "Inner"
        inner = inner.innerFailure

    async with engine(store, clock) as first:
        stream = connect(first)
        await begin(first, clock)
        await answer(first, (await items(stream))[0], SCHEDULE)
        (activity,) = await items(stream)
        await first.activities.complete(token(first, activity).task, Answer(failure=failure))

    async with engine(store, clock) as second:
        (turn,) = await items(connect(second))

    told = turn.orchestratorRequest.newEvents[1].taskFailed.failureDetails
    assert (told.errorType, told.errorMessage) == ("Deep", "outermost")


async def test_a_drain_is_no_fault_of_what_it_breaks() -> None:
    store, clock = MemoryStore(), ManualClock()

    async with engine(store, clock, poison_limit=1) as first:
        stream = connect(first)
        await begin(first, clock)
        await items(stream)
        await first.drain(0)
        first.dispatcher.close(stream)

    async with engine(store, clock) as second:
        (turn,) = await items(connect(second))

    assert turn.HasField("orchestratorRequest")


async def test_what_has_ended_waits_for_no_worker() -> None:
    clock = ManualClock()

    async with engine(MemoryStore(), clock) as hub:
        await begin(hub, clock)
        request = pb.TerminateRequest(instanceId=KEY.instance_id)
        await hub.instances.send(lifecycle.request_termination(DEFAULT_HUB, request, clock.now()))
        await hub.instances.wait(KEY, has_ended)

        assert hub.dispatcher.ready(Kind.ORCHESTRATION) == 0
        assert len(hub.residency) == 0


async def test_a_worker_that_needs_the_history_gets_it_once_and_then_later() -> None:
    clock = ManualClock()

    async with engine(MemoryStore(), clock, streamed_history=-1) as hub:
        stream = connect(hub, history_streaming=True)
        await begin(hub, clock)
        (announced,) = await items(stream)
        read = token(hub, announced)
        wanted = pb.OrchestratorResponse(requiresHistory=True)
        await hub.orchestrations.complete(KEY, read.attempt, wanted)
        (embedded,) = await items(stream)
        await hub.orchestrations.complete(KEY, token(hub, embedded).attempt, wanted)
        at_once = await items(stream)
        clock.advance(1 * SECOND)
        later = await items(stream)

    assert announced.orchestratorRequest.requiresHistoryStreaming
    assert not embedded.orchestratorRequest.requiresHistoryStreaming
    assert (len(at_once), len(later)) == (0, 1)


async def test_a_recursive_termination_spares_an_instance_that_was_never_a_child() -> None:
    clock = ManualClock()

    async with engine(MemoryStore(), clock) as hub:
        stream = connect(hub)
        await begin(hub, clock)
        (turn,) = await items(stream)
        other = pb.CreateInstanceRequest(instanceId="other", name="n")
        await hub.instances.create(lifecycle.create(DEFAULT_HUB, other, clock.now(), hub.new_id))
        await items(stream)
        child = pb.CreateSubOrchestrationAction(name="n", instanceId="other")
        request = pb.TerminateRequest(instanceId=KEY.instance_id, recursive=True)
        await asyncio.gather(
            hub.instances.send(lifecycle.request_termination(DEFAULT_HUB, request, clock.now())),
            answer(hub, turn, pb.OrchestratorAction(id=1, createSubOrchestration=child)),
        )
        await hub.instances.wait(KEY, has_ended)
        await items(stream)
        spared = await hub.instances.get(InstanceKey(DEFAULT_HUB, "other"))

    assert spared is not None
    assert spared.status is RuntimeStatus.PENDING


async def test_a_turn_that_a_worker_has_for_long_is_counted_once_and_stays_with_it() -> None:
    clock = ManualClock()

    async with engine(MemoryStore(), clock) as hub:
        stream = connect(hub)
        await begin(hub, clock)
        (turn,) = await items(stream)

        for _ in range(5):
            clock.advance(30 * SECOND)
            await items(stream)

        await answer(hub, turn, SCHEDULE)
        (activity,) = await items(stream)

        assert hub.turns.slow == 1
        assert activity.activityRequest.name == "a"
