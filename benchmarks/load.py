"""The load: starts orchestrations in raw gRPC, waits for them, and prints what it saw as one JSON line.

    python benchmarks/load.py localhost:4001 --server-pid PID

One after the other: a warm-up; `--count` orchestrations of three activities, `--at-a-time`; `--sequential` orchestrations of one
activity, each after the last; one with `--width` activities at a time. Turns and work items are counted in the histories, outside
what is timed: an `OrchestratorStarted` is a turn, a `TaskCompleted` an activity.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import psutil
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceStub
from google.protobuf.wrappers_pb2 import StringValue

if TYPE_CHECKING:
    from durabletask_protos.orchestrator_service_pb2_grpc import TaskHubSidecarServiceAsyncStub

PATIENCE = 60.0
"""Seconds for one orchestration, under the whole load."""
WARM_UP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a load saw of one server with one worker."""

    per_second: float
    """Orchestrations of three activities."""
    server_microseconds: float
    """CPU of the server process a work item, meanwhile."""
    p50: float
    """Milliseconds of one orchestration of one activity, from its start until the waiting client has its result."""
    p99: float
    fanout_seconds: float
    fanout_turns: int


class Load:
    """A client.

    Args:
        stub: The server.
        process: The process whose CPU is measured.
    """

    def __init__(self, stub: TaskHubSidecarServiceAsyncStub, process: psutil.Process) -> None:
        self._stub = stub
        self._process = process

    async def run(self, name: str, given: int | None = None) -> str:
        """Start an orchestration, wait until it is completed, and tell its id."""
        instance_id = uuid4().hex
        start = pb.CreateInstanceRequest(instanceId=instance_id, name=name, executionId=StringValue(value=uuid4().hex))

        if given is not None:
            start.input.value = str(given)

        await self._stub.StartInstance(start)
        question = pb.GetInstanceRequest(instanceId=instance_id)
        state = (await self._stub.WaitForInstanceCompletion(question, timeout=PATIENCE)).orchestrationState

        if state.orchestrationStatus != pb.ORCHESTRATION_STATUS_COMPLETED:
            status = pb.OrchestrationStatus.Name(state.orchestrationStatus)
            raise RuntimeError(f"{name} {instance_id} is {status}: {state.failureDetails.errorMessage}")

        return instance_id

    async def run_all(self, name: str, count: int, at_a_time: int, given: int | None = None) -> list[str]:
        """Run many orchestrations, so many at a time, and tell their ids."""
        numbers = iter(range(count))
        done: list[str] = []

        async def one_after_the_other() -> None:
            done.extend([await self.run(name, given) for _ in numbers])

        await asyncio.gather(*(one_after_the_other() for _ in range(at_a_time)))

        return done

    async def many(self, count: int, at_a_time: int) -> tuple[float, float]:
        """Orchestrations of three activities: how many a second, and the server's CPU microseconds a work item."""
        cpu, began = self.cpu(), time.perf_counter()
        done = await self.run_all("steps3", count, at_a_time)
        took, cpu = time.perf_counter() - began, self.cpu() - cpu
        turns, activities = await self.work_items(done)

        return count / took, cpu * 1e6 / (turns + activities)

    async def one_by_one(self, count: int) -> list[float]:
        """Milliseconds of each orchestration of one activity."""
        latencies: list[float] = []

        for _ in range(count):
            began = time.perf_counter()
            await self.run("step1")
            latencies.append((time.perf_counter() - began) * 1e3)

        return latencies

    async def fan_out(self, width: int) -> tuple[float, int]:
        """Seconds and turns of one orchestration with so many activities at a time."""
        began = time.perf_counter()
        instance_id = await self.run("fanout", width)
        took = time.perf_counter() - began
        turns, activities = await self.work_items([instance_id])

        if activities != width:
            raise RuntimeError(f"fanout {instance_id} completed {activities} of {width} activities")

        return took, turns

    async def work_items(self, instance_ids: Iterable[str]) -> tuple[int, int]:
        """Turns and activities in the histories of these instances."""
        kinds: Counter[str | None] = Counter()

        for instance_id in instance_ids:
            async for chunk in self._stub.StreamInstanceHistory(
                pb.StreamInstanceHistoryRequest(instanceId=instance_id)
            ):
                kinds.update(event.WhichOneof("eventType") for event in chunk.events)

        return kinds["orchestratorStarted"], kinds["taskCompleted"]

    def cpu(self) -> float:
        """Seconds of CPU that the process has taken so far, in user code and in the system."""
        times = self._process.cpu_times()

        return times.user + times.system


async def main(options: argparse.Namespace) -> Seen:
    async with grpc.aio.insecure_channel(options.address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        load = Load(TaskHubSidecarServiceStub(channel), psutil.Process(options.server_pid))
        # Alone: the first calls of a connection at a time are now and then cancelled by the PyPI in-memory backend's server.
        await load.run("steps3")
        await asyncio.gather(*(load.run("steps3") for _ in range(WARM_UP)))
        per_second, microseconds = await load.many(options.count, options.at_a_time)
        latencies = await load.one_by_one(options.sequential)
        cuts = statistics.quantiles(latencies, n=100, method="inclusive")
        seconds, turns = await load.fan_out(options.width)

        return Seen(
            per_second=per_second,
            server_microseconds=microseconds,
            p50=cuts[49],
            p99=cuts[98],
            fanout_seconds=seconds,
            fanout_turns=turns,
        )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Measures one server with one worker; prints one JSON line.")
    made.add_argument("address")
    made.add_argument("--server-pid", type=int, required=True, help="whose CPU to measure")
    made.add_argument("--count", type=int, default=500, help="orchestrations of three activities [%(default)s]")
    made.add_argument("--at-a-time", type=int, default=100, help="how many of them at a time [%(default)s]")
    made.add_argument("--sequential", type=int, default=200, help="orchestrations of one activity [%(default)s]")
    made.add_argument("--width", type=int, default=1000, help="activities of the fan-out [%(default)s]")

    return made


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(main(parser().parse_args())))))
