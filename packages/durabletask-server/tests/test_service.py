"""Through the wire: what callers are told, and what workers are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.testing import Served, serving
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import StringValue

if TYPE_CHECKING:
    pass


@pytest.fixture
async def sidecar() -> AsyncIterator[Served]:
    async with serving(MemoryBackend()) as served:
        yield served


Call = grpc.aio.UnaryStreamCall[pb.GetWorkItemsRequest, pb.WorkItem]


def start(instance_id: str, name: str = "orchestrator", **more: object) -> pb.CreateInstanceRequest:
    return pb.CreateInstanceRequest(instanceId=instance_id, name=name, **more)  # type: ignore[arg-type]


async def refused(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call

    return caught.value


@asynccontextmanager
async def work(sidecar: Served, *, orchestrations: int = 0) -> AsyncIterator[Call]:
    """A worker's stream, behind its first health ping."""
    stream = sidecar.stub.GetWorkItems(pb.GetWorkItemsRequest(maxConcurrentOrchestrationWorkItems=orchestrations))
    first = await stream.read()
    assert isinstance(first, pb.WorkItem)
    assert first.HasField("healthPing")

    try:
        yield stream
    finally:
        stream.cancel()


async def item(stream: Call) -> pb.WorkItem:
    received = await stream.read()
    assert isinstance(received, pb.WorkItem)

    return received


def complete(work_item: pb.WorkItem, *actions: pb.OrchestratorAction) -> pb.OrchestratorResponse:
    return pb.OrchestratorResponse(
        instanceId=work_item.orchestratorRequest.instanceId,
        completionToken=work_item.completionToken,
        actions=actions or [DONE],
    )


DONE = pb.OrchestratorAction(
    id=9,
    completeOrchestration=pb.CompleteOrchestrationAction(
        orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED, result=StringValue(value='"done"')
    ),
)
SCHEDULE = pb.OrchestratorAction(id=1, scheduleTask=pb.ScheduleTaskAction(name="activity"))


def answered(work_item: pb.WorkItem, result: str = "1") -> pb.ActivityResponse:
    return pb.ActivityResponse(
        instanceId=work_item.activityRequest.orchestrationInstance.instanceId,
        taskId=work_item.activityRequest.taskId,
        completionToken=work_item.completionToken,
        result=StringValue(value=result),
    )


async def test_an_unknown_instance_is_no_error_to_look_at(sidecar: Served) -> None:
    response = await sidecar.stub.GetInstance(pb.GetInstanceRequest(instanceId="nobody"))

    assert not response.exists


async def test_events_to_an_unknown_instance_are_refused(sidecar: Served) -> None:
    stub = sidecar.stub

    for call in (
        stub.RaiseEvent(pb.RaiseEventRequest(instanceId="nobody", name="event")),
        stub.SuspendInstance(pb.SuspendRequest(instanceId="nobody")),
        stub.ResumeInstance(pb.ResumeRequest(instanceId="nobody")),
    ):
        error = await refused(call)
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert "nobody" in (error.details() or "")


async def test_ending_and_purging_an_unknown_instance_does_nothing(sidecar: Served) -> None:
    await sidecar.stub.TerminateInstance(pb.TerminateRequest(instanceId="nobody"))
    response = await sidecar.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="nobody"))

    assert response.deletedInstanceCount == 0
    assert response.isComplete.value


async def test_the_history_of_an_unknown_instance_is_not_found(sidecar: Served) -> None:
    stream = sidecar.stub.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId="nobody"))
    error = await refused(anext(aiter(stream)))

    assert error.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (start("a", name=""), "name"),
        (start("@entity@key"), "instanceId"),
        (start("x" * 2000), "instanceId"),
        (start("with a \0"), "instanceId"),
    ],
)
async def test_a_start_that_cannot_be_names_the_field(
    sidecar: Served, request_: pb.CreateInstanceRequest, field: str
) -> None:
    error = await refused(sidecar.stub.StartInstance(request_))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.details() or "").startswith(f"{field}: ")


async def test_an_event_without_a_name_names_the_field(sidecar: Served) -> None:
    error = await refused(sidecar.stub.RaiseEvent(pb.RaiseEventRequest(instanceId="a")))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.details() or "").startswith("name: ")


async def test_a_page_token_of_another_kind_names_the_field(sidecar: Served) -> None:
    query = pb.InstanceQuery(continuationToken=StringValue(value="???"))
    error = await refused(sidecar.stub.QueryInstances(pb.QueryInstancesRequest(query=query)))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.details() or "").startswith("query.continuationToken: ")


async def test_bytes_that_are_no_message_name_the_request(sidecar: Served) -> None:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = sidecar.channel.unary_unary(
        "/TaskHubSidecarService/StartInstance"
    )
    error = await refused(call(b"\xff\xff\xff"))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "CreateInstanceRequest" in (error.details() or "")


