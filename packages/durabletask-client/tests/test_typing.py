"""What a type checker makes of the public signatures: checked by mypy, where an ignore that is not needed is an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from typing import Any, assert_type

import durabletask_client
from durabletask_client import (
    AsyncTaskHubGrpcClient,
    DataConverter,
    EntityInstanceId,
    EntityMetadata,
    HistoryEvent,
    JsonDataConverter,
    OrchestrationState,
    TaskHubGrpcClient,
)


@dataclass
class Order:
    number: int


class Context: ...


async def flow(_: Context, order: Order) -> str:
    return str(order.number)


def generator(_: Context, number: int) -> Generator[Any, Any, int]:
    yield number
    return number


def plain(_: Context) -> None: ...


def text(_: Context) -> str:
    return ""


class Counter:
    def add(self, amount: int) -> int:
        return amount

    def reset(self) -> None: ...


COUNTER = EntityInstanceId("counter", "a")


def typed(client: TaskHubGrpcClient, state: OrchestrationState) -> None:
    assert_type(client.schedule_new_orchestration(flow, input=Order(1)), str)
    client.schedule_new_orchestration(generator, input=1)
    client.schedule_new_orchestration(plain)
    client.schedule_new_orchestration("flow", input={"anything": 1})
    client.schedule_new_orchestration(flow, input=1)  # type: ignore[arg-type]
    client.schedule_new_orchestration(generator, input="1")  # type: ignore[arg-type]

    assert_type(client.wait_for_orchestration_completion("i"), OrchestrationState | None)
    assert_type(state.get_output(Order), Order | None)
    assert_type(state.get_output(list[Order]), list[Order] | None)
    assert_type(state.get_output(), Any)


def typed_runs(client: TaskHubGrpcClient) -> None:
    assert_type(client.run_orchestration(flow, input=Order(1)), str)
    assert_type(client.run_orchestration(generator, input=1, timeout=5, tags={"a": "b"}), int)
    assert_type(client.run_orchestration(text), str)
    assert_type(client.run_orchestration("flow", input=1, return_type=Order), Order)
    assert_type(client.run_orchestration("flow"), Any)
    client.run_orchestration(flow, input=1)  # type: ignore[arg-type]
    client.run_orchestration(flow)  # type: ignore[arg-type]
    client.run_orchestration(text, input=1)  # type: ignore[arg-type]
    client.run_orchestration(text, tmieout=1)  # type: ignore[call-overload]


def typed_entities(client: TaskHubGrpcClient, entity: EntityMetadata) -> None:
    client.signal_entity(COUNTER, Counter.add, input=1)
    client.signal_entity(COUNTER, Counter.add, 1)
    client.signal_entity(COUNTER, Counter.reset)
    client.signal_entity(COUNTER, "add", input="anything")
    client.signal_entity(COUNTER, Counter.add, input="1")  # type: ignore[arg-type]
    client.signal_entity("@counter@a", "add")  # type: ignore[arg-type]

    assert_type(client.get_entity(COUNTER), EntityMetadata | None)
    assert_type(entity.get_state(Order), Order | None)
    assert_type(entity.get_state(), Any)


def typed_iterators(client: TaskHubGrpcClient, other: AsyncTaskHubGrpcClient) -> None:
    assert_type(client.iter_orchestrations(), Iterator[OrchestrationState])
    assert_type(client.iter_entities(), Iterator[EntityMetadata])
    assert_type(client.stream_orchestration_history("i"), Iterator[HistoryEvent])
    assert_type(other.iter_instance_ids(), AsyncIterator[str])
    assert_type(client.with_options(timeout=1), TaskHubGrpcClient)
    assert_type(TaskHubGrpcClient.from_connection_string("Endpoint=hub"), TaskHubGrpcClient)


async def typed_async(client: AsyncTaskHubGrpcClient) -> None:
    assert_type(await client.schedule_new_orchestration(flow, input=Order(1)), str)
    await client.schedule_new_orchestration(flow, input=1)  # type: ignore[arg-type]
    assert_type(await client.get_orchestration_state("i"), OrchestrationState | None)
    assert_type(await client.run_orchestration(flow, input=Order(1)), str)
    assert_type(await client.run_orchestration(generator, input=1), int)
    assert_type(await client.run_orchestration(text), str)
    await client.run_orchestration(flow, input=1)  # type: ignore[arg-type]
    await client.signal_entity(COUNTER, Counter.add, input="1")  # type: ignore[arg-type]


def test_the_json_converter_is_a_converter() -> None:
    converter: DataConverter = JsonDataConverter()

    assert converter.deserialize(converter.serialize(Order(1)), Order) == Order(1)


def test_everything_that_is_exported_exists() -> None:
    assert all(hasattr(durabletask_client, name) for name in durabletask_client.__all__)
    assert len(set(durabletask_client.__all__)) == len(durabletask_client.__all__)
