"""A data pipeline: extract, transform the partitions in parallel, load; with progress bars, and it goes on where it was when killed.

python examples/data_pipeline.py --db pipeline.sqlite3     # kill it, and run it again
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from durabletask_client import OrchestrationState, TaskHubGrpcClient
from durabletask_worker import ActivityContext, OrchestrationContext, Registry, when_any
from hub import task_hub
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

registry = Registry()
RUN = "pipeline-2024-01-01"
"""The id of the run: to start it again is to go on with it."""


@dataclass
class Progressing:
    """How far a run is, which it tells by its custom status."""

    partitions: int = 0
    transformed: int = 0
    loaded: bool = False


@dataclass
class Partition:
    """A part of the data."""

    number: int
    rows: list[int] = field(default_factory=list)


@registry.activity
def extract(ctx: ActivityContext, partitions: int) -> list[Partition]:
    """Read the data, in partitions."""
    print("extract")

    return [Partition(number, list(range(number * 100, number * 100 + 100))) for number in range(partitions)]


@registry.activity
def transform(ctx: ActivityContext, partition: Partition) -> int:
    """Work on a partition, which takes a while; return its sum."""
    time.sleep(0.1)
    sys.stdout.write(f"transform {partition.number}\n")  # one write, for many threads do

    return sum(partition.rows)


@registry.activity
def load(ctx: ActivityContext, sums: Sequence[int]) -> int:
    """Write the result."""
    print("load")

    return sum(sums)


@registry.orchestrator
async def pipeline(ctx: OrchestrationContext, partitions: int) -> int:
    """Run it. What is done is on record, and is not done again."""
    progress = Progressing(partitions)
    ctx.set_custom_status(progress)
    extracted = await ctx.call_activity(extract, partitions)
    running = [ctx.call_activity(transform, partition) for partition in extracted]
    open_ = set(running)

    while open_:
        open_.discard(await when_any([*open_]))
        progress.transformed = partitions - len(open_)
        ctx.set_custom_status(progress)

    total = await ctx.call_activity(load, [await task for task in running])
    progress.loaded = True
    ctx.set_custom_status(progress)

    return total


def watch(client: TaskHubGrpcClient, instance_id: str) -> OrchestrationState:
    """Draw how far a run is, until it has ended."""
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn())

    with Progress(*columns) as bars:
        transformed, loaded = bars.add_task("transform", total=None), bars.add_task("load", total=1)

        while True:
            state = client.get_orchestration_state(instance_id)
            assert state is not None
            progress = state.get_custom_status(Progressing) or Progressing()
            bars.update(transformed, total=progress.partitions or None, completed=progress.transformed)
            bars.update(loaded, completed=int(progress.loaded))

            if state.runtime_status.is_terminal:
                return state

            time.sleep(0.05)


def main() -> None:
    """Begin it, or go on with it."""
    with task_hub(__doc__, registry) as client:
        if client.get_orchestration_state(RUN) is None:
            client.schedule_new_orchestration(pipeline, input=20, instance_id=RUN)
        else:
            print("it was begun before")

        state = watch(client, RUN)
        state.raise_if_failed()
        print(f"the sum is {state.get_output(int)}")


if __name__ == "__main__":
    main()
