"""What a commit costs: batches a second, and microseconds a batch, for the engine's usual mix of mutations.

    python commit_cost.py [--folder DIR] [--completed 100000] [--seconds 3] [--synchronous FULL] [SIZE ...]

Each orchestration is four mutations, each in a batch of its own: it is created, a turn schedules one activity, the activity is
answered, and a last turn completes it. Batches larger than one hold as many orchestrations at each of the four stages.
"""

# ruff: noqa: T201 - its table is what it is for
from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from durabletask_backend.mutations import Batch, CompleteTask, CompleteTurn, CreateInstance, Mutation
from durabletask_backend.values import Instance, InstanceKey, Lease, RuntimeStatus, Task, TaskKey
from durabletask_sqlite import SqliteBackend

_EVENT = b"\x1a\xc8\x01" + bytes(200)
_EPOCH = 1_700_000_000_000_000


class Load:
    """The mutations of an endless stream of orchestrations."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._stages: tuple[deque[tuple[InstanceKey, int]], ...] = (deque(), deque(), deque())
        self._made = 0
        self._batches = 0

    def batch(self, size: int) -> Batch:
        """The next batch: as many of each stage as there are, filled up with new orchestrations."""
        mutations: list[Mutation] = []
        share = -(-size // 4)

        for stage, make in ((2, self._last), (1, self._answer), (0, self._first)):
            waiting = self._stages[stage]

            while waiting and len(mutations) < size and share * (3 - stage) > len(mutations):
                mutations.append(make(*waiting.popleft()))

        while len(mutations) < size:
            mutations.append(self._create())

        self._batches += 1

        return Batch(
            id=f"{self._lease.owner}.{self._lease.epoch}.{self._batches}", lease=self._lease, mutations=mutations
        )

    def note(self, batch: Batch, sequences: Iterator[int]) -> None:
        """Take the sequences of the messages that a batch has put in inboxes."""
        for mutation, sequence in zip(batch.mutations, sequences, strict=True):
            match mutation:
                case CreateInstance():
                    self._stages[0].append((mutation.instance.key, sequence))
                case CompleteTurn() if mutation.tasks:
                    self._stages[1].append((mutation.key, 0))
                case CompleteTask():
                    self._stages[2].append((mutation.task.instance, sequence))

    def _create(self) -> CreateInstance:
        self._made += 1
        instance = Instance(
            key=InstanceKey("default", uuid.uuid4().hex),
            execution_id="e",
            name="benchmark",
            status=RuntimeStatus.PENDING,
            created_at=_EPOCH + self._made,
            updated_at=_EPOCH + self._made,
            input="x" * 100,
        )

        return CreateInstance(instance=instance, start=_EVENT)

    def _first(self, key: InstanceKey, sequence: int) -> CompleteTurn:
        return CompleteTurn(
            key=key,
            execution_id="e",
            turn=0,
            status=RuntimeStatus.RUNNING,
            updated_at=_EPOCH + self._made,
            history=_EVENT * 3,
            history_count=3,
            consumed=(sequence,),
            tasks=(Task(key=TaskKey(*key, "e", 0), name="activity", payload=_EVENT),),
        )

    def _answer(self, key: InstanceKey, sequence: int) -> CompleteTask:
        return CompleteTask(task=TaskKey(*key, "e", 0), payload=_EVENT)

    def _last(self, key: InstanceKey, sequence: int) -> CompleteTurn:
        return CompleteTurn(
            key=key,
            execution_id="e",
            turn=1,
            status=RuntimeStatus.COMPLETED,
            updated_at=_EPOCH + self._made,
            completed_at=_EPOCH + self._made,
            output="x" * 100,
            history=_EVENT * 3,
            history_first=3,
            history_count=3,
            consumed=(sequence,),
        )


async def run(backend: SqliteBackend, load: Load, size: int, *, seconds: float = 0.0, batches: int = 0) -> int:
    """Commit batches one after the other, for a time or a number of them."""
    done = 0
    end = time.perf_counter() + seconds

    while done < batches or time.perf_counter() < end:
        batch = load.batch(size)
        outcomes = await backend.commit(batch)
        load.note(batch, (outcome.sequence for outcome in outcomes))
        done += 1

    return done


async def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=[1, 10, 50, 200], help="mutations a batch")
    parser.add_argument("--folder", help="where to put the database; default: a temporary folder")
    parser.add_argument("--completed", type=int, default=0, help="completed instances to begin with")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to measure each size")
    parser.add_argument("--synchronous", default="FULL")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "hub.sqlite3"

        if options.completed:
            backend = SqliteBackend(path, synchronous="OFF")
            lease = await backend.open("fill")
            await backend.create_hub("default", b"secret")
            await run(backend, Load(lease), 1000, batches=4 * options.completed // 1000)
            await backend.close()

        started = time.perf_counter()
        backend = SqliteBackend(path, synchronous=options.synchronous)
        lease = await backend.open("benchmark")
        print(f"opened in {(time.perf_counter() - started) * 1000:.0f} ms; {path.stat().st_size / 1e6:.1f} MB")
        await backend.create_hub("default", b"secret")
        load = Load(lease)
        print(
            f"{'mutations a batch':>18} {'batches/s':>10} {'us a batch':>11} {'us CPU a batch':>15} {'mutations/s':>12}"
        )

        for size in options.sizes:
            await run(backend, load, size, batches=20)
            cpu = _cpu()
            started = time.perf_counter()
            done = await run(backend, load, size, seconds=options.seconds)
            took = time.perf_counter() - started
            print(
                f"{size:>18} {done / took:>10.0f} {took / done * 1e6:>11.0f} {(_cpu() - cpu) / done * 1e6:>15.0f} "
                f"{done * size / took:>12.0f}"
            )

        await backend.close()


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)

    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    asyncio.run(main())
