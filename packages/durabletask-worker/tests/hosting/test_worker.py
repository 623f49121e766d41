"""The worker against a real gRPC endpoint that answers by a script. What it does with a hub is tested in `integration/`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from durabletask_client import ChannelOptions
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import ActivityContext, ConcurrencyOptions, OrchestrationContext, TaskHubGrpcWorker
from durabletask_worker.testing import Story, task_completed

from .scripted import END, TIMEOUT, Code, Hub


def double(_: ActivityContext, number: int) -> int:
    return 2 * number


async def async_double(_: ActivityContext, number: int) -> int:
    await asyncio.sleep(0)

    return 2 * number


def promised_double(_: ActivityContext, number: int) -> Awaitable[int]:
    return async_double(_, number)


def describe(context: ActivityContext) -> list[object]:
    return [
        context.orchestration_id,
        context.task_id,
        threading.current_thread().name.startswith("durabletask-activity"),
    ]


def breaks(_: ActivityContext) -> None:
    raise ValueError("broken") from KeyError("cause")


async def async_breaks(_: ActivityContext) -> None:
    raise ValueError("broken") from KeyError("cause")


def exits(_: ActivityContext) -> None:
    raise SystemExit(1)


async def async_exits(_: ActivityContext) -> None:
    raise SystemExit(1)


async def cancels(_: ActivityContext) -> None:
    raise asyncio.CancelledError


def unspeakable(_: ActivityContext) -> None:
    raise ValueError("\ud800")


def returns_an_object(_: ActivityContext) -> object:
    return object()


async def doubles(ctx: OrchestrationContext, number: int) -> int:
    return await ctx.call_activity(double, number)


async def fails_unspeakably(ctx: OrchestrationContext, number: int) -> int:
    raise ValueError("\ud800")


ACTIVITIES: tuple[Callable[..., Any], ...] = (
    double,
    async_double,
    promised_double,
    describe,
    breaks,
    async_breaks,
    exits,
    async_exits,
    cancels,
    unspeakable,
    returns_an_object,
)


def make_worker(hub: Hub, *activities: Callable[..., Any], **options: Any) -> TaskHubGrpcWorker:
    worker = TaskHubGrpcWorker(host_address=hub.address, **options)
    worker.add_orchestrator(doubles)
    worker.add_orchestrator(fails_unspeakably)

    for activity in (*ACTIVITIES, *activities):
        worker.add_activity(activity)

    return worker


def turn_of(story: Story, *, streamed: bool = False) -> pb.WorkItem:
    """The last turn of a story, as a work item."""
    begin = story.turns[-1]
    request = pb.OrchestratorRequest(
        instanceId=story.instance_id,
        pastEvents=[] if streamed else story.history[:begin],
        newEvents=[event for event in story.history[begin:] if event.eventId < 0],
        requiresHistoryStreaming=streamed,
    )
    request.executionId.value = "execution"
    request.orchestrationTraceContext.spanID.value = "span"

    return pb.WorkItem(orchestratorRequest=request, completionToken="turn-token")


class TestActivities:
    @pytest.mark.parametrize("name", ["double", "async_double", "promised_double"])
    async def test_a_result(self, hub: Hub, name: str) -> None:
        async with make_worker(hub):
            hub.put_activity(name, "21", token="token", task_id=7)
            answer = await hub.answer()

        assert (answer.instanceId, answer.taskId, answer.completionToken) == ("instance", 7, "token")
        assert answer.result.value == "42"
        assert not answer.HasField("failureDetails")

    async def test_its_context_and_its_thread(self, hub: Hub) -> None:
        async with make_worker(hub):
            hub.put_activity("describe", task_id=3)
            answer = await hub.answer()

        assert answer.result.value == '["instance", 3, true]'

    @pytest.mark.parametrize("name", ["breaks", "async_breaks"])
    async def test_a_failure(self, hub: Hub, name: str) -> None:
        async with make_worker(hub):
            hub.put_activity(name)
            details = (await hub.answer()).failureDetails

        assert (details.errorType, details.errorMessage) == ("builtins.ValueError", "broken")
        assert details.innerFailure.errorType == "builtins.KeyError"
        assert "raise ValueError" in details.stackTrace.value
        assert not details.isNonRetriable

    @pytest.mark.parametrize(
        ("name", "error_type"),
        [
            ("exits", "builtins.SystemExit"),
            ("async_exits", "builtins.SystemExit"),
            ("cancels", "asyncio.exceptions.CancelledError"),
            ("returns_an_object", "builtins.TypeError"),
            ("unspeakable", "'ValueError'"),
        ],
    )
    async def test_nothing_that_is_raised_ends_the_worker(self, hub: Hub, name: str, error_type: str) -> None:
        async with make_worker(hub):
            hub.put_activity(name)
            assert (await hub.answer()).failureDetails.errorType == error_type

            hub.put_activity("double", "1")
            assert (await hub.answer()).result.value == "2"

    async def test_an_input_of_the_wrong_type(self, hub: Hub) -> None:
        async with make_worker(hub):
            hub.put_activity("double", '"text"')

            assert (await hub.answer()).HasField("failureDetails")

    async def test_an_unknown_one_fails_and_is_not_retried(self, hub: Hub) -> None:
        async with make_worker(hub):
            hub.put_activity("missing")
            details = (await hub.answer()).failureDetails

        assert (details.errorType, details.isNonRetriable) == ("ActivityNotRegistered", True)
        assert "'missing'" in details.errorMessage

    async def test_no_more_at_a_time_than_the_limit(self, hub: Hub) -> None:
        gate, begun = asyncio.Event(), asyncio.Semaphore(0)

        async def holds(_: ActivityContext) -> None:
            begun.release()
            await gate.wait()

        options = ConcurrencyOptions(maximum_concurrent_activity_work_items=2)

        async with make_worker(hub, holds, concurrency_options=options):
            for number in range(3):
                hub.put_activity("holds", token=str(number))

            await begun.acquire()
            await begun.acquire()
            hub.work.put_nowait(turn_of_first_step())
            await hub.answer()

            assert begun.locked()

            gate.set()
            assert {(await hub.answer()).completionToken for _ in range(3)} == {"0", "1", "2"}


def turn_of_first_step() -> pb.WorkItem:
    story = Story(doubles, 21)
    story.turn()

    return turn_of(story)


class TestTurns:
    async def test_a_turn(self, hub: Hub) -> None:
        async with make_worker(hub):
            hub.work.put_nowait(turn_of_first_step())
            answer = await hub.answer()

        assert (answer.instanceId, answer.completionToken) == ("instance", "turn-token")
        assert answer.orchestrationTraceContext.spanID.value == "span"
        assert [action.scheduleTask.name for action in answer.actions] == ["double"]

    async def test_its_history_is_fetched_when_it_does_not_come_along(self, hub: Hub) -> None:
        story = Story(doubles, 21)
        story.turn()
        story.turn(task_completed(1, 42))
        hub.history = story.history[: story.turns[-1]]

        async with make_worker(hub):
            hub.work.put_nowait(turn_of(story, streamed=True))
            answer = await hub.answer()

        assert answer.actions[0].completeOrchestration.result.value == "42"

    async def test_it_is_given_back_when_its_history_cannot_be_fetched(self, hub: Hub) -> None:
        story = Story(doubles, 21)
        story.turn()

        async with make_worker(hub):
            hub.work.put_nowait(turn_of(story, streamed=True))

            assert await hub.abandonment() == ("turn", "turn-token")

    async def test_a_failure_that_no_wire_takes_is_a_failure_all_the_same(self, hub: Hub) -> None:
        story = Story(doubles, 21)
        story.turn()
        story.history[1].executionStarted.name = "fails_unspeakably"

        async with make_worker(hub):
            hub.work.put_nowait(turn_of(story))
            answer = await hub.answer()

        completion = answer.actions[0].completeOrchestration
        assert completion.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED
        assert answer.completionToken == "turn-token"


class TestConnection:
    async def test_it_says_what_it_can_take(self, hub: Hub) -> None:
        options = ConcurrencyOptions(
            maximum_concurrent_activity_work_items=3, maximum_concurrent_orchestration_work_items=5
        )

        async with make_worker(hub, concurrency_options=options, metadata=[("x-key", "1")], taskhub="mine"):
            request = await hub.stream()

        assert request.maxConcurrentActivityWorkItems == 3
        assert request.maxConcurrentOrchestrationWorkItems == 5
        assert list(request.capabilities) == [pb.WORKER_CAPABILITY_HISTORY_STREAMING]
        assert (hub.metadata["x-key"], hub.metadata["taskhub"]) == ("1", "mine")

    @pytest.mark.parametrize("end", [END, Code.UNAVAILABLE, Code.NOT_FOUND, Code.UNAUTHENTICATED, Code.INTERNAL])
    async def test_it_opens_another_stream_however_one_ends(self, hub: Hub, end: object) -> None:
        async with make_worker(hub):
            await hub.stream()
            hub.work.put_nowait(end)
            await hub.stream()
            hub.put_activity("double", "1")

            assert (await hub.answer()).result.value == "2"

    async def test_it_opens_another_stream_when_there_was_no_metadata_for_the_first(self, hub: Hub) -> None:
        tokens = iter([None, "token", "token"])

        def metadata() -> list[tuple[str, str]]:
            token = next(tokens)

            if token is None:
                raise ValueError("no token")

            return [("authorization", token)]

        async with make_worker(hub, metadata=metadata):
            await hub.stream()

        assert hub.metadata["authorization"] == "token"

    async def test_it_opens_another_stream_when_the_server_is_silent(self, hub: Hub) -> None:
        async with make_worker(hub, silent_disconnect_timeout=0.05):
            await hub.stream()
            await hub.stream()

    async def test_it_may_be_there_before_the_server(self) -> None:
        hub = Hub()
        await hub.start()
        await hub.stop()

        async with make_worker(hub):
            await hub.start(hub.address)

            try:
                await hub.stream()
            finally:
                await hub.stop()

    async def test_what_was_done_while_the_server_was_away_is_delivered(self, hub: Hub) -> None:
        begun, gate = asyncio.Event(), asyncio.Event()

        async def waits(_: ActivityContext) -> str:
            begun.set()
            await gate.wait()

            return "done"

        async with make_worker(hub, waits):
            hub.put_activity("waits", token="old")
            await begun.wait()
            await hub.stop()
            gate.set()
            await asyncio.sleep(0)
            await hub.start(hub.address)
            answer = await hub.answer()

        assert (answer.completionToken, answer.result.value) == ("old", '"done"')

    async def test_an_answer_is_repeated_while_the_server_is_unavailable(self, hub: Hub) -> None:
        hub.refusals = [Code.UNAVAILABLE, Code.UNAVAILABLE, Code.CANCELLED]

        async with make_worker(hub):
            hub.put_activity("double", "1")

            assert (await hub.answer()).result.value == "2"

        assert hub.refusals == []

    async def test_work_whose_answer_is_refused_is_given_back(self, hub: Hub) -> None:
        hub.refusals = [Code.INVALID_ARGUMENT]

        async with make_worker(hub):
            hub.put_activity("double", "1", token="refused")

            assert await hub.abandonment() == ("activity", "refused")

        assert hub.answers.empty()

    async def test_pings_and_items_of_unknown_kinds_are_passed_over(self, hub: Hub) -> None:
        async with make_worker(hub):
            hub.work.put_nowait(pb.WorkItem(healthPing=pb.HealthPing()))
            hub.work.put_nowait(pb.WorkItem(completionToken="?"))
            hub.put_activity("double", "1")

            assert (await hub.answer()).result.value == "2"

        assert hub.abandoned.empty()

    async def test_an_entity_that_is_not_registered_fails_what_it_is_asked(self, hub: Hub) -> None:
        request = pb.EntityBatchRequest(instanceId="@a@b")
        request.operations.add(operation="add")

        async with make_worker(hub):
            hub.work.put_nowait(pb.WorkItem(entityRequest=request, completionToken="e"))
            failure = (await hub.answer()).results[0].failure.failureDetails

        assert failure.errorType == "EntityTaskNotFound"
        assert "'a'" in failure.errorMessage


class TestStopping:
    @asynccontextmanager
    async def stopping_while_it_holds(
        self, hub: Hub, activity: Callable[..., Any], begun: asyncio.Event, **options: Any
    ) -> AsyncIterator[asyncio.Task[None]]:
        worker = make_worker(hub, activity, **options)
        running = asyncio.create_task(worker.run())
        hub.put_activity(activity.__name__, token="held")
        await asyncio.wait_for(begun.wait(), TIMEOUT)
        worker.stop()
        await asyncio.sleep(0)

        yield running

        await asyncio.wait_for(running, TIMEOUT)

    async def test_it_waits_for_what_runs_and_declines_what_comes(self, hub: Hub) -> None:
        begun, gate = asyncio.Event(), asyncio.Event()

        async def waits(_: ActivityContext) -> str:
            begun.set()
            await gate.wait()

            return "done"

        async with self.stopping_while_it_holds(hub, waits, begun, grace_period=60) as running:
            hub.put_activity("double", "1", token="declined")
            await hub.work.join()
            gate.set()

            assert (await hub.answer()).completionToken == "held"
            assert await hub.abandonment() == ("activity", "declined")

        assert running.done()
        assert hub.answers.empty()

    async def test_after_a_while_it_gives_back_what_still_runs(self, hub: Hub) -> None:
        begun, unwound = asyncio.Event(), asyncio.Event()

        async def waits(_: ActivityContext) -> None:
            begun.set()

            try:
                await asyncio.Event().wait()
            finally:
                unwound.set()

        async with self.stopping_while_it_holds(hub, waits, begun, grace_period=0.05):
            assert await hub.abandonment() == ("activity", "held")

        assert unwound.is_set()
        assert hub.answers.empty()

    async def test_it_does_not_wait_for_a_thread_that_does_not_end(self, hub: Hub) -> None:
        begun, gate = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def blocks(_: ActivityContext) -> None:
            loop.call_soon_threadsafe(begun.set)
            gate.wait(TIMEOUT)

        try:
            async with self.stopping_while_it_holds(hub, blocks, begun, grace_period=0.05):
                assert await hub.abandonment() == ("activity", "held")
        finally:
            gate.set()

    async def test_a_cancelled_run_drains_too(self, hub: Hub) -> None:
        begun, gate = asyncio.Event(), asyncio.Event()

        async def waits(_: ActivityContext) -> str:
            begun.set()
            await gate.wait()

            return "done"

        running = asyncio.create_task(make_worker(hub, waits).run())
        hub.put_activity("waits")
        await begun.wait()
        running.cancel()
        await asyncio.sleep(0)
        gate.set()

        assert (await hub.answer()).result.value == '"done"'

        with pytest.raises(asyncio.CancelledError):
            await running

    async def test_a_thread_of_its_own(self, hub: Hub) -> None:
        def work() -> None:
            with make_worker(hub) as worker:
                worker.start()

                with pytest.raises(RuntimeError, match="runs already"):
                    worker.start()

                done.wait(TIMEOUT)

            worker.start()
            worker.stop()
            worker.stop()

        done = threading.Event()
        working = asyncio.create_task(asyncio.to_thread(work))
        hub.put_activity("double", "1")

        assert (await hub.answer()).result.value == "2"

        done.set()
        await asyncio.wait_for(working, TIMEOUT)

    async def test_an_async_activity_cannot_stop_its_own_worker(self, hub: Hub) -> None:
        async def stops(_: ActivityContext) -> None:
            worker.stop()

        worker = make_worker(hub, stops)
        worker.start()
        hub.put_activity("stops")

        assert (await hub.answer()).failureDetails.errorType == "builtins.RuntimeError"

        await asyncio.to_thread(worker.stop)


@pytest.mark.parametrize("name", ["grace_period", "silent_disconnect_timeout"])
def test_a_negative_time_is_refused(name: str) -> None:
    options: dict[str, Any] = {name: -1}

    with pytest.raises(ValueError, match=name):
        TaskHubGrpcWorker(**options)


def test_an_address_that_cannot_be_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="host_address"):
        TaskHubGrpcWorker(host_address="")


@pytest.mark.parametrize(("extra", "tries_again"), [((), 0), ([("grpc.enable_retries", 1)], 1)])
async def test_grpc_tries_again_only_if_told_to(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, extra: list[tuple[str, int]], tries_again: int
) -> None:
    make, seen = grpc.aio.insecure_channel, []

    def insecure_channel(address: str, options: list[tuple[str, Any]]) -> grpc.aio.Channel:
        seen.append(dict(options)["grpc.enable_retries"])

        return make(address, options=options)

    monkeypatch.setattr(grpc.aio, "insecure_channel", insecure_channel)

    async with TaskHubGrpcWorker(host_address=hub.address, channel_options=ChannelOptions(extra=extra)):
        pass

    assert seen == [tries_again]


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="maximum_thread_pool_workers"):
        ConcurrencyOptions(maximum_thread_pool_workers=0)
