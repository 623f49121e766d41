"""How much memory the server takes, with many instances that wait, and with many long histories. Prints Markdown.

    python benchmarks/memory.py [--help]

`timers`: 100,000 instances that wait for a timer an hour away; then the server is started again on their file.
`histories`: 10,000 instances that live at the same time, until each has a history of 200 events and more.

The server is a process of its own and new in each scenario; load and worker, raw gRPC as in `lean_worker.py`, share another. The
load does not wait for the worker, so that work piles up in the server. Memory is what Linux says of the server's process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import psutil
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from integration.processes import Server, our_server

if TYPE_CHECKING:
    from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceAsyncStub

MIB = 1 << 20
AT_A_TIME = 250
"""Requests of the load that wait for their answers, and work items of a kind that the worker asks for."""
SLEEP = 3600
"""Seconds: no timer fires while it is measured."""
PAYLOAD = StringValue(value="x" * 100)
GO = "go"
ROUNDS = 4
ECHOES = 23
"""Events that an instance sends to itself in a round. With the client's, an activity and the turns, 51 events of history."""
EVENTS = 200
"""What each history has at least, after its rounds."""
STALLED = 60.0
"""Seconds without a single turn: something is wrong."""
QUIET = 0.1
"""A process that takes less of a core than this has nothing to do."""


class Worker:
    """Takes turns and activities. It remembers nothing of an instance: a turn is decided on its new events.

    Args:
        stub: The server.
    """

    def __init__(self, stub: TaskHubSidecarServiceAsyncStub) -> None:
        self._stub = stub
        self._answers: set[asyncio.Task[None]] = set()
        self._progress = asyncio.Event()
        self.taken = 0
        """How many messages the committed turns have taken."""

    async def work(self) -> None:
        """Take what comes, until cancelled."""
        limits = pb.GetWorkItemsRequest(
            maxConcurrentOrchestrationWorkItems=AT_A_TIME, maxConcurrentActivityWorkItems=AT_A_TIME
        )

        async for item in self._stub.GetWorkItems(limits):
            match item.WhichOneof("request"):
                case "orchestratorRequest":
                    answer = asyncio.create_task(self._turn(item.orchestratorRequest, item.completionToken))
                case "activityRequest":
                    answer = asyncio.create_task(self._activity(item.activityRequest, item.completionToken))
                case _:
                    continue

            self._answers.add(answer)
            answer.add_done_callback(self._answers.discard)

    async def until_taken(self, count: int) -> None:
        """Wait until committed turns have taken so many messages, over all instances.

        Raises:
            TimeoutError: There is no progress.
        """
        while self.taken < count:
            self._progress.clear()
            await asyncio.wait_for(self._progress.wait(), STALLED)

    async def _turn(self, request: pb.OrchestratorRequest, token: str) -> None:
        answer = pb.OrchestratorResponse(
            instanceId=request.instanceId, actions=answer_turn(request), completionToken=token
        )
        await self._stub.CompleteOrchestratorTask(answer)
        # The first of the new events is the turn itself.
        self.taken += len(request.newEvents) - 1
        self._progress.set()

    async def _activity(self, task: pb.ActivityRequest, token: str) -> None:
        answer = pb.ActivityResponse(
            instanceId=task.orchestrationInstance.instanceId, taskId=task.taskId, result=PAYLOAD, completionToken=token
        )
        await self._stub.CompleteActivityTask(answer)


