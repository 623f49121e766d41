"""Entities through the wire: what clients are told, and what workers are given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_backend.values import EntityLock
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import locks
from durabletask_server.service.workitems import BATCH_ENTITIES
from durabletask_server.settings import Settings
from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker
from durabletask_server.testing import ManualClock, serving
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

if TYPE_CHECKING:
    from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceAsyncStub

COUNTER = "@counter@a"
Stream = grpc.aio.UnaryStreamCall[pb.GetWorkItemsRequest, pb.WorkItem]


@dataclass(frozen=True)
class Sidecar:
    hub: TaskHubWorker
    clock: ManualClock
    stub: TaskHubSidecarServiceAsyncStub


@pytest.fixture
async def sidecar() -> AsyncIterator[Sidecar]:
    clock = ManualClock()

    async with serving(MemoryBackend(), clock=clock, settings=Settings(poison_limit=3)) as served:
        yield Sidecar(served.hub, clock, served.stub)


@asynccontextmanager
async def work(sidecar: Sidecar, *, batches: bool = False) -> AsyncIterator[Stream]:
    """A worker's stream, behind its first health ping."""
    metadata = ((BATCH_ENTITIES, "1"),) if batches else None
    stream = sidecar.stub.GetWorkItems(pb.GetWorkItemsRequest(), metadata=metadata)
    first = await stream.read()
    assert isinstance(first, pb.WorkItem)
    assert first.HasField("healthPing")

    try:
        yield stream
    finally:
        stream.cancel()


async def item(stream: Stream) -> pb.WorkItem:
    received = await stream.read()
    assert isinstance(received, pb.WorkItem)

    return received


def signal(
    name: str = "add",
    entity: str = COUNTER,
    *,
    data: str | None = None,
    at: datetime | None = None,
    request_id: str = "",
) -> pb.SignalEntityRequest:
    request = pb.SignalEntityRequest(
        instanceId=entity,
        name=name,
        requestId=request_id or str(uuid4()),
        input=None if data is None else StringValue(value=data),
    )

    if at is not None:
        request.scheduledTime.FromDatetime(at)

    return request


def done(work_item: pb.WorkItem, state: str | None, results: Sequence[str | None]) -> pb.EntityBatchResult:
    return pb.EntityBatchResult(
        completionToken=work_item.completionToken,
        entityState=None if state is None else StringValue(value=state),
        results=[
            pb.OperationResult(
                success=pb.OperationResultSuccess(result=None if result is None else StringValue(value=result))
            )
            for result in results
        ],
    )


def operations(work_item: pb.WorkItem) -> list[str]:
    return [
        (
            event.entityOperationCalled if event.HasField("entityOperationCalled") else event.entityOperationSignaled
        ).operation
        for event in work_item.entityRequestV2.operationRequests
    ]


async def metadata(sidecar: Sidecar, entity: str = COUNTER, *, state: bool = True) -> pb.GetEntityResponse:
    return await sidecar.stub.GetEntity(pb.GetEntityRequest(instanceId=entity, includeState=state))


async def refused(call: object) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]

    return caught.value


async def stateful(sidecar: Sidecar, stream: Stream, entity: str = COUNTER, state: str = "1") -> None:
    """Give an entity a state."""
    await sidecar.stub.SignalEntity(signal(entity=entity))
    await sidecar.stub.CompleteEntityTask(done(await item(stream), state, [None]))


async def test_an_entity_comes_to_be_with_its_first_signal_and_keeps_its_state(sidecar: Sidecar) -> None:
    assert not (await metadata(sidecar)).exists

    await sidecar.stub.SignalEntity(signal(data="5"))
    waiting = await metadata(sidecar)

    async with work(sidecar) as stream:
        batch = await item(stream)
        await sidecar.stub.CompleteEntityTask(done(batch, "5", [None]))

    kept = await metadata(sidecar)
    (event,) = batch.entityRequestV2.operationRequests

    assert waiting.exists
    assert waiting.entity.backlogQueueSize == 1
    assert not waiting.entity.HasField("serializedState")
    assert batch.entityRequestV2.instanceId == COUNTER
    assert not batch.entityRequestV2.HasField("entityState")
    assert (event.eventId, event.entityOperationSignaled.input.value) == (-1, "5")
    assert kept.entity.serializedState.value == "5"
    assert kept.entity.backlogQueueSize == 0
    assert not (await metadata(sidecar, state=False)).entity.HasField("serializedState")


