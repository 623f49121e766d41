"""Iterators ask for a page, or for a chunk of a history, when it is needed, and not before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import grpc
import pytest
from durabletask_client import (
    ClientClosedError,
    CodecDataConverter,
    EntityQuery,
    JsonDataConverter,
    OrchestrationNotFoundError,
    OrchestrationQuery,
    ServerUnavailableError,
    ZlibCodec,
)
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.history_json import load
from google.protobuf import wrappers_pb2
from google.protobuf.message import Message

from .clients import Face
from .endpoint import Endpoint


def text(value: str | None) -> wrappers_pb2.StringValue | None:
    return None if value is None else wrappers_pb2.StringValue(value=value)


def states(names: Sequence[str], token: str | None) -> Message:
    return pb.QueryInstancesResponse(
        orchestrationState=[pb.OrchestrationState(instanceId=name) for name in names], continuationToken=text(token)
    )


def entities(names: Sequence[str], token: str | None) -> Message:
    return pb.QueryEntitiesResponse(
        entities=[pb.EntityMetadata(instanceId=f"@counter@{name}") for name in names], continuationToken=text(token)
    )


def ids(names: Sequence[str], token: str | None) -> Message:
    return pb.ListInstanceIdsResponse(instanceIds=names, lastInstanceKey=text(token))


ITERATORS = pytest.mark.parametrize(
    ("rpc", "method", "page"),
    [
        ("QueryInstances", "iter_orchestrations", states),
        ("QueryEntities", "iter_entities", entities),
        ("ListInstanceIds", "iter_instance_ids", ids),
    ],
)


def name(item: object) -> object:
    return getattr(item, "instance_id", None) or getattr(getattr(item, "id", None), "key", item)


@ITERATORS
async def test_a_page_is_read_when_it_is_needed(
    endpoint: Endpoint, face: Callable[..., Face], rpc: str, method: str, page: Callable[..., Message]
) -> None:
    endpoint.answers[rpc] = [
        page(["a", "b"], "1"),
        grpc.StatusCode.UNAVAILABLE,
        page([], "2"),
        page(["c"], None),
    ]
    client = face(host_address=endpoint.address)
    asked_before = [(name(item), len(endpoint.received)) async for item in client.each(method)]

    assert asked_before == [("a", 1), ("b", 1), ("c", 4)]
    await client.close()


@ITERATORS
async def test_who_stops_early_asks_for_no_more(
    endpoint: Endpoint, face: Callable[..., Face], rpc: str, method: str, page: Callable[..., Message]
) -> None:
    endpoint.answers[rpc] = [page(["a", "b"], "1")]
    client = face(host_address=endpoint.address)

    async for item in client.each(method):
        assert name(item) == "a"
        break

    assert len(endpoint.received) == 1
    await client.close()


async def test_lists_are_all_pages(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers = {
        "QueryInstances": [states(["a"], "1"), grpc.StatusCode.UNAVAILABLE, states(["b"], None), states(["a"], None)],
        "QueryEntities": [entities(["a"], "1"), entities(["b"], "1")],
    }
    client = face(host_address=endpoint.address)
    query = OrchestrationQuery(instance_id_prefix="x")

    assert [each.instance_id for each in await client("get_orchestration_state_by", query)] == ["a", "b"]
    assert [each.instance_id for each in await client("get_all_orchestration_states")] == ["a"]
    assert [each.id.key for each in await client("get_all_entities", EntityQuery(page_size=1))] == ["a", "b"]

    asked = [pb.QueryEntitiesRequest.FromString(request).query for request in endpoint.sent("QueryEntities")]
    assert [(each.pageSize.value, each.continuationToken.value) for each in asked] == [(1, ""), (1, "1")]
    await client.close()


async def test_an_argument_is_refused_before_the_first_step(face: Callable[..., Face]) -> None:
    client = face(host_address="localhost:1")

    for method, keywords in (
        ("iter_orchestrations", {"query": OrchestrationQuery(max_instance_count=0)}),
        ("iter_entities", {"entity_query": EntityQuery(page_size=0)}),
        ("iter_instance_ids", {"page_size": 0}),
        ("stream_orchestration_history", {"instance_id": ""}),
    ):
        with pytest.raises(ValueError, match=r"^(max_instance_count|page_size|instance_id): "):
            await client.each(method, **keywords).__anext__()

    await client.close()


def chunks(*numbers: int) -> list[Message]:
    return [pb.HistoryChunk(events=[pb.HistoryEvent(eventId=number)]) for number in numbers]


async def test_a_history_is_read_again_from_the_start_unless_some_of_it_was_given_away(
    endpoint: Endpoint, face: Callable[..., Face]
) -> None:
    client = face(host_address=endpoint.address)
    endpoint.answers["StreamInstanceHistory"] = [
        grpc.StatusCode.UNAVAILABLE,
        [*chunks(1), grpc.StatusCode.UNAVAILABLE],
        chunks(1, 2),
    ]
    assert [event.event_id for event in await client("get_orchestration_history", "i")] == [1, 2]

    endpoint.answers["StreamInstanceHistory"] = [grpc.StatusCode.UNAVAILABLE, chunks(1, 2)]
    assert [event.event_id async for event in client.each("stream_orchestration_history", "i")] == [1, 2]

    endpoint.answers["StreamInstanceHistory"] = [[*chunks(1), grpc.StatusCode.UNAVAILABLE], chunks(1, 2)]
    history = client.each("stream_orchestration_history", "i")
    assert (await history.__anext__()).event_id == 1

    with pytest.raises(ServerUnavailableError, match="StreamInstanceHistory of orchestration 'i'"):
        await history.__anext__()

    await client.close()


async def test_a_history_is_exported_whole_with_payloads_as_they_are_stored(
    endpoint: Endpoint, face: Callable[..., Face]
) -> None:
    client = face(host_address=endpoint.address, data_converter=CodecDataConverter(JsonDataConverter(), [ZlibCodec()]))
    done = pb.HistoryEvent(eventId=-1)
    done.taskCompleted.result.value = "codecs:unknown:AAAA"
    endpoint.answers["StreamInstanceHistory"] = [
        grpc.StatusCode.UNAVAILABLE,
        [*chunks(1), pb.HistoryChunk(events=[done])],
    ]
    recorded = load(await client("export_orchestration_history", "i"))

    assert (recorded.instance_id, recorded.events) == ("i", (pb.HistoryEvent(eventId=1), done))

    with pytest.raises(ValueError, match=r"^instance_id: "):
        await client("export_orchestration_history", "")

    await client.close()


async def test_a_history_that_nobody_has_is_an_error(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["StreamInstanceHistory"] = [grpc.StatusCode.NOT_FOUND]
    client = face(host_address=endpoint.address)

    with pytest.raises(OrchestrationNotFoundError):
        await client.each("stream_orchestration_history", "i").__anext__()

    await client.close()


async def test_a_long_history_is_not_held_in_memory(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    # 64 MB: much more than what may be on its way at once.
    payload = wrappers_pb2.StringValue(value="x" * 1_000_000)
    event = pb.HistoryEvent(eventRaised=pb.EventRaisedEvent(name="e", input=payload))
    endpoint.answers["StreamInstanceHistory"] = [[pb.HistoryChunk(events=[event]) for _ in range(64)]]
    client = face(host_address=endpoint.address)
    ahead = [endpoint.streamed async for _ in client.each("stream_orchestration_history", "i")]

    assert len(ahead) == 64
    assert ahead[0] < 32, "the server was not held back"
    await client.close()


async def test_closing_ends_a_history(endpoint: Endpoint, face: Callable[..., Face]) -> None:
    endpoint.answers["StreamInstanceHistory"] = []
    client = face(host_address=endpoint.address)
    await client.close()

    with pytest.raises(ClientClosedError):
        await client.each("stream_orchestration_history", "i").__anext__()