async def test_a_live_duplicate_is_refused_and_the_same_execution_is_a_retry(sidecar: Served) -> None:
    first = start("twice", executionId=StringValue(value="e1"))
    await sidecar.stub.StartInstance(first)
    again = await sidecar.stub.StartInstance(first)
    error = await refused(sidecar.stub.StartInstance(start("twice")))

    assert again.instanceId == "twice"
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    assert "twice" in (error.details() or "")


async def test_another_hub_is_not_found(sidecar: Served) -> None:
    error = await refused(
        sidecar.stub.GetInstance(pb.GetInstanceRequest(instanceId="a"), metadata=(("taskhub", "other"),))
    )

    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "CreateTaskHub" in (error.details() or "")


async def test_an_orchestration_runs_to_its_end(sidecar: Served) -> None:
    async with work(sidecar) as stream:
        await sidecar.stub.StartInstance(start("run", input=StringValue(value='"in"')))
        turn = await item(stream)
        await sidecar.stub.CompleteOrchestratorTask(complete(turn, SCHEDULE))
        activity = await item(stream)
        await sidecar.stub.CompleteActivityTask(answered(activity))
        last = await item(stream)
        await sidecar.stub.CompleteOrchestratorTask(complete(last))

    state = (
        await sidecar.stub.WaitForInstanceCompletion(pb.GetInstanceRequest(instanceId="run", getInputsAndOutputs=True))
    ).orchestrationState
    history = [
        event.WhichOneof("eventType")
        async for chunk in sidecar.stub.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId="run"))
        for event in chunk.events
    ]

    assert activity.activityRequest.name == "activity"
    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED
    assert (state.input.value, state.output.value) == ('"in"', '"done"')
    assert not state.HasField("failureDetails")
    assert history == [
        "orchestratorStarted",
        "executionStarted",
        "taskScheduled",
        "orchestratorStarted",
        "taskCompleted",
        "executionCompleted",
    ]


async def test_late_and_unknown_completions_are_answered_without_effect(
    sidecar: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async with work(sidecar) as stream:
        await sidecar.stub.StartInstance(start("late"))
        turn = await item(stream)
        await sidecar.stub.CompleteOrchestratorTask(complete(turn, SCHEDULE))
        activity = await item(stream)
        await sidecar.stub.CompleteActivityTask(answered(activity))
        second = await item(stream)
        caplog.clear()
        await sidecar.stub.CompleteActivityTask(answered(activity, "2"))
        await sidecar.stub.CompleteOrchestratorTask(complete(turn))
        await sidecar.stub.CompleteActivityTask(pb.ActivityResponse(instanceId="late", completionToken="made up"))
        await sidecar.stub.CompleteOrchestratorTask(
            pb.OrchestratorResponse(instanceId="nobody", completionToken="made up")
        )

        assert len([record for record in caplog.records if record.name.startswith("durabletask_server")]) == 4

        await sidecar.stub.CompleteOrchestratorTask(complete(second))

    assert [event.taskCompleted.result.value for event in second.orchestratorRequest.newEvents][1:] == ["1"]


async def test_a_stream_holds_no_more_than_it_asked_for(sidecar: Served) -> None:
    for number in range(3):
        await sidecar.stub.StartInstance(start(f"limited-{number}"))

    async with work(sidecar, orchestrations=1) as narrow, work(sidecar) as wide:
        held = await item(narrow)
        others = {(await item(wide)).orchestratorRequest.instanceId for _ in range(2)}
        await sidecar.stub.CompleteOrchestratorTask(complete(held))

    assert {held.orchestratorRequest.instanceId, *others} == {f"limited-{number}" for number in range(3)}


async def test_what_a_broken_stream_held_goes_to_another_and_the_old_token_is_void(sidecar: Served) -> None:
    await sidecar.stub.StartInstance(start("handed-on"))

    async with work(sidecar) as first:
        lost = await item(first)

    async with work(sidecar) as second:
        again = await item(second)
        await sidecar.stub.CompleteOrchestratorTask(complete(lost, SCHEDULE))
        await sidecar.stub.CompleteOrchestratorTask(complete(again))

    state = await sidecar.stub.GetInstance(pb.GetInstanceRequest(instanceId="handed-on"))

    assert lost.completionToken != again.completionToken
    assert state.orchestrationState.orchestrationStatus == pb.ORCHESTRATION_STATUS_COMPLETED


async def test_an_activity_goes_on_with_whoever_answers_first(sidecar: Served) -> None:
    await sidecar.stub.StartInstance(start("first-answer"))

    async with work(sidecar) as first:
        await sidecar.stub.CompleteOrchestratorTask(complete(await item(first), SCHEDULE))
        lost = await item(first)

    async with work(sidecar) as second:
        await item(second)
        await sidecar.stub.CompleteActivityTask(answered(lost, "early"))
        turn = await item(second)

    assert turn.orchestratorRequest.newEvents[1].taskCompleted.result.value == "early"


async def test_a_wait_ends_with_its_caller(sidecar: Served) -> None:
    await sidecar.stub.StartInstance(start("waited-for"))
    request = pb.GetInstanceRequest(instanceId="waited-for")
    error = await refused(sidecar.stub.WaitForInstanceCompletion(request, timeout=0.05))

    # The server learns of it a moment later; a call behind it on the same connection shows that it has.
    await sidecar.stub.Hello(Empty())
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert not len(sidecar.hub.waiters)


async def test_a_wait_for_an_instance_that_is_purged_ends(sidecar: Served) -> None:
    await sidecar.stub.StartInstance(start("gone"))
    await sidecar.stub.TerminateInstance(pb.TerminateRequest(instanceId="gone"))
    await sidecar.stub.WaitForInstanceCompletion(pb.GetInstanceRequest(instanceId="gone"))
    purged = await sidecar.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="gone"))
    found = await sidecar.stub.GetInstance(pb.GetInstanceRequest(instanceId="gone"))

    assert purged.deletedInstanceCount == 1
    assert not found.exists


