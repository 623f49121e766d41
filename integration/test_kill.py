"""kill -9 twice amid 100 orchestrations: all complete, with the right result, and nothing is recorded twice."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from durabletask_client import AsyncTaskHubGrpcClient, OrchestrationState, OrchestrationStatus

from integration.processes import Program, Server

WORKERS = Path(__file__).parent / "workers"
COUNT = 100
KILLS = (5, 40)
"""How many have completed at each kill, at least."""
LATER = 20
"""How many start right before each kill, so that some run whatever has become of the others."""
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
    waits: dict[str, asyncio.Task[OrchestrationState | None]] = {}

    async with AsyncTaskHubGrpcClient(host_address=server.address) as client:

        async def start(count: int) -> None:
            for instance_id in list(numbers)[len(waits) :][:count]:
                await client.schedule_new_orchestration("ledger", input=numbers[instance_id], instance_id=instance_id)
                wait = client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
                waits[instance_id] = asyncio.create_task(wait)

        await start(COUNT - LATER * len(KILLS))
        worker.start()

        for completed in KILLS:
            while sum(wait.done() for wait in waits.values()) < completed:
                pending = [wait for wait in waits.values() if not wait.done()]
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)

            await start(LATER)
            killed.kill()
            assert not all(wait.done() for wait in waits.values()), "killed too late"
            await asyncio.to_thread(killed.restart)

        states = await asyncio.gather(*waits.values())
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
