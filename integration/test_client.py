"""Our client, both faces of it, on our server: what `durabletask-client` says of a hub, without any worker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from durabletask_client import (
    AsyncTaskHubGrpcClient,
    CleanEntityStorageResult,
    EntityInstanceId,
    EntityQuery,
    OrchestrationNotFoundError,
    OrchestrationQuery,
    OrchestrationStatus,
    OrchestrationTerminatedError,
    TaskHubGrpcClient,
)

from integration.processes import Server

COUNTER = EntityInstanceId("Counter", "a")


class Both:
    """A client whose methods are awaited, whichever kind it is."""

    def __init__(self, client: TaskHubGrpcClient | AsyncTaskHubGrpcClient) -> None:
        self.client = client

    async def __call__(self, method: str, *arguments: object, **keywords: object) -> Any:
        function = getattr(self.client, method)

        if isinstance(self.client, TaskHubGrpcClient):
            return await asyncio.to_thread(function, *arguments, **keywords)

        return await function(*arguments, **keywords)

    async def all(self, method: str, *arguments: object, **keywords: object) -> list[Any]:
        """What an iterator gives."""
        items = getattr(self.client, method)(*arguments, **keywords)

        if isinstance(self.client, TaskHubGrpcClient):
            return await asyncio.to_thread(list, items)

        return [item async for item in items]


@pytest.fixture(params=[TaskHubGrpcClient, AsyncTaskHubGrpcClient])
async def client(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Both]:
    maker: Callable[..., TaskHubGrpcClient | AsyncTaskHubGrpcClient] = request.param
    made = maker(host_address=server.address, timeout=10)
    yield Both(made)

    if isinstance(made, TaskHubGrpcClient):
        made.close()
    else:
        await made.close()


async def test_entities(client: Both) -> None:
    later = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    await client("signal_entity", COUNTER, "add", 1)
    await client("signal_entity", EntityInstanceId("counter", "b"), "add", 1)
    await client("signal_entity", EntityInstanceId("other", "a"), "add", input=1, scheduled_time=later)

    found = await client("get_entity", COUNTER)
    assert (found.id, found.backlog_queue_size, found.locked_by, found.get_state()) == (COUNTER, 1, None, None)
    assert abs(found.last_modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert await client("get_entity", EntityInstanceId("counter", "c")) is None

    assert await client("get_all_entities") == [], "none has a state"
    query = EntityQuery(instance_id_starts_with="@COUNTER@", include_transient=True, page_size=1)
    assert [each.id.key for each in await client.all("iter_entities", query)] == ["a", "b"]
    assert await client("clean_entity_storage") == CleanEntityStorageResult()


async def test_many_orchestrations_by_pages(client: Both) -> None:
    ids = [f"i-{number}" for number in range(5)]

    for instance_id in ids:
        await client("schedule_new_orchestration", "flow", input=1, instance_id=instance_id)

    query = OrchestrationQuery(max_instance_count=2, fetch_inputs_and_outputs=True)
    states = await client.all("iter_orchestrations", query)
    assert [state.instance_id for state in states] == ids
    assert {(state.runtime_status, state.get_input(int)) for state in states} == {(OrchestrationStatus.PENDING, 1)}

    left = await client("skip_graceful_orchestration_terminations", [*ids[:3], "unknown"], reason="enough")
    assert left == ["unknown"]
    assert sorted(await client.all("iter_instance_ids", page_size=2)) == ids[:3]
    assert await client.all("iter_instance_ids", completed_time_from=datetime(2100, 1, 1)) == []

    kinds = [event.kind for event in await client.all("stream_orchestration_history", ids[0])]
    assert kinds[-1:] == ["ExecutionCompleted"]
    assert kinds == [event.kind for event in await client("get_orchestration_history", ids[0])]

    with pytest.raises(OrchestrationNotFoundError):
        await client.all("stream_orchestration_history", "unknown")


async def test_a_run_that_is_terminated_over_a_restart_of_the_server(client: Both, server: Server) -> None:
    run = asyncio.create_task(client("run_orchestration", "flow", instance_id="i", timeout=60))

    # Without a worker there is no other sign of it.
    while await client("get_orchestration_state", "i") is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)

    await asyncio.to_thread(server.restart)
    await client("ping")
    await client("terminate_orchestration", "i")

    with pytest.raises(OrchestrationTerminatedError, match="ended as TERMINATED"):
        await run


async def test_a_hub_of_its_own(client: Both, server: Server) -> None:
    mine = Both(type(client.client)(host_address=server.address, taskhub="mine"))
    await mine("create_task_hub")
    await mine("schedule_new_orchestration", "flow", instance_id="i")
    assert await client("get_orchestration_state", "i") is None
    await mine("create_task_hub")
    assert await mine("get_orchestration_state", "i") is not None
    await mine("create_task_hub", recreate_if_exists=True)
    assert await mine("get_orchestration_state", "i") is None
    await mine("delete_task_hub")
    closing = mine.client.close()

    if closing is not None:
        await closing
