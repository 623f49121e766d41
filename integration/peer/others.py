"""The SDK's other faces: its asynchronous client, and the scheduled tasks it builds on entities."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import asyncio
from datetime import timedelta

from control import patient
from durabletask.client import AsyncTaskHubGrpcClient, OrchestrationQuery, OrchestrationStatus
from durabletask.entities import EntityInstanceId
from durabletask.scheduled import ScheduleCreationOptions, ScheduledTaskClient
from durabletask.worker import TaskHubGrpcWorker
from entities import Counter, journal, operating, state_of
from runs import PATIENCE, equal, fresh, until
from workers import connected, log, serving


async def _asynchronously(address: str) -> None:
    client = AsyncTaskHubGrpcClient(host_address=address, logger=log)
    prefix = fresh("async")
    ids = [f"{prefix}-{number}" for number in range(5)]

    try:
        await asyncio.gather(*(client.schedule_new_orchestration(patient, instance_id=one) for one in ids))
        await asyncio.gather(*(client.wait_for_orchestration_start(one, timeout=PATIENCE) for one in ids))
        waits = [asyncio.create_task(client.wait_for_orchestration_completion(one, timeout=PATIENCE)) for one in ids]

        for number, one in enumerate(ids):
            await client.raise_orchestration_event(one, "answer", data=number)

        states = await asyncio.gather(*waits)
        equal([state.get_output() for state in states], list(range(5)))

        found = await client.get_all_orchestration_states(
            OrchestrationQuery(instance_id_prefix=prefix, runtime_status=[OrchestrationStatus.COMPLETED])
        )
        equal(sorted(state.instance_id for state in found), ids)
        equal(len(await client.get_orchestration_history(ids[0])), 5)
        equal((await client.purge_orchestration(ids[0])).deleted_instance_count, 1)
        equal(await client.get_orchestration_state(ids[0]), None)
        await client.signal_entity(EntityInstanceId("journal", prefix), "append", "async")
    finally:
        await client.close()


def scenario_asynchronous_client(address: str) -> None:
    with serving(address, orchestrators=[patient], entities=[journal]):
        asyncio.run(_asynchronously(address))


def scenario_scheduled_tasks(address: str) -> None:
    entity = EntityInstanceId("Counter", fresh("scheduled"))

    with (
        connected(address) as client,
        TaskHubGrpcWorker(host_address=address, logger=log) as worker,
    ):
        worker.configure_scheduled_tasks()
        worker.add_orchestrator(operating)
        worker.add_entity(Counter)
        worker.start()

        schedules = ScheduledTaskClient(client, operation_timeout=PATIENCE)
        options = ScheduleCreationOptions(
            schedule_id=fresh("every-second"),
            orchestration_name="operating",
            interval=timedelta(seconds=1),
            orchestration_input=[["Counter", entity.key, "add", 1]],
        )
        schedule = schedules.create_schedule(options)
        until(lambda: (state_of(client, entity) or 0) >= 3, "it ran three times")
        equal([found.schedule_id for found in schedules.list_schedules()], [options.schedule_id])

        schedule.pause()
        equal(str(schedule.describe().status.name).upper(), "PAUSED")
        schedule.delete()
        equal(schedules.get_schedule(options.schedule_id), None)