def answer_turn(request: pb.OrchestratorRequest) -> Sequence[pb.OrchestratorAction]:
    """What an instance does: `sleeper` starts a timer; `talker` answers each go with an activity, and talks to itself."""
    actions: list[pb.OrchestratorAction] = []

    for event in request.newEvents:
        if event.executionStarted.name == "sleeper":
            fires = Timestamp(seconds=event.timestamp.seconds + SLEEP)
            actions.append(pb.OrchestratorAction(createTimer=pb.CreateTimerAction(fireAt=fires)))
        elif event.eventRaised.name == GO:
            itself = pb.OrchestrationInstance(instanceId=request.instanceId)
            echo = pb.SendEventAction(instance=itself, name="echo", data=PAYLOAD)
            actions.append(pb.OrchestratorAction(scheduleTask=pb.ScheduleTaskAction(name="step", input=PAYLOAD)))
            actions.extend(pb.OrchestratorAction(sendEvent=echo) for _ in range(ECHOES))

    # Every action leaves an event in the history, so these ids are new ones.
    for number, action in enumerate(actions, start=len(request.pastEvents) + len(request.newEvents)):
        action.id = number

    return actions


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The server's memory at a moment, in MiB."""

    moment: str
    resident: float
    peak: float
    """The most that there was since the process began."""
    seconds: float
    """Since the scenario began."""


@dataclass(slots=True)
class Scenario:
    """One scenario on one server, and what is seen of it."""

    name: str
    server: Server
    readings: list[Reading] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def read(self, moment: str) -> None:
        """Note the memory that the server takes now."""
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        sizes = {line.split()[0]: int(line.split()[1]) / 1024 for line in status.splitlines() if line.endswith(" kB")}
        seen = Reading(
            moment=moment,
            resident=sizes["VmRSS:"],
            peak=sizes["VmHWM:"],
            seconds=time.monotonic() - self.began,
        )
        self.readings.append(seen)
        print(
            f"{self.name}: {moment}: {seen.resident:.0f} MiB, peak {seen.peak:.0f} ({seen.seconds:.0f} s)",
            file=sys.stderr,
        )

    async def settle(self) -> None:
        """Wait until the server has nothing left to do."""
        process = psutil.Process(self.server.pid)
        process.cpu_percent()

        while True:
            await asyncio.sleep(1)

            if process.cpu_percent() < 100 * QUIET:
                return


async def timers(scenario: Scenario, count: int) -> None:
    """Instances that each wait for a timer."""
    async with connected(scenario) as (stub, worker):
        await all_of(start(stub, "sleeper", number) for number in range(count))
        scenario.read(f"{count:,} instances are started")
        await worker.until_taken(count)
        scenario.read(f"{count:,} timers wait")
        await scenario.settle()
        scenario.read("with nothing to do")

    scenario.server.stop()
    scenario.server.start()
    scenario.read("ready again after a restart")
    await scenario.settle()
    scenario.read("then with nothing to do")


async def histories(scenario: Scenario, count: int) -> None:
    """Instances with a long history each, which grows in rounds, so that each is left alone for a while, and comes again."""
    async with connected(scenario) as (stub, worker):
        await all_of(start(stub, "talker", number) for number in range(count))
        scenario.read(f"{count:,} instances are started")

        for done in range(1, ROUNDS + 1):
            await all_of(go(stub, "talker", number) for number in range(count))
            # A start; then, each round, what the client sent, what the instance sent, and the activity's answer.
            await worker.until_taken(count * (1 + done * (ECHOES + 2)))
            scenario.read(f"round {done} of {ROUNDS}")

        await scenario.settle()
        scenario.read("with nothing to do")

        for number in {0, count // 2, count - 1}:
            await check_history(stub, instance("talker", number))


@asynccontextmanager
async def connected(scenario: Scenario) -> AsyncIterator[tuple[TaskHubSidecarServiceAsyncStub, Worker]]:
    """A client and a worker, on connections of their own."""
    async with (
        grpc.aio.insecure_channel(scenario.server.address) as clients,
        grpc.aio.insecure_channel(scenario.server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as workers,
    ):
        stub: TaskHubSidecarServiceAsyncStub = TaskHubSidecarServiceStub(clients)
        worker = Worker(TaskHubSidecarServiceStub(workers))
        await stub.Hello(Empty(), wait_for_ready=True)
        working = asyncio.create_task(worker.work())

        try:
            yield stub, worker
        finally:
            working.cancel()


def instance(name: str, number: int) -> str:
    """The id of an instance, as long as the usual ones."""
    return f"{name}-{number:026d}"


async def start(stub: TaskHubSidecarServiceAsyncStub, name: str, number: int) -> None:
    """Start an instance, durably."""
    await stub.StartInstance(pb.CreateInstanceRequest(instanceId=instance(name, number), name=name, input=PAYLOAD))


async def go(stub: TaskHubSidecarServiceAsyncStub, name: str, number: int) -> None:
    """Tell an instance to begin its next round."""
    await stub.RaiseEvent(pb.RaiseEventRequest(instanceId=instance(name, number), name=GO, input=PAYLOAD))


async def all_of(requests: Iterable[Awaitable[None]]) -> None:
    """Do all requests, a bounded number at a time."""
    left = iter(requests)

    async def one_after_the_other() -> None:
        for request in left:
            await request

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(one_after_the_other())


async def check_history(stub: TaskHubSidecarServiceAsyncStub, instance_id: str) -> None:
    """See that the scenario did what it is named for.

    Raises:
        RuntimeError: The history is too short.
    """
    chunks = stub.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId=instance_id))
    events = sum([len(chunk.events) async for chunk in chunks])

    if events < EVENTS:
        raise RuntimeError(f"{instance_id} has {events} events of history, not {EVENTS}")


