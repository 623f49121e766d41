"""The command `durabletask-worker`, as a process and as a function."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import pytest
from durabletask_client import AsyncTaskHubGrpcClient
from durabletask_worker.cli import main

from .engine import Engine
from .scripted import Hub

TIMEOUT = 30
WORKFLOWS = """
from durabletask_worker import ActivityContext, OrchestrationContext, Registry, TaskHubGrpcWorker

registry = Registry()
number = 7


@registry.orchestrator
async def greets(ctx: OrchestrationContext) -> str:
    return await ctx.call_activity(greet)


@registry.activity
def greet(_: ActivityContext) -> str:
    return "hello"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a module of workflows, which is the current one."""
    tmp_path.joinpath("workflows.py").write_text(WORKFLOWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DURABLETASK_CONNECTION_STRING", raising=False)

    return tmp_path


class Process:
    """The command, running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.log = ""

    async def until(self, text: str) -> None:
        """Wait until it logs a text, after those that were waited for before."""
        assert self._process.stderr is not None

        async with asyncio.timeout(TIMEOUT):
            while True:
                line = (await self._process.stderr.readline()).decode()
                self.log += line
                assert line, self.log

                if text in line:
                    return

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    async def code(self) -> int:
        assert self._process.stderr is not None

        async with asyncio.timeout(TIMEOUT):
            self.log += (await self._process.stderr.read()).decode()

            return await self._process.wait()


@asynccontextmanager
async def running(*arguments: str, stdin: int | None = None, **environment: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "durabletask_worker", *arguments),
        stdin=stdin,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )

    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def result(engine: Engine, name: str = "greets") -> str | None:
    async with AsyncTaskHubGrpcClient(host_address=engine.address) as client:
        instance_id = await client.schedule_new_orchestration(name)
        state = await client.wait_for_orchestration_completion(instance_id, timeout=TIMEOUT)
        assert state is not None

        return state.get_output(str)


