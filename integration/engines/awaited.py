"""The same engine by the asynchronous client, and the worker on the caller's event loop."""

from __future__ import annotations

import asyncio

from durabletask_client import AsyncTaskHubGrpcClient, OrchestrationStatus

from integration.engines.control import waiting
from integration.engines.events import listening
from integration.engines.flows import in_sequence
from integration.engines.hub import Hub


async def scenario_async_client_starts_and_waits(hub: Hub) -> None:
    async with AsyncTaskHubGrpcClient(host_address=hub.address) as client:
        ids = await asyncio.gather(
            *(client.schedule_new_orchestration(in_sequence, input=number) for number in range(5))
        )
        waits = (client.wait_for_orchestration_completion(instance_id, timeout=hub.patience) for instance_id in ids)
        outputs = [state.get_output() for state in await asyncio.gather(*waits) if state is not None]

    assert outputs == [8 * number for number in range(5)]


async def scenario_async_client_raises_events(hub: Hub) -> None:
    async with AsyncTaskHubGrpcClient(host_address=hub.address) as client:
        instance_id = await client.schedule_new_orchestration(listening, input=2)
        await client.wait_for_orchestration_start(instance_id, timeout=hub.patience)
        await client.raise_orchestration_event(instance_id, "news", data=1)
        await client.raise_orchestration_event(instance_id, "news", data=2)
        state = await client.wait_for_orchestration_completion(instance_id, timeout=hub.patience)

    assert state is not None
    assert state.get_output() == [1, 2]


async def scenario_async_client_terminates_and_purges(hub: Hub) -> None:
    async with AsyncTaskHubGrpcClient(host_address=hub.address) as client:
        instance_id = await client.schedule_new_orchestration(waiting)
        await client.wait_for_orchestration_start(instance_id, timeout=hub.patience)
        await client.terminate_orchestration(instance_id)
        state = await client.wait_for_orchestration_completion(instance_id, timeout=hub.patience)
        assert state is not None
        assert state.runtime_status is OrchestrationStatus.TERMINATED
        purged = await client.purge_orchestration(instance_id)
        assert purged.deleted_instance_count == 1
        assert await client.get_orchestration_state(instance_id) is None
