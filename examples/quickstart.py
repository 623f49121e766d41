"""Quickstart: a server on a SQLite file, a worker, a client; two orchestrations, their results, and what is on record."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import activity_sequence
import fan_out_fan_in
from activity_sequence import greet_cities
from durabletask_client import HistoryEvent, TaskHubGrpcClient
from durabletask_worker import Registry, TaskHubGrpcWorker
from fan_out_fan_in import update_devices
from hub import result
from server import started_server

registry = Registry()
registry.include(activity_sequence, fan_out_fan_in)

DATABASE = Path(__file__).resolve().parents[1] / ".demo" / "quickstart.sqlite3"


def main() -> None:
    """Run both, one after the other, and print the history of the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--db", metavar="FILE", type=Path, default=DATABASE, help="the SQLite file [default: %(default)s]"
    )
    options = parser.parse_args()

    with (
        started_server(options.db) as address,
        TaskHubGrpcWorker(host_address=address, registry=registry) as worker,
        TaskHubGrpcClient(host_address=address) as client,
    ):
        known = len(client.get_all_orchestration_states())
        print(f"The server listens on {address}; it has {known} orchestrations on record.")

        worker.start()
        print("The worker waits for work.\n\nActivity sequence: three cities, one after the other")

        started = time.perf_counter()
        greeting = client.schedule_new_orchestration(greet_cities)
        cities = result(client, greeting, list[str])
        print(f"result after {_since(started)}: {cities}")

        print("\nFan-out/fan-in: 20 devices at the same time")
        started = time.perf_counter()
        update = client.schedule_new_orchestration(update_devices, input=20)
        rate = result(client, update, float)
        print(f"result after {_since(started)}: {rate:.0%} succeeded")

        print(f"\nThe history of {greeting}:")
        for row in _table(client.get_orchestration_history(greeting)):
            print(row)


def _since(started: float) -> str:
    return f"{(time.perf_counter() - started) * 1000:.0f} ms"


def _table(history: Sequence[HistoryEvent]) -> Iterator[str]:
    begin = min(event.timestamp for event in history)
    yield f"{'ms':>6}  {'event':<22}  what"

    for event in history:
        elapsed = (event.timestamp - begin).total_seconds() * 1000
        yield f"{elapsed:>6.0f}  {event.kind:<22}  {_what(event)}".rstrip()


def _what(event: HistoryEvent) -> str:
    details = event.details
    number = details.get("taskScheduledId", event.event_id if "Scheduled" in event.kind else None)
    words = [
        "" if number is None else f"#{number}",
        str(details.get("name", "")),
        *(f"{name}: {details[name]}" for name in ("input", "result") if details.get(name) is not None),
    ]

    return "  ".join(word for word in words if word)


if __name__ == "__main__":
    main()
