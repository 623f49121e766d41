"""What clients ask of entities, and what they make of the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
import pytest
from durabletask_client import (
    CleanEntityStorageResult,
    EntityInstanceId,
    EntityMetadata,
    EntityQuery,
    InvalidRequestError,
    ServerUnavailableError,
)
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import timestamp_pb2, wrappers_pb2

from .clients import Face
from .endpoint import Endpoint

COUNTER = EntityInstanceId("Counter", "main@office")
MOMENT = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


class Counter:
    def add(self, amount: int) -> None: ...

    def reset(self) -> None: ...


Counter.reset.__durabletask_name__ = "clear"  # type: ignore[attr-defined]


@dataclass
class Total:
    value: int


def stamp(moment: datetime) -> timestamp_pb2.Timestamp:
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromDatetime(moment)

    return timestamp


def known(**fields: Any) -> pb.EntityMetadata:
    return pb.EntityMetadata(instanceId=str(COUNTER), lastModifiedTime=stamp(MOMENT), **fields)


@pytest.mark.parametrize(("name", "key"), [("counter", "a"), ("c", ""), ("counter", "a@b c")])
def test_ids_are_written_as_the_protocol_does(name: str, key: str) -> None:
    assert str(EntityInstanceId(name.upper(), key)) == f"@{name}@{key}"
    assert EntityInstanceId.parse(f"@{name.upper()}@{key}") == EntityInstanceId(name, key)


@pytest.mark.parametrize("text", ["", "counter", "@counter", "counter@a", "@@a", "x@counter@a"])
def test_what_is_no_entitys_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^text: "):
        EntityInstanceId.parse(text)


@pytest.mark.parametrize("name", ["", "a@b"])
def test_what_is_no_entitys_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^entity: "):
        EntityInstanceId(name, "k")


@pytest.mark.parametrize(
    ("operation", "name"), [("add", "add"), (Counter.add, "add"), (Counter().add, "add"), (Counter.reset, "clear")]
)
async def test_a_signal_names_its_operation(
    endpoint: Endpoint, face: Callable[..., Face], operation: object, name: str
) -> None:
    endpoint.answers["SignalEntity"] = [pb.SignalEntityResponse(), pb.SignalEntityResponse()]
    client = face(host_address=endpoint.address)
    await client("signal_entity", COUNTER, operation)
    await client("signal_entity", COUNTER, operation, input=[1], scheduled_time=MOMENT.replace(tzinfo=None))
    bare, full = (pb.SignalEntityRequest.FromString(request) for request in endpoint.sent("SignalEntity"))

    assert (bare.instanceId, bare.name, full.input.value) == ("@counter@main@office", name, "[1]")
    assert (bare.HasField("input"), bare.HasField("scheduledTime")) == (False, False)
    assert full.scheduledTime.ToDatetime(tzinfo=UTC) == MOMENT
    assert len({bare.requestId, full.requestId}) == 2
    assert all(str(UUID(each.requestId)) == each.requestId for each in (bare, full))
    await client.close()


async def test_a_signal_is_not_repeated(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["SignalEntity"] = [grpc.StatusCode.UNAVAILABLE, pb.SignalEntityResponse()]
    client = face(host_address=endpoint.address)

    with pytest.raises(ServerUnavailableError, match="SignalEntity of entity '@counter@main@office'"):
        await client("signal_entity", COUNTER, "add", 1)

    await client.close()


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        (("@counter@a", "add"), "entity_id"),
        ((COUNTER, ""), "operation_name"),
        ((COUNTER, lambda self: None), "operation_name"),
        ((COUNTER, "add", object()), "input"),
    ],
)
async def test_a_signal_that_no_server_takes_names_the_argument(
    face: Callable[..., Face], arguments: tuple[object, ...], argument: str
) -> None:
    client = face(host_address="localhost:1")

    with pytest.raises(InvalidRequestError, match=f"^{argument}: "):
        await client("signal_entity", *arguments)

    await client.close()


async def test_an_entity_is_what_the_server_says(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    full = known(
        backlogQueueSize=3,
        lockedBy=wrappers_pb2.StringValue(value="owner"),
        serializedState=wrappers_pb2.StringValue(value='{"value": 5}'),
    )
    endpoint.answers["GetEntity"] = [
        pb.GetEntityResponse(exists=True, entity=full),
        grpc.StatusCode.UNAVAILABLE,
        pb.GetEntityResponse(exists=True, entity=known()),
        pb.GetEntityResponse(exists=False),
    ]
    client = face(host_address=endpoint.address)

    found = await client("get_entity", COUNTER)
    assert found == EntityMetadata(
        id=COUNTER, last_modified=MOMENT, backlog_queue_size=3, locked_by="owner", serialized_state='{"value": 5}'
    )
    assert (found.get_state(Total), found.get_state()) == (Total(5), {"value": 5})

    bare = await client("get_entity", COUNTER, include_state=False)
    assert bare == EntityMetadata(id=COUNTER, last_modified=MOMENT)
    assert bare.get_state(Total) is None
    assert await client("get_entity", COUNTER) is None

    asked = [pb.GetEntityRequest.FromString(request) for request in endpoint.sent("GetEntity")]
    assert [each.includeState for each in asked] == [True, False, False, True]
    await client.close()


async def test_a_query_carries_its_conditions(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["QueryEntities"] = [pb.QueryEntitiesResponse(), pb.QueryEntitiesResponse()]
    client = face(host_address=endpoint.address)
    query = EntityQuery(
        instance_id_starts_with="@counter@",
        last_modified_from=MOMENT,
        last_modified_to=MOMENT.replace(tzinfo=None),
        include_state=False,
        include_transient=True,
        page_size=7,
    )
    assert await client("get_all_entities", query) == []
    assert await client("get_all_entities") == []

    full, bare = (pb.QueryEntitiesRequest.FromString(request).query for request in endpoint.sent("QueryEntities"))
    assert full == pb.EntityQuery(
        instanceIdStartsWith=wrappers_pb2.StringValue(value="@counter@"),
        lastModifiedFrom=stamp(MOMENT),
        lastModifiedTo=stamp(MOMENT),
        includeTransient=True,
        pageSize=wrappers_pb2.Int32Value(value=7),
    )
    assert bare == pb.EntityQuery(includeState=True)
    await client.close()


async def test_cleaning_goes_on_until_all_is_done(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["CleanEntityStorage"] = [
        pb.CleanEntityStorageResponse(emptyEntitiesRemoved=2, continuationToken=wrappers_pb2.StringValue(value="here")),
        pb.CleanEntityStorageResponse(emptyEntitiesRemoved=1, orphanedLocksReleased=4),
    ]
    client = face(host_address=endpoint.address)

    assert await client("clean_entity_storage", release_orphaned_locks=False) == CleanEntityStorageResult(
        empty_entities_removed=3, orphaned_locks_released=4
    )
    asked = [pb.CleanEntityStorageRequest.FromString(each) for each in endpoint.sent("CleanEntityStorage")]
    assert [each.continuationToken.value for each in asked] == ["", "here"]
    assert {(each.removeEmptyEntities, each.releaseOrphanedLocks) for each in asked} == {(True, False)}
    await client.close()
