"""Continue-as-new on a real store: any number of generations, no more room for it, and nothing lost on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from durabletask_backend.values import InstanceKey, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import StreamOptions, WorkerStream
from durabletask_server.engine import lifecycle
from durabletask_server.instances import has_ended
from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker
from durabletask_sqlite.backend import SqliteBackend
from google.protobuf.wrappers_pb2 import StringValue

KEY = InstanceKey(DEFAULT_HUB, "eternal")
GENERATIONS = 1000


async def turn(stream: WorkerStream) -> pb.WorkItem:
    async with asyncio.timeout(10):
        sent = await stream.outgoing()
    assert sent is not None

    return pb.WorkItem.FromString(sent[0])


def completion(
    status: pb.OrchestrationStatus.ValueType, result: str, *carried: pb.HistoryEvent
) -> pb.OrchestratorAction:
    return pb.OrchestratorAction(
        id=1,
        completeOrchestration=pb.CompleteOrchestrationAction(
            orchestrationStatus=status, result=StringValue(value=result), carryoverEvents=carried
        ),
    )


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in folder.iterdir())


async def test_a_thousand_generations_take_no_more_room_than_a_few_and_lose_no_event(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    hub = TaskHubWorker(SqliteBackend(path, synchronous="OFF"))
    await hub.start()
    stream = hub.dispatcher.open(StreamOptions(hub=DEFAULT_HUB, limits={}, filters=WorkFilters()))
    start = pb.CreateInstanceRequest(instanceId=KEY.instance_id, name="eternal", input=StringValue(value="0"))
    await hub.instances.create(lifecycle.create(DEFAULT_HUB, start, hub.clock.now(), hub.new_id))
    events = 0
    executions = set()
    early = 0

    for generation in range(GENERATIONS + 1):
        item = await turn(stream)
        request = item.orchestratorRequest
        started = request.newEvents[1].executionStarted
        assert (started.input.value, len(request.pastEvents)) == (str(generation), 0)
        executions.add(started.orchestrationInstance.executionId.value)
        carried = [event for event in request.newEvents if event.HasField("eventRaised")]

        # One event comes while the turn is out, and one is carried over from generation to generation.
        if generation % 10 == 0:
            raised = pb.RaiseEventRequest(
                instanceId=KEY.instance_id, name="e", input=StringValue(value=str(generation))
            )
            await hub.instances.send(lifecycle.raise_event(DEFAULT_HUB, raised, hub.clock.now()))

        if generation == 50:
            early = size(tmp_path)

        if generation == GENERATIONS:
            action = completion(pb.ORCHESTRATION_STATUS_COMPLETED, str(events + len(carried)))
        else:
            # All but the newest are taken.
            events += max(len(carried) - 1, 0)
            action = completion(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW, str(generation + 1), *carried[-1:])

        token = hub.signer_of(DEFAULT_HUB).read(item.completionToken)
        assert token is not None
        await hub.orchestrations.complete(KEY, token.attempt, pb.OrchestratorResponse(actions=[action]))

    instance = await hub.instances.wait(KEY, has_ended)
    history = [chunk async for chunk in hub.instances.history(KEY)]
    await hub.close()
    assert instance is not None
    assert (instance.status, instance.output) == (RuntimeStatus.COMPLETED, str(GENERATIONS // 10))
    assert len(executions) == GENERATIONS + 1
    assert sum(chunk.length for chunk in history) == 4
    assert size(tmp_path) <= 2 * early
