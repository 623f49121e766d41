"""A wide instance takes few turns, on an injected clock."""

from __future__ import annotations

import asyncio

from durabletask_backend.memory import MemoryBackend
from durabletask_backend.values import InstanceKey, Micros, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.activities import Answer
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind, StreamOptions, WorkerStream
from durabletask_server.engine import lifecycle
from durabletask_server.instances import has_ended
from durabletask_server.taskhub import DEFAULT_HUB, TaskHubWorker
from durabletask_server.testing import ManualClock
from durabletask_server.tokens import Token

WIDTH = 1000
KEY = InstanceKey(DEFAULT_HUB, "wide")
# As measured on a real clock: 1,000 results come in over 262 ms, and a worker takes 3.5 ms for a turn. In microseconds.
RESULT_EVERY = 262
TURN_TAKES = 3500


class Worker:
    """Answers turns and activities through the engine's own parts, without a socket."""

    def __init__(self, hub: TaskHubWorker) -> None:
        self._hub = hub
        limits = {Kind.ORCHESTRATION: WIDTH, Kind.ACTIVITY: WIDTH}
        self._stream: WorkerStream = hub.dispatcher.open(
            StreamOptions(hub=DEFAULT_HUB, limits=limits, filters=WorkFilters(), history_streaming=False)
        )
        self.turn: tuple[Micros, pb.WorkItem] | None = None
        self.activities: list[pb.WorkItem] = []

    async def receive(self) -> None:
        """Take the items that are on the stream."""
        # Commits and hand-outs run on the event loop, a few steps each.
        for _ in range(5):
            await asyncio.sleep(0)

        for raw in self._stream.take():
            item = pb.WorkItem.FromString(raw)

            if item.HasField("orchestratorRequest"):
                self.turn = (self._hub.clock.now(), item)
            else:
                self.activities.append(item)

    async def work(self) -> None:
        """Receive, and answer a turn that was received long enough ago."""
        await self.receive()

        if self.turn is not None and self._hub.clock.now() >= self.turn[0] + TURN_TAKES:
            item = self.turn[1]
            self.turn = None
            token = self._token(item)
            response = pb.OrchestratorResponse(actions=fan_in(item.orchestratorRequest))
            await self._hub.orchestrations.complete(token.task.instance, token.attempt, response)

    async def answer(self, item: pb.WorkItem) -> None:
        """Answer an activity."""
        await self._hub.activities.complete(self._token(item).task, Answer(result="1"))

    def _token(self, item: pb.WorkItem) -> Token:
        token = self._hub.signer_of(DEFAULT_HUB).read(item.completionToken)
        assert token is not None

        return token


def fan_in(request: pb.OrchestratorRequest) -> list[pb.OrchestratorAction]:
    """Schedule all, then complete when all are answered."""
    past = list(request.pastEvents)
    answered = sum(event.HasField("taskCompleted") for event in [*past, *request.newEvents])

    if not past:
        return [
            pb.OrchestratorAction(id=number, scheduleTask=pb.ScheduleTaskAction(name="step")) for number in range(WIDTH)
        ]

    if answered < WIDTH:
        return []

    done = pb.CompleteOrchestrationAction(orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED)

    return [pb.OrchestratorAction(id=WIDTH, completeOrchestration=done)]


async def test_a_fan_in_of_1000_takes_at_most_10_turns() -> None:
    clock = ManualClock()
    hub = TaskHubWorker(MemoryBackend(), clock=clock)
    await hub.start()

    try:
        worker = Worker(hub)
        request = pb.CreateInstanceRequest(instanceId=KEY.instance_id, name="fan_in")
        await hub.instances.create(lifecycle.create(DEFAULT_HUB, request, clock.now(), hub.new_id))
        ended = asyncio.ensure_future(hub.instances.wait(KEY, has_ended))

        while len(worker.activities) < WIDTH:
            clock.advance(TURN_TAKES)
            await worker.work()

        for item in worker.activities:
            clock.advance(RESULT_EVERY)
            await worker.answer(item)
            await worker.work()

        while not ended.done():
            clock.advance(RESULT_EVERY)
            await worker.work()

        instance = ended.result()
        assert instance is not None
        assert instance.status is RuntimeStatus.COMPLETED
        assert hub.orchestrations.committed <= 10
    finally:
        await hub.close()