SCENARIOS: dict[str, tuple[Callable[[Scenario, int], Coroutine[None, None, None]], int]] = {
    "timers": (timers, 100_000),
    "histories": (histories, 10_000),
}
"""What to do, and with how many instances."""


def report(scenarios: Iterable[Scenario], limit: float) -> str:
    """All readings, and a verdict."""
    lines = ["| scenario | moment | RSS, MiB | peak so far, MiB | after, s |", "|---|---|--:|--:|--:|"]
    peaks: list[str] = []

    for scenario in scenarios:
        lines += [
            f"| {scenario.name} | {seen.moment} | {seen.resident:.0f} | {seen.peak:.0f} | {seen.seconds:.0f} |"
            for seen in scenario.readings
        ]
        peak = most(scenario)
        verdict = "reached" if peak <= limit else "not reached"
        peaks.append(f"{scenario.name}: peak {peak:.0f} MiB, goal ≤ {limit:g} MiB: {verdict}")

    return "\n\n".join(["\n".join(lines), *peaks])


def most(scenario: Scenario) -> float:
    """The most memory that a scenario's servers took, in MiB."""
    return max(seen.peak for seen in scenario.readings)


def main(options: argparse.Namespace) -> int:
    """Measure, and print.

    Returns:
        0 if no server took more than the limit.
    """
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}; "
        f"scale {options.scale:g}.\n",
        flush=True,
    )
    measured: list[Scenario] = []

    with tempfile.TemporaryDirectory(dir=options.directory, prefix="memory-") as directory:
        for name in options.scenarios:
            run, full = SCENARIOS[name]
            server = our_server(Path(directory, f"{name}.sqlite3"), Path(directory, f"{name}.log"))

            with server:
                scenario = Scenario(name, server)
                scenario.read("ready")
                asyncio.run(run(scenario, max(1, round(full * options.scale))))

            measured.append(scenario)

    print(report(measured, options.limit))

    return 0 if all(most(scenario) <= options.limit for scenario in measured) else 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description="Measures the server's memory and prints Markdown; progress goes to standard error. Linux only."
    )
    made.add_argument("--scale", type=float, default=1.0, help="of the number of instances [%(default)g]")
    made.add_argument(
        "--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="[all]", metavar="NAME"
    )
    made.add_argument("--limit", type=float, default=300.0, help="MiB; more than that is a failure [%(default)g]")
    made.add_argument("--directory", type=Path, help="where the database files go [the system's for temporary files]")

    return made


if __name__ == "__main__":
    sys.exit(main(parser().parse_args()))
