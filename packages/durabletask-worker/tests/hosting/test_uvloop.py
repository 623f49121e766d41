"""On an event loop of uvloop's, as the README tells how."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from durabletask_worker import ActivityContext

from .scripted import Hub
from .test_worker import make_worker

PROCESSES = 40
"""Of which some died each time, with gRPC's support of forks."""


async def echoed(_: ActivityContext, text: str) -> str:
    """What a process says, begun by the event loop."""
    process = await asyncio.create_subprocess_exec("echo", text, stdout=asyncio.subprocess.PIPE)
    said, _errors = await process.communicate()

    return f"{type(asyncio.get_running_loop()).__module__} {said.decode().strip()} {process.returncode}"


async def main() -> None:
    """Print the answers of a worker on this loop."""
    hub = Hub()
    await hub.start()

    async with make_worker(hub, echoed):
        for number in range(PROCESSES):
            hub.put_activity("echoed", '"hello"', token=str(number), task_id=number)

        answers = [await hub.answer() for _ in range(PROCESSES)]

    await hub.stop()
    print(json.dumps([json.loads(answer.result.value) for answer in answers]))


def test_async_activities_begin_processes() -> None:
    pytest.importorskip("uvloop")
    program = "import uvloop; from hosting.test_uvloop import main; uvloop.run(main())"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == ["uvloop hello 0"] * PROCESSES