async def test_the_next_operations_find_the_state_and_come_in_one_batch(sidecar: Sidecar) -> None:
    async with work(sidecar) as stream:
        await stateful(sidecar, stream)
        await sidecar.stub.SignalEntity(signal("a"))
        held = await item(stream)

        for name in ("b", "c", "d"):
            await sidecar.stub.SignalEntity(signal(name))

        await sidecar.stub.CompleteEntityTask(done(held, "2", [None]))
        batch = await item(stream)

    assert held.entityRequestV2.entityState.value == "1"
    assert batch.entityRequestV2.entityState.value == "2"
    assert operations(batch) == ["b", "c", "d"]


async def test_operations_without_a_result_come_again_in_their_place(sidecar: Sidecar) -> None:
    async with work(sidecar) as stream:
        await sidecar.stub.SignalEntity(signal("first"))
        held = await item(stream)

        for name in ("a", "b", "c"):
            await sidecar.stub.SignalEntity(signal(name))

        await sidecar.stub.CompleteEntityTask(done(held, None, [None]))
        batch = await item(stream)
        await sidecar.stub.SignalEntity(signal("d"))
        await sidecar.stub.CompleteEntityTask(done(batch, "1", [None]))
        rest = await item(stream)

    assert operations(batch) == ["a", "b", "c"]
    assert operations(rest) == ["b", "c", "d"]


async def test_a_worker_may_have_batches_of_the_older_form(sidecar: Sidecar) -> None:
    async with work(sidecar, batches=True) as stream:
        await stateful(sidecar, stream, state="7")
        await sidecar.stub.SignalEntity(signal("add", data="1", request_id="3f2504e0-4f89-41d3-9a0c-0305e82c3301"))
        request = (await item(stream)).entityRequest

    assert (request.instanceId, request.entityState.value) == (COUNTER, "7")
    assert [(each.operation, each.requestId, each.input.value) for each in request.operations] == [
        ("add", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "1")
    ]


async def test_a_scheduled_signal_is_not_there_before_its_time(sidecar: Sidecar) -> None:
    due = datetime.fromtimestamp(sidecar.clock.now() / 1_000_000, UTC) + timedelta(seconds=8)
    await sidecar.stub.SignalEntity(signal(at=due))
    early = await metadata(sidecar)

    async with work(sidecar) as stream:
        sidecar.clock.advance(7_000_000)
        await sidecar.stub.SignalEntity(signal("at once", "@counter@b"))
        first = await item(stream)
        sidecar.clock.advance(1_000_000)
        second = await item(stream)

    assert not early.exists
    assert first.entityRequestV2.instanceId == "@counter@b"
    assert second.entityRequestV2.instanceId == COUNTER


async def test_names_of_entities_count_in_lower_case_and_their_keys_as_they_are(sidecar: Sidecar) -> None:
    async with work(sidecar) as stream:
        await sidecar.stub.SignalEntity(signal(entity="@Counter@Key"))
        batch = await item(stream)

    assert batch.entityRequestV2.instanceId == "@counter@Key"
    assert (await metadata(sidecar, "@COUNTER@Key")).exists
    assert not (await metadata(sidecar, "@counter@key")).exists


@pytest.mark.parametrize("entity", ["", "counter", "@", "@counter", "@@key", "@c@" + "x" * 2000])
async def test_what_is_no_id_of_an_entity_is_refused(sidecar: Sidecar, entity: str) -> None:
    error = await refused(sidecar.stub.SignalEntity(signal(entity=entity)))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "instanceId" in str(error.details())


async def test_an_operation_needs_a_name(sidecar: Sidecar) -> None:
    error = await refused(sidecar.stub.SignalEntity(signal("")))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(error.details()).startswith("name:")


async def test_a_repeated_signal_that_still_waits_counts_once(sidecar: Sidecar) -> None:
    repeated = signal("once")
    await sidecar.stub.SignalEntity(repeated)
    await sidecar.stub.SignalEntity(repeated)

    async with work(sidecar) as stream:
        batch = await item(stream)
        await sidecar.stub.CompleteEntityTask(done(batch, "1", [None]))

    assert operations(batch) == ["once"]
    assert (await metadata(sidecar)).entity.backlogQueueSize == 0


async def test_a_repeated_signal_that_comes_while_the_first_is_done_counts_once(sidecar: Sidecar) -> None:
    repeated = signal("once")

    async with work(sidecar) as stream:
        await sidecar.stub.SignalEntity(repeated)
        batch = await item(stream)
        await sidecar.stub.SignalEntity(repeated)
        await sidecar.stub.SignalEntity(signal("next"))
        await sidecar.stub.CompleteEntityTask(done(batch, "1", [None]))
        second = await item(stream)

    assert operations(batch) == ["once"]
    assert operations(second) == ["next"]


