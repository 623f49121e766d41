"""The leanest worker there is: raw gRPC, no SDK. What it costs hardly hides what the server costs.

    python benchmarks/lean_worker.py localhost:4001

It knows three orchestrations, `steps3`, `step1` and `fanout` (as many activities as its input says), and decides on the events
alone: how many tasks were scheduled, and how many are completed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from itertools import chain

import grpc
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import StringValue

AT_A_TIME = 1000
"""Items of a kind: more than any load here has open, so that it is the server that sets the pace."""
SEQUENCES = {"steps3": 3, "step1": 1}
RESULT = StringValue(value="1")


def answer_turn(request: pb.OrchestratorRequest, token: str) -> pb.OrchestratorResponse:
    """Take a turn: what is to be done next, seen from all events so far."""
    name = given = ""
    scheduled = completed = 0

    for event in chain(request.pastEvents, request.newEvents):
        match event.WhichOneof("eventType"):
            case "executionStarted":
                name, given = event.executionStarted.name, event.executionStarted.input.value
            case "taskScheduled":
                scheduled += 1
            case "taskCompleted":
                completed += 1

    width = SEQUENCES.get(name) or int(given)
    actions: Sequence[pb.OrchestratorAction] = ()

    if completed == width:
        done = pb.CompleteOrchestrationAction(orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED, result=RESULT)
        actions = [pb.OrchestratorAction(id=scheduled + 1, completeOrchestration=done)]
    elif completed == scheduled:
        step = pb.ScheduleTaskAction(name="step", input=RESULT)
        upto = completed + 1 if name in SEQUENCES else width
        actions = [pb.OrchestratorAction(id=number, scheduleTask=step) for number in range(completed + 1, upto + 1)]

    return pb.OrchestratorResponse(instanceId=request.instanceId, actions=actions, completionToken=token)


async def work(address: str) -> None:
    """Take what comes, until the stream ends."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = TaskHubSidecarServiceStub(channel)
        await stub.Hello(Empty(), wait_for_ready=True)
        limits = pb.GetWorkItemsRequest(
            maxConcurrentOrchestrationWorkItems=AT_A_TIME,
            maxConcurrentActivityWorkItems=AT_A_TIME,
        )
        answers = set()

        async for item in stub.GetWorkItems(limits):
            match item.WhichOneof("request"):
                case "orchestratorRequest":
                    turn = answer_turn(item.orchestratorRequest, item.completionToken)
                    answers.add(call := asyncio.ensure_future(stub.CompleteOrchestratorTask(turn)))
                case "activityRequest":
                    task = item.activityRequest
                    result = pb.ActivityResponse(
                        instanceId=task.orchestrationInstance.instanceId,
                        taskId=task.taskId,
                        result=RESULT,
                        completionToken=item.completionToken,
                    )
                    answers.add(call := asyncio.ensure_future(stub.CompleteActivityTask(result)))
                case _:
                    continue

            call.add_done_callback(answers.discard)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
