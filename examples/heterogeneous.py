"""Some work in this process, some on a remote worker: an embedded hub that also listens, and activities that go where their code is.

The program starts the remote worker itself, as another process; it might as well be on another machine, or in another language.
"""

from __future__ import annotations

import os
import subprocess
import sys

from durabletask_embedded import TaskHub
from durabletask_worker import ActivityContext, OrchestrationContext, Registry, TaskHubGrpcWorker, when_all
from hub import PATIENCE

here, remote = Registry(), Registry()


@here.activity
def listed(ctx: ActivityContext, pictures: list[str]) -> str:
    """Something that is best done next to the application's own data."""
    return f"{len(pictures)} pictures, listed by process {os.getpid()}"


@remote.activity
def resize(ctx: ActivityContext, picture: str) -> str:
    """Something that needs another machine; a GPU, say."""
    return f"{picture}, made small by process {os.getpid()}"


@here.orchestrator
async def album(ctx: OrchestrationContext, pictures: list[str]) -> list[str]:
    """Knows the names of the activities, and not where they run."""
    title = await ctx.call_activity(listed, pictures)

    return [title, *await when_all([ctx.call_activity(resize, picture) for picture in pictures])]


def work_at(address: str) -> None:
    """The remote worker: it asks for the activities that it has, and for nothing else, until its standard input ends."""
    with TaskHubGrpcWorker(host_address=address, registry=remote) as worker:
        worker.use_work_item_filters()
        worker.start()
        sys.stdin.read()


def main() -> None:
    """Run it, with a remote worker."""
    # What is not registered here is left to others, instead of failing as unknown.
    with (
        TaskHub("", here, listen="localhost:0", only_registered=True) as hub,
        subprocess.Popen([sys.executable, __file__, str(hub.address)], stdin=subprocess.PIPE) as other,
    ):
        names = {f"process {os.getpid()}": "this one", f"process {other.pid}": "the other one"}

        for line in hub.client.run_orchestration(album, input=["sea.png", "hills.png"], timeout=PATIENCE):
            what, who = line.split(" by ")
            print(f"{what} by {names[who]}")

        other.communicate()


if __name__ == "__main__":
    if sys.argv[1:]:
        work_at(sys.argv[1])
    else:
        main()