async def test_a_late_or_made_up_answer_has_no_effect(sidecar: Sidecar) -> None:
    async with work(sidecar) as stream:
        await sidecar.stub.SignalEntity(signal())
        old = await item(stream)

    async with work(sidecar) as stream:
        new = await item(stream)
        await sidecar.stub.CompleteEntityTask(done(old, "old", [None]))
        await sidecar.stub.CompleteEntityTask(pb.EntityBatchResult(completionToken="made up"))
        await sidecar.stub.CompleteEntityTask(done(new, "new", [None]))
        await sidecar.stub.CompleteEntityTask(done(new, "again", [None]))

    assert (await metadata(sidecar)).entity.serializedState.value == "new"


@pytest.mark.parametrize("failing", [True, False])
async def test_what_is_given_back_is_offered_again_after_a_while(sidecar: Sidecar, failing: bool) -> None:
    async with work(sidecar) as stream:
        await sidecar.stub.SignalEntity(signal())
        first = await item(stream)

        if failing:
            failure = pb.TaskFailureDetails(errorType="Broken", errorMessage="the framework failed")
            await sidecar.stub.CompleteEntityTask(
                pb.EntityBatchResult(completionToken=first.completionToken, failureDetails=failure)
            )
        else:
            await sidecar.stub.AbandonTaskEntityWorkItem(
                pb.AbandonEntityTaskRequest(completionToken=first.completionToken)
            )

        await sidecar.stub.SignalEntity(signal("other", "@counter@b"))
        other = await item(stream)
        sidecar.clock.advance(1_000_000)
        again = await item(stream)

    assert other.entityRequestV2.instanceId == "@counter@b"
    assert again.entityRequestV2 == first.entityRequestV2
    assert again.completionToken != first.completionToken


async def test_poisoned_operations_fail_for_their_callers_and_leave_the_state(sidecar: Sidecar) -> None:
    call = pb.SendEntityMessageAction(
        entityOperationCalled=pb.EntityOperationCalledEvent(
            requestId=str(uuid4()), operation="crash", targetInstanceId=StringValue(value=COUNTER)
        )
    )

    async with work(sidecar) as stream:
        await stateful(sidecar, stream)
        await sidecar.stub.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="n"))
        turn = await item(stream)
        await sidecar.stub.CompleteOrchestratorTask(
            pb.OrchestratorResponse(
                instanceId="i",
                completionToken=turn.completionToken,
                actions=[pb.OrchestratorAction(id=1, sendEntityMessage=call)],
            )
        )
        assert operations(await item(stream)) == ["crash"]

    for _ in range(2):
        async with work(sidecar) as stream:
            assert operations(await item(stream)) == ["crash"]

    async with work(sidecar) as stream:
        told = (await item(stream)).orchestratorRequest.newEvents[1]

    assert told.entityOperationFailed.failureDetails.errorType == "PoisonedWorkItem"
    assert (await metadata(sidecar)).entity.serializedState.value == "1"


async def test_pages_of_entities_follow_their_ids_and_end_without_a_token(sidecar: Sidecar) -> None:
    ids = [f"@counter@{number}" for number in range(5)]

    for entity in (*ids, "@other@x"):
        await sidecar.stub.SignalEntity(signal(entity=entity))

    found: list[str] = []
    token = None

    while True:
        query = pb.EntityQuery(
            instanceIdStartsWith=StringValue(value="Counter"),
            includeTransient=True,
            pageSize=Int32Value(value=2),
            continuationToken=token,
        )
        page = await sidecar.stub.QueryEntities(pb.QueryEntitiesRequest(query=query))
        assert len(page.entities) <= 2
        found += [entity.instanceId for entity in page.entities]

        if not page.HasField("continuationToken"):
            break

        token = page.continuationToken

    assert found == ids


async def test_a_query_leaves_out_entities_without_a_state_unless_they_are_asked_for(sidecar: Sidecar) -> None:
    async with work(sidecar) as stream:
        await stateful(sidecar, stream)

    await sidecar.stub.SignalEntity(signal(entity="@counter@waiting"))
    without = await sidecar.stub.QueryEntities(pb.QueryEntitiesRequest(query=pb.EntityQuery(includeState=True)))
    everything = await sidecar.stub.QueryEntities(pb.QueryEntitiesRequest(query=pb.EntityQuery(includeTransient=True)))

    assert [(each.instanceId, each.serializedState.value) for each in without.entities] == [(COUNTER, "1")]
    assert [each.instanceId for each in everything.entities] == [COUNTER, "@counter@waiting"]


