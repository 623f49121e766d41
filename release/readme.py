"""Runs the lines of a package's README with the package as it was installed, and nothing else of ours in that environment.

python -m release.readme PYTHON PACKAGE

Where the page takes a server, or a worker that has an orchestration, they run beside it, from this environment.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import indent

from durabletask_worker import OrchestrationContext, Registry, TaskHubGrpcWorker

from integration.processes import free_port, our_server
from release.packages import package

registry = Registry()
# Of each page: which of its Python blocks, and what they print.
BLOCKS: dict[str, dict[int, str | None]] = {
    "durabletask-protos": {0: None, 1: None},
    "durabletask-backend": {},
    "durabletask-sqlite": {0: ""},
    "durabletask-client": {0: "Hello, Ada!\n"},
    "durabletask-worker": {0: "1650\n"},
    "durabletask-server": {},
    "durabletask-embedded": {0: "Hello, Ada!\n"},
}
WITH_SERVER = {"durabletask-protos", "durabletask-client", "durabletask-worker"}
"""Those whose page takes one at `localhost:4001`."""


@registry.orchestrator
async def greet(ctx: OrchestrationContext, name: str | None = None) -> str:
    """What the page of the client runs."""
    return f"Hello, {name}!"


@contextmanager
def hub(name: str, folder: Path) -> Iterator[str]:
    """The address of what a page takes; its own where it takes nothing."""
    with ExitStack() as stack:
        if name not in WITH_SERVER:
            yield "localhost:4001"
            return

        address = stack.enter_context(our_server(folder / "hub.sqlite3", folder / "server.log")).address

        if name == "durabletask-client":
            stack.enter_context(TaskHubGrpcWorker(host_address=address, registry=registry)).start()

        yield address


def run(python: Path, name: str) -> None:
    """Run a page's lines.

    Args:
        python: The environment's.
        name: The package.

    Raises:
        AssertionError: They do not do what the page says.
    """
    page = (package(name).folder / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)

    with tempfile.TemporaryDirectory() as folder, hub(name, Path(folder)) as address:
        for number, prints in BLOCKS[name].items():
            code = blocks[number].replace("localhost:4001", address)

            if re.search(r"^\S.*\bawait ", code, re.MULTILINE) and "async def" not in code:
                code = f"import asyncio\nasync def page():\n{indent(code, '    ')}    await backend.close()\nasyncio.run(page())\n"

            printed = _run([python, "-I", "-c", code], folder)
            assert prints is None or printed == prints, f"block {number} printed {printed!r}, not {prints!r}"
            print(f"{name}: block {number} of README.md runs")

        if name == "durabletask-server":
            _serve(python.parent, Path(folder))


def _serve(bin_: Path, folder: Path) -> None:
    """What its page says of the command: it starts, it is ready, it stops with 0."""
    port = free_port()
    command: list[str | Path] = [
        bin_ / "durabletask-server",
        "--port",
        str(port),
        "--db",
        "./test.sqlite3",
        "--log-format",
        "human",
    ]

    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None

        try:
            assert any(f"listening on localhost:{port}" in line for line in server.stderr), "it did not start"
            said = _run([bin_ / "durabletask-server", "health", "--server", f"localhost:{port}"], str(folder))
            assert said == "SERVING\n"
        finally:
            server.terminate()

        server.stderr.read()
        assert server.wait(20) == 0

    print("durabletask-server: it serves, is ready, and stops")


def _run(command: list[str | Path], folder: str) -> str:
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr

    return ran.stdout


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2])