async def test_a_purge_that_may_take_no_longer_says_that_there_is_more(sidecar: Served) -> None:
    ids = [f"i{number}" for number in range(250)]
    await asyncio.gather(*(sidecar.stub.StartInstance(start(each)) for each in ids))
    await asyncio.gather(*(sidecar.stub.TerminateInstance(pb.TerminateRequest(instanceId=each)) for each in ids))
    await asyncio.gather(
        *(sidecar.stub.WaitForInstanceCompletion(pb.GetInstanceRequest(instanceId=each)) for each in ids)
    )
    hurried = pb.PurgeInstancesRequest(purgeInstanceFilter=pb.PurgeInstanceFilter(timeout=Duration()))
    first = await sidecar.stub.PurgeInstances(hurried)
    rest = await sidecar.stub.PurgeInstances(pb.PurgeInstancesRequest(purgeInstanceFilter=pb.PurgeInstanceFilter()))

    assert 0 < first.deletedInstanceCount < 250
    assert not first.isComplete.value
    assert first.deletedInstanceCount + rest.deletedInstanceCount == 250
    assert rest.isComplete.value


async def test_a_termination_needs_no_worker_and_takes_the_turn_from_one(sidecar: Served) -> None:
    async with work(sidecar) as stream:
        await sidecar.stub.StartInstance(start("ended"))
        turn = await item(stream)
        await sidecar.stub.TerminateInstance(
            pb.TerminateRequest(instanceId="ended", output=StringValue(value='"enough"'))
        )
        request = pb.GetInstanceRequest(instanceId="ended", getInputsAndOutputs=True)
        state = (await sidecar.stub.WaitForInstanceCompletion(request)).orchestrationState
        await sidecar.stub.CompleteOrchestratorTask(complete(turn))

    after = (await sidecar.stub.GetInstance(request)).orchestrationState

    assert state.orchestrationStatus == pb.ORCHESTRATION_STATUS_TERMINATED
    assert state.output.value == '"enough"'
    assert after == state


async def test_pages_follow_creation_and_end_without_a_token(sidecar: Served) -> None:
    for number in range(5):
        await sidecar.stub.StartInstance(start(f"page-{number}"))

    seen: list[str] = []
    token: StringValue | None = None
    pages = 0

    while pages == 0 or token is not None:
        query = pb.InstanceQuery(maxInstanceCount=2, continuationToken=token)
        response = await sidecar.stub.QueryInstances(pb.QueryInstancesRequest(query=query))
        seen += [state.instanceId for state in response.orchestrationState]
        token = response.continuationToken if response.HasField("continuationToken") else None
        pages += 1

    assert seen == [f"page-{number}" for number in range(5)]
    assert pages == 3


async def test_an_answer_in_parts_counts_as_one(sidecar: Served) -> None:
    async with work(sidecar) as stream:
        await sidecar.stub.StartInstance(start("parts"))
        turn = await item(stream)

        for index in range(3):
            part = complete(
                turn, pb.OrchestratorAction(id=index + 1, scheduleTask=pb.ScheduleTaskAction(name=f"part-{index}"))
            )
            part.isPartial = index < 2
            part.chunkIndex.value = index
            await sidecar.stub.CompleteOrchestratorTask(part)

        names = [(await item(stream)).activityRequest.name for _ in range(3)]

    assert names == ["part-0", "part-1", "part-2"]
