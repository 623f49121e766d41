"""What a type checker makes of the public signatures: checked by mypy, where an ignore that is not needed is an error."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, assert_type

import durabletask_client
from durabletask_client import (
    AsyncTaskHubGrpcClient,
    DataConverter,
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


async def typed_async(client: AsyncTaskHubGrpcClient) -> None:
    assert_type(await client.schedule_new_orchestration(flow, input=Order(1)), str)
    await client.schedule_new_orchestration(flow, input=1)  # type: ignore[arg-type]
    assert_type(await client.get_orchestration_state("i"), OrchestrationState | None)


def test_the_json_converter_is_a_converter() -> None:
    converter: DataConverter = JsonDataConverter()

    assert converter.deserialize(converter.serialize(Order(1)), Order) == Order(1)


def test_everything_that_is_exported_exists() -> None:
    assert all(hasattr(durabletask_client, name) for name in durabletask_client.__all__)
    assert len(set(durabletask_client.__all__)) == len(durabletask_client.__all__)
