"""kill -9 in the middle of 100 running orchestrations: all complete, with the right result, and nothing is recorded twice."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from durabletask_client import AsyncTaskHubGrpcClient, OrchestrationStatus

from integration.processes import Program, Server

WORKERS = Path(__file__).parent / "workers"
COUNT = 100
KILLS = (5, 40)
"""How many have completed at each kill."""
PATIENCE = 100.0
"""Seconds; it takes about six, most of them the server's wait for answers from before it was killed."""


@pytest.fixture(params=["ours", "peers"])
def worker(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Iterator[Program]:
    """A worker with the orchestrator `ledger`, not started yet."""
    python = request.getfixturevalue("peer_python") if request.param == "peers" else sys.executable
    program = Program([python, WORKERS / f"{request.param}.py", server.address], tmp_path / "worker.log")
    yield program
    program.kill()


def expected(number: int) -> int:
    """What `ledger` returns."""
    squared = (2 * (number + 1)) ** 2

    return sum(10 * squared + part for part in range(5))


@pytest.mark.timeout(PATIENCE + 20)
@pytest.mark.parametrize("victim", ["server", "worker"])
async def test_every_orchestration_survives(server: Server, worker: Program, victim: str) -> None:
    killed = {"server": server, "worker": worker}[victim]
    numbers = {f"ledger-{number:03}": number for number in range(COUNT)}

    async with AsyncTaskHubGrpcClient(host_address=server.address) as client:
        for instance_id, number in numbers.items():
            await client.schedule_new_orchestration("ledger", input=number, instance_id=instance_id)

        waits = {
            asyncio.create_task(client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE))
            for instance_id in numbers
        }
        worker.start()

        for completed, next_one in enumerate(asyncio.as_completed(waits), start=1):
            await next_one

            if completed in KILLS:
                killed.kill()
                assert not all(wait.done() for wait in waits), "killed too late"
                await asyncio.to_thread(killed.restart)

        states = [wait.result() for wait in waits]
        assert {state.runtime_status for state in states if state} == {OrchestrationStatus.COMPLETED}
        assert {state.instance_id: state.get_output(int) for state in states if state} == {
            instance_id: expected(number) for instance_id, number in numbers.items()
        }

        for instance_id in numbers:
            kinds = Counter(event.kind for event in await client.get_orchestration_history(instance_id))
            assert {kind: times for kind, times in kinds.items() if kind != "OrchestratorStarted"} == {
                "ExecutionStarted": 1,
                "TaskScheduled": 8,
                "TaskCompleted": 8,
                "ExecutionCompleted": 1,
            }, instance_id