class TestRun:
    @pytest.mark.parametrize("target", ["workflows:registry", "workflows"])
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_it_hosts_a_registry_until_a_signal(
        self, project: Path, engine: Engine, target: str, number: signal.Signals
    ) -> None:
        async with running("run", target, "--address", engine.address) as process:
            assert await result(engine) == "hello"

            process.signal(number)

            assert await process.code() == 0

        assert "hosting 1 orchestrator, 1 activity, 0 entities" in process.log
        assert f"{number.name}: stopping" in process.log

    async def test_it_hosts_a_worker_with_its_own_settings(self, project: Path, engine: Engine) -> None:
        with project.joinpath("workflows.py").open("a") as file:
            file.write(
                f"\n\nclass app:\n    worker = TaskHubGrpcWorker(host_address={engine.address!r}, registry=registry)\n"
            )

        async with running("run", "workflows:app.worker") as process:
            assert await result(engine) == "hello"

            process.signal()

            assert await process.code() == 0

    async def test_its_options(self, project: Path, hub: Hub) -> None:
        connection = f"Endpoint=http://{hub.address};TaskHub=mine"
        limits = ("--max-orchestrations", "1", "--max-activities", "2", "--max-entities", "3", "--max-live", "0")

        async with running(
            *("run", "workflows:registry", "--filters", "--log-level", "warning", *limits),
            DURABLETASK_CONNECTION_STRING=connection,
        ) as process:
            request = await hub.stream()
            process.signal()
            assert await process.code() == 0

        assert request.maxConcurrentOrchestrationWorkItems == 1
        assert request.maxConcurrentActivityWorkItems == 2
        assert request.maxConcurrentEntityWorkItems == 3
        assert [wanted.name for wanted in request.workItemFilters.orchestrations] == ["greets"]
        assert hub.metadata["taskhub"] == "mine"
        assert "x-durabletask-sticky" not in hub.metadata
        assert process.log == ""

    async def test_it_drains_within_the_grace_period_and_leaves_a_thread_behind(self, project: Path, hub: Hub) -> None:
        project.joinpath("workflows.py").write_text(
            dedent(
                """
                import time
                from durabletask_worker import Registry

                registry = Registry()

                @registry.activity
                def sleeps(_):
                    print("asleep", flush=True)
                    time.sleep(3600)
                """
            )
        )

        async with running("run", "workflows", "--address", hub.address, "--grace-period", "0.05") as process:
            await process.until("connected")
            hub.put_activity("sleeps", token="held")
            await hub.work.join()
            await asyncio.sleep(0.2)
            process.signal()

            assert await hub.abandonment() == ("activity", "held")
            assert await process.code() == 0

        assert "it is cut off" in process.log

    async def test_a_second_signal_does_not_wait(self, project: Path, hub: Hub) -> None:
        project.joinpath("workflows.py").write_text(
            dedent(
                """
                import asyncio
                import logging
                from durabletask_worker import Registry

                registry = Registry()

                @registry.activity
                async def sleeps(_):
                    logging.getLogger("workflows").warning("asleep")
                    await asyncio.sleep(3600)
                """
            )
        )

        async with running("run", "workflows", "--address", hub.address, "--grace-period", "3600") as process:
            await process.until("connected")
            hub.put_activity("sleeps", token="held")
            await process.until("asleep")
            process.signal()
            await process.until("SIGTERM: stopping")
            process.signal()

            assert await hub.abandonment() == ("activity", "held")
            assert await process.code() == 128 + signal.SIGTERM

    async def test_it_starts_anew_with_each_change(self, project: Path, engine: Engine) -> None:
        async with running("run", "workflows:registry", "--address", engine.address, "--reload") as process:
            assert await result(engine) == "hello"

            project.joinpath("workflows.py").write_text(WORKFLOWS.replace("hello", "good bye"))
            await process.until("workflows.py changed: starting anew")
            await process.until("connected")

            assert await result(engine) == "good bye"

            project.joinpath("workflows.py").write_text("this is no Python")
            await process.until("SyntaxError")
            await process.until("ended with exit code 1")
            project.joinpath("workflows.py").write_text(WORKFLOWS.replace("hello", "back"))
            await process.until("connected")

            assert await result(engine) == "back"

            process.signal()

            assert await process.code() == 0

    async def test_a_supervised_worker_is_stopped_before_it_has_begun(self, project: Path, engine: Engine) -> None:
        arguments = ("run", "workflows:registry", "--address", engine.address, "--supervised")

        async with running(*arguments, stdin=asyncio.subprocess.DEVNULL) as process:
            assert await process.code() == 0


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nowhere:registry"], "there is no module 'nowhere'"),
            (["workflows.nowhere:registry"], "there is no module 'workflows.nowhere'"),
            (["workflows.py"], "'workflows.py' is no name of a module"),
            (["./workflows"], "is no name of a module"),
            (["workflows:registri"], "module 'workflows' has no 'registri'; did you mean 'registry'?"),
            (["workflows:number"], "'workflows:number' is a int; it must be a Registry or a TaskHubGrpcWorker"),
            (["empty"], "module 'empty' has neither a Registry nor a TaskHubGrpcWorker"),
            (["several"], "several; name one: 'several:one', 'several:two'"),
            (["made:worker", "--address", "localhost:1", "--max-live", "0"], "drop --address, --max-live"),
            (
                ["workflows", "--connection-string", "Endpoint=http://x", "--taskhub", "y"],
                "drop --address and --taskhub",
            ),
            (["workflows", "--connection-string", "nothing"], "connection_string"),
            (["workflows", "--max-threads", "0"], "maximum_thread_pool_workers is 0"),
        ],
    )
    def test_a_mistake_is_explained(
        self, project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
    ) -> None:
        project.joinpath("empty.py").write_text("")
        project.joinpath("several.py").write_text(
            "from durabletask_worker import Registry\none, two = Registry(), Registry()\n"
        )
        project.joinpath("made.py").write_text(
            "from durabletask_worker import TaskHubGrpcWorker\nworker = TaskHubGrpcWorker()\nregistry = worker.registry\n"
        )

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "path", [*sys.path])
            patch.setattr(sys, "modules", {**sys.modules})

            assert main(["run", *arguments]) == 2

        assert said in capsys.readouterr().err

    async def test_a_module_that_cannot_be_imported(self, project: Path) -> None:
        project.joinpath("broken.py").write_text("import nothing_like_this\n")

        async with running("run", "broken:registry") as process:
            assert await process.code() == 1

        assert "No module named 'nothing_like_this'" in process.log
        assert "broken.py" in process.log

    def test_no_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as left:
            main([])

        assert left.value.code == 2
        assert "lint" in capsys.readouterr().err


def test_the_linter_is_a_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "workflows.py"]) == 0
    project.joinpath("workflows.py").write_text(
        WORKFLOWS.replace("return await", "import time; time.time(); return await")
    )

    assert main(["lint", "workflows.py"]) == 1
