"""Queries through the wire: every filter, pages and their tokens, also across a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from durabletask_backend.contract import Backend
from durabletask_backend.memory import MemoryBackend
from durabletask_backend.testing import OneByOneBackend
from durabletask_backend.values import Cursor, QueryOrder
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine import lifecycle
from durabletask_server.service.records import page_token
from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker
from durabletask_server.testing import ManualClock, serving
from durabletask_sqlite import SqliteBackend
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

if TYPE_CHECKING:
    from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceAsyncStub

_FIRST = ManualClock().now()
_SECOND = 1_000_000
_RUNNING, _PENDING = pb.ORCHESTRATION_STATUS_RUNNING, pb.ORCHESTRATION_STATUS_PENDING
_COMPLETED, _FAILED = pb.ORCHESTRATION_STATUS_COMPLETED, pb.ORCHESTRATION_STATUS_FAILED
_TERMINATED, _SUSPENDED = pb.ORCHESTRATION_STATUS_TERMINATED, pb.ORCHESTRATION_STATUS_SUSPENDED
_CONTINUED = pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW

_INSTANCES: dict[str, pb.OrchestrationStatus.ValueType] = {
    "b/1": _COMPLETED,
    "a/2": _FAILED,
    "B/3": _TERMINATED,
    "a/4": _COMPLETED,
    "b/5": _RUNNING,
    "a/6": _COMPLETED,
    "a/7": _PENDING,
}
"""By id, how far they come. They are created second by second; those that end do so from the tenth second on, in reverse."""


@dataclass(frozen=True)
class Server:
    hub: TaskHubWorker
    clock: ManualClock
    stub: TaskHubSidecarServiceAsyncStub


@asynccontextmanager
async def served(backend: Backend, clock: ManualClock | None = None) -> AsyncIterator[Server]:
    clock = clock or ManualClock()

    async with serving(backend, clock=clock) as found:
        yield Server(found.hub, clock, found.stub)


async def start(server: Server, instance_id: str, **more: object) -> None:
    request = pb.CreateInstanceRequest(instanceId=instance_id, name="orchestrator", **more)  # type: ignore[arg-type]
    await server.stub.StartInstance(request)
    server.clock.advance(_SECOND)


async def terminate(server: Server, instance_id: str) -> None:
    await server.stub.TerminateInstance(pb.TerminateRequest(instanceId=instance_id))
    await server.stub.WaitForInstanceCompletion(pb.GetInstanceRequest(instanceId=instance_id))


async def fill(server: Server) -> None:
    """Make the instances what they are to be."""
    for instance_id in _INSTANCES:
        await start(
            server,
            instance_id,
            input=StringValue(value='"in"'),
            version=StringValue(value="1.5"),
            tags={"team": "blue", "id": instance_id},
        )

    stream = server.stub.GetWorkItems(pb.GetWorkItemsRequest())
    items: dict[str, pb.WorkItem] = {}

    async for item in stream:
        if item.HasField("orchestratorRequest"):
            items[item.orchestratorRequest.instanceId] = item

        if len(items) == len(_INSTANCES):
            break

    server.clock.advance(_FIRST + 10 * _SECOND - server.clock.now())

    for instance_id, status in reversed(_INSTANCES.items()):
        if status == _PENDING:
            continue

        if status == _TERMINATED:
            await terminate(server, instance_id)
        else:
            await server.stub.CompleteOrchestratorTask(answer(items[instance_id], status))

        server.clock.advance(_SECOND)

    stream.cancel()


def answer(item: pb.WorkItem, status: pb.OrchestrationStatus.ValueType) -> pb.OrchestratorResponse:
    end = pb.CompleteOrchestrationAction(orchestrationStatus=status, result=StringValue(value='"out"'))

    if status == _FAILED:
        end.failureDetails.CopyFrom(pb.TaskFailureDetails(errorType="Error", errorMessage="no"))

    return pb.OrchestratorResponse(
        instanceId=item.orchestratorRequest.instanceId,
        completionToken=item.completionToken,
        customStatus=StringValue(value='"custom"'),
        actions=[] if status == _RUNNING else [pb.OrchestratorAction(id=1, completeOrchestration=end)],
    )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with served(SqliteBackend(tmp_path / "hub.sqlite3", synchronous="OFF")) as server:
        await fill(server)
        yield server


def second(number: int) -> Timestamp:
    """Since the first instance was created."""
    stamp = Timestamp()
    stamp.FromDatetime(datetime.fromtimestamp(_FIRST // _SECOND, UTC) + timedelta(seconds=number))

    return stamp


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    return caught.value.details() or ""


async def query(server: Server, token: str | None = None, **more: object) -> pb.QueryInstancesResponse:
    asked = pb.InstanceQuery(
        continuationToken=None if token is None else StringValue(value=token),
        **more,  # type: ignore[arg-type]
    )

    return await server.stub.QueryInstances(pb.QueryInstancesRequest(query=asked))


async def list_ids(server: Server, token: str | None = None, **more: object) -> pb.ListInstanceIdsResponse:
    return await server.stub.ListInstanceIds(
        pb.ListInstanceIdsRequest(
            lastInstanceKey=None if token is None else StringValue(value=token),
            **more,  # type: ignore[arg-type]
        )
    )


def ids(response: pb.QueryInstancesResponse) -> list[str]:
    return [state.instanceId for state in response.orchestrationState]


async def all_queried(server: Server, size: int, **more: object) -> list[str]:
    """As the SDKs do it: until there is no token; an empty one, `0` or one that came before would mislead some of them."""
    tokens: list[str | None] = [None]
    found: list[str] = []

    while True:
        response = await query(server, tokens[-1], maxInstanceCount=size, **more)
        found += ids(response)
        assert size == 0 or len(response.orchestrationState) <= size

        if not response.HasField("continuationToken"):
            return found

        assert response.continuationToken.value not in ("", "0", *tokens)
        tokens.append(response.continuationToken.value)


async def all_listed(server: Server, size: int, **more: object) -> list[str]:
    tokens = [""]
    found: list[str] = []

    while True:
        response = await list_ids(server, tokens[-1], pageSize=size, **more)
        found += response.instanceIds
        assert size == 0 or len(response.instanceIds) <= size

        if not response.HasField("lastInstanceKey"):
            return found

        assert response.lastInstanceKey.value not in ("", "0", *tokens)
        tokens.append(response.lastInstanceKey.value)


async def test_every_filter_of_a_query_alone_and_with_others(server: Server) -> None:
    cases: list[tuple[dict[str, object], list[str]]] = [
        ({}, list(_INSTANCES)),
        ({"runtimeStatus": [_COMPLETED]}, ["b/1", "a/4", "a/6"]),
        ({"runtimeStatus": [_PENDING, _FAILED, _RUNNING]}, ["a/2", "b/5", "a/7"]),
        ({"runtimeStatus": [_FAILED, _CONTINUED]}, ["a/2"]),
        ({"runtimeStatus": [_SUSPENDED]}, []),
        ({"runtimeStatus": [_CONTINUED]}, []),
        ({"createdTimeFrom": second(4)}, ["b/5", "a/6", "a/7"]),
        ({"createdTimeTo": second(2)}, ["b/1", "a/2"]),
        ({"createdTimeFrom": second(1), "createdTimeTo": second(3)}, ["a/2", "B/3"]),
        ({"createdTimeFrom": second(3), "createdTimeTo": second(3)}, []),
        ({"instanceIdPrefix": StringValue(value="")}, list(_INSTANCES)),
        ({"instanceIdPrefix": StringValue(value="b")}, ["b/1", "b/5"]),
        ({"instanceIdPrefix": StringValue(value="B/")}, ["B/3"]),
        ({"instanceIdPrefix": StringValue(value="%")}, []),
        ({"instanceIdPrefix": StringValue(value="a"), "runtimeStatus": [_COMPLETED, _PENDING]}, ["a/4", "a/6", "a/7"]),
        (
            {
                "instanceIdPrefix": StringValue(value="a/"),
                "runtimeStatus": [_COMPLETED, _FAILED],
                "createdTimeFrom": second(1),
                "createdTimeTo": second(5),
            },
            ["a/2", "a/4"],
        ),
        ({"runtimeStatus": [_COMPLETED], "createdTimeFrom": second(3), "createdTimeTo": second(5)}, ["a/4"]),
    ]

    for asked, expected in cases:
        for size in (0, 1, 2):
            assert await all_queried(server, size, **asked) == expected, f"{asked}, {size} a page"


async def test_every_filter_of_a_list_of_ids_alone_and_with_others(server: Server) -> None:
    ended = ["a/6", "a/4", "B/3", "a/2", "b/1"]
    cases: list[tuple[dict[str, object], list[str]]] = [
        ({}, ended),
        ({"runtimeStatus": [_COMPLETED]}, ["a/6", "a/4", "b/1"]),
        ({"runtimeStatus": [_FAILED, _TERMINATED, _RUNNING]}, ["B/3", "a/2"]),
        ({"runtimeStatus": [_RUNNING, _PENDING]}, []),
        ({"runtimeStatus": [_CONTINUED]}, []),
        # The second at 11 is a running one's turn.
        ({"completedTimeFrom": second(13)}, ended[2:]),
        ({"completedTimeTo": second(13)}, ended[:2]),
        ({"completedTimeFrom": second(12), "completedTimeTo": second(14)}, ["a/4", "B/3"]),
        ({"completedTimeFrom": second(12), "completedTimeTo": second(15), "runtimeStatus": [_COMPLETED]}, ["a/4"]),
        ({"completedTimeTo": second(10)}, []),
    ]

    for asked, expected in cases:
        for size in (0, 1, 2):
            assert await all_listed(server, size, **asked) == expected, f"{asked}, {size} a page"


@pytest.mark.parametrize("prefix", ["", "a/2"])
@pytest.mark.parametrize("payloads", [False, True])
async def test_a_row_has_all_but_the_payloads_unless_asked_for(server: Server, payloads: bool, prefix: str) -> None:
    response = await query(
        server,
        runtimeStatus=[_FAILED],
        fetchInputsAndOutputs=payloads,
        instanceIdPrefix=StringValue(value=prefix),
    )
    (state,) = response.orchestrationState

    assert (state.name, state.version.value, dict(state.tags)) == ("orchestrator", "1.5", {"team": "blue", "id": "a/2"})
    assert (state.customStatus.value, state.failureDetails.errorMessage) == ('"custom"', "no")
    assert (state.createdTimestamp, state.completedTimestamp) == (second(1), second(14))
    assert (state.input.value, state.output.value) == (('"in"', '"out"') if payloads else ("", ""))
    assert state.HasField("input") == state.HasField("output") == payloads


async def test_purging_those_that_continued_as_new_purges_none(server: Server) -> None:
    where = pb.PurgeInstanceFilter(runtimeStatus=[_CONTINUED])
    response = await server.stub.PurgeInstances(pb.PurgeInstancesRequest(purgeInstanceFilter=where))

    assert (response.deletedInstanceCount, response.isComplete.value) == (0, True)
    assert await all_queried(server, 0) == list(_INSTANCES)


async def test_tokens_hold_while_others_write_and_when_the_server_is_another(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    clock = ManualClock()

    async with served(SqliteBackend(path), clock) as server:
        await fill(server)
        by_time = await query(server, maxInstanceCount=2)
        by_id = await query(server, maxInstanceCount=2, instanceIdPrefix=StringValue(value="a/"))
        by_end = await list_ids(server, pageSize=2)
        await start(server, "a/5-new")
        await server.stub.PurgeInstances(pb.PurgeInstancesRequest(instanceId="a/4"))

    async with served(SqliteBackend(path), clock) as server:
        await terminate(server, "a/7")
        await start(server, "a/0-new")
        rest_by_time = await query(server, by_time.continuationToken.value)
        rest_by_id = await query(server, by_id.continuationToken.value, instanceIdPrefix=StringValue(value="a/"))
        rest_by_end = await list_ids(server, by_end.lastInstanceKey.value)

    assert (ids(by_time), ids(rest_by_time)) == (["b/1", "a/2"], ["B/3", "b/5", "a/6", "a/7", "a/5-new", "a/0-new"])
    assert (ids(by_id), ids(rest_by_id)) == (["a/2", "a/4"], ["a/5-new", "a/6", "a/7"])
    assert [*by_end.instanceIds, *rest_by_end.instanceIds] == ["a/6", "a/4", "B/3", "a/2", "b/1", "a/7"]
    assert not rest_by_time.HasField("continuationToken")
    assert not rest_by_id.HasField("continuationToken")
    assert not rest_by_end.HasField("lastInstanceKey")


async def test_a_token_of_another_kind_of_query_names_the_field(server: Server) -> None:
    by_time = (await query(server, maxInstanceCount=1)).continuationToken.value
    by_id = (await query(server, maxInstanceCount=1, instanceIdPrefix=StringValue(value="a"))).continuationToken.value
    by_end = (await list_ids(server, pageSize=1)).lastInstanceKey.value
    assert "" not in (by_time, by_id, by_end)

    for call, field in (
        (query(server, by_id), "query.continuationToken"),
        (query(server, by_end), "query.continuationToken"),
        (query(server, by_time, instanceIdPrefix=StringValue(value="a")), "query.continuationToken"),
        (query(server, by_end, instanceIdPrefix=StringValue(value="a")), "query.continuationToken"),
        (list_ids(server, by_time), "lastInstanceKey"),
        (list_ids(server, by_id), "lastInstanceKey"),
    ):
        assert (await refused(call)).startswith(f"{field}: is the token of another kind of query")


@pytest.mark.parametrize(
    "token",
    [
        "0",
        "???",
        "é",
        "MDo",
        "x" * 10_000,
        page_token(Cursor(1, "a"), QueryOrder.CREATED) + "\n",
        page_token(Cursor(1, "a"), QueryOrder.CREATED).rstrip("="),
        page_token(Cursor(1 << 63, "a"), QueryOrder.CREATED),
        # "0:01:a", "0: 1:a", "0:1", "3:1:a" and what is no text.
        "MDowMTph",
        "MDogMTph",
        "MDox",
        "MzoxOmE=",
        "_w==",
    ],
)
async def test_what_is_no_token_names_the_field(token: str) -> None:
    async with served(MemoryBackend()) as server:
        assert (await refused(query(server, token))).startswith("query.continuationToken: is not a token")
        assert (await refused(list_ids(server, token))).startswith("lastInstanceKey: is not a token")


async def test_what_is_no_status_names_the_field(server: Server) -> None:
    assert (await refused(query(server, runtimeStatus=[99]))).startswith("query.runtimeStatus: 99 ")
    assert (await refused(list_ids(server, runtimeStatus=[2, 99]))).startswith("runtimeStatus: 99 ")


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (-1, 100), (150, 150), (1_000_000, 1_000)])
async def test_the_size_of_a_page_has_a_default_and_a_limit(asked: int, given: int) -> None:
    async with served(MemoryBackend()) as server:
        hub = server.hub
        requests = [pb.CreateInstanceRequest(instanceId=f"{number:04}", name="n") for number in range(1_005)]
        now = server.clock.now()
        await asyncio.gather(
            *(hub.instances.create(lifecycle.create(DEFAULT_HUB, each, now, hub.new_id)) for each in requests)
        )
        await terminate(server, "0000")
        listed = await list_ids(server, pageSize=asked)
        response = await query(server, maxInstanceCount=asked)

    assert ids(response) == [f"{number:04}" for number in range(given)]
    assert response.HasField("continuationToken")
    assert list(listed.instanceIds) == ["0000"]


async def test_a_page_has_something_in_it_as_long_as_that_is_not_too_far() -> None:
    async with served(OneByOneBackend()) as server:
        for number in range(25):
            await start(server, f"{number:02}")

        await terminate(server, "09")
        await terminate(server, "20")
        first = await query(server, runtimeStatus=[_TERMINATED])
        second = await query(server, first.continuationToken.value, runtimeStatus=[_TERMINATED])
        third = await query(server, second.continuationToken.value, runtimeStatus=[_TERMINATED])
        last = await query(server, third.continuationToken.value, runtimeStatus=[_TERMINATED])

    # Ten are looked at for each; then what is left is for the next call.
    assert list(map(ids, (first, second, third, last))) == [["09"], [], ["20"], []]
    assert third.HasField("continuationToken")
    assert not last.HasField("continuationToken")