async def test_a_query_by_the_time_of_change_includes_its_start_and_excludes_its_end(sidecar: Sidecar) -> None:
    async with work(sidecar) as stream:
        await stateful(sidecar, stream)

    changed = (await metadata(sidecar)).entity.lastModifiedTime
    later = Timestamp(seconds=changed.seconds + 1, nanos=changed.nanos)
    since = await sidecar.stub.QueryEntities(pb.QueryEntitiesRequest(query=pb.EntityQuery(lastModifiedFrom=changed)))
    before = await sidecar.stub.QueryEntities(pb.QueryEntitiesRequest(query=pb.EntityQuery(lastModifiedTo=changed)))
    after = await sidecar.stub.QueryEntities(pb.QueryEntitiesRequest(query=pb.EntityQuery(lastModifiedFrom=later)))

    assert [len(page.entities) for page in (since, before, after)] == [1, 0, 0]


async def test_a_page_token_that_is_none_names_the_field(sidecar: Sidecar) -> None:
    query = pb.EntityQuery(continuationToken=StringValue(value="\u00e9"))
    error = await refused(sidecar.stub.QueryEntities(pb.QueryEntitiesRequest(query=query)))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(error.details()).startswith("query.continuationToken:")


async def test_cleaning_up_removes_what_is_empty_and_nothing_else(sidecar: Sidecar) -> None:
    async with work(sidecar) as stream:
        await stateful(sidecar, stream, COUNTER)
        await stateful(sidecar, stream, "@counter@gone")
        await sidecar.stub.SignalEntity(signal("delete", "@counter@gone"))
        await sidecar.stub.CompleteEntityTask(done(await item(stream), None, [None]))

    due = datetime.fromtimestamp(sidecar.clock.now() / 1_000_000, UTC) + timedelta(days=1)
    await sidecar.stub.SignalEntity(signal(entity="@counter@later", at=due))
    asked = pb.CleanEntityStorageRequest(removeEmptyEntities=True)
    first, second = await sidecar.stub.CleanEntityStorage(asked), await sidecar.stub.CleanEntityStorage(asked)

    assert (first.emptyEntitiesRemoved, first.HasField("continuationToken")) == (1, False)
    assert second.emptyEntitiesRemoved == 0
    assert (await metadata(sidecar)).exists

    async with work(sidecar) as stream:
        sidecar.clock.advance(86_400_000_000)
        assert (await item(stream)).entityRequestV2.instanceId == "@counter@later"


async def test_cleaning_up_releases_the_locks_of_those_who_are_gone(sidecar: Sidecar) -> None:
    lock = EntityLock(instance_id="gone", execution_id="e", section_id="s")
    asked = pb.CleanEntityStorageRequest(releaseOrphanedLocks=True)

    async with work(sidecar) as stream:
        # The second entity is busy, so that the request waits there, and the first one stays locked.
        await sidecar.stub.SignalEntity(signal(entity="@counter@b"))
        await item(stream)
        await sidecar.hub.entities.send(locks.request(DEFAULT_HUB, lock, (COUNTER, "@counter@b"), sidecar.clock.now()))

        while not (held := await metadata(sidecar)).entity.HasField("lockedBy"):
            pass

        await sidecar.stub.SignalEntity(signal("free"))
        first = await sidecar.stub.CleanEntityStorage(asked)
        batch = await item(stream)
        second = await sidecar.stub.CleanEntityStorage(asked)

    assert held.entity.lockedBy.value == "gone"
    assert (first.orphanedLocksReleased, second.orphanedLocksReleased) == (1, 0)
    assert operations(batch) == ["free"]


async def test_entities_are_no_orchestrations(sidecar: Sidecar) -> None:
    async with work(sidecar) as stream:
        await stateful(sidecar, stream)

    found = await sidecar.stub.QueryInstances(pb.QueryInstancesRequest(query=pb.InstanceQuery()))
    looked = await sidecar.stub.GetInstance(pb.GetInstanceRequest(instanceId=COUNTER))
    start = await refused(sidecar.stub.StartInstance(pb.CreateInstanceRequest(instanceId=COUNTER, name="n")))
    raised = await refused(sidecar.stub.RaiseEvent(pb.RaiseEventRequest(instanceId=COUNTER, name="e")))

    assert len(found.orchestrationState) == 0
    assert not looked.exists
    assert start.code() is raised.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_purge_that_is_not_of_orchestrations_only_deletes_an_entity(sidecar: Sidecar) -> None:
    async with work(sidecar) as stream:
        await stateful(sidecar, stream)

    spared = await sidecar.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId=COUNTER, isOrchestration=True))
    purged = await sidecar.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="@Counter@a"))

    assert (spared.deletedInstanceCount, purged.deletedInstanceCount) == (0, 1)
    assert not (await metadata(sidecar)).exists
