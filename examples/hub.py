"""What the examples share: the line that decides where one runs, and the wait for a result."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from durabletask_backend.errors import BackendError
from durabletask_client import TaskHubGrpcClient
from durabletask_embedded import TaskHub
from durabletask_worker import Registry, TaskHubGrpcWorker

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds that an orchestration may take here."""


@contextmanager
def task_hub(description: str, registry: Registry) -> Iterator[TaskHubGrpcClient]:
    """A task hub that hosts `registry`, for as long as the context lasts.

    The program's command line decides where it is. By default it is embedded: engine, worker and client are in this process, and
    keep everything in memory, or with `--db FILE` in a SQLite file. `--server HOST:PORT` hosts the registry on a server that
    runs, with a worker.

    Args:
        description: What `--help` says of the program.
        registry: What the hub hosts.

    Yields:
        A client of the hub.

    Raises:
        SystemExit: The file cannot be opened; with the reason.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--db", metavar="FILE", default="", help="the SQLite file to keep everything in [default: memory]"
    )
    where.add_argument("--server", metavar="HOST:PORT", help="run on this server, instead of in this process")
    options = parser.parse_args()

    if options.server:
        with _remote(options.server, registry) as client:
            yield client
    else:
        with _embedded(options.db, registry) as client:
            yield client


@contextmanager
def _embedded(location: str, registry: Registry) -> Iterator[TaskHubGrpcClient]:
    try:
        hub = TaskHub(location, registry).start()
    except BackendError as error:
        raise SystemExit(f"the hub did not start: {error}") from None

    with hub:
        yield hub.client


@contextmanager
def _remote(address: str, registry: Registry) -> Iterator[TaskHubGrpcClient]:
    with (
        TaskHubGrpcWorker(host_address=address, registry=registry) as worker,
        TaskHubGrpcClient(host_address=address) as client,
    ):
        worker.use_work_item_filters()  # what else is to be done there is for others
        worker.start()

        yield client


def result(client: TaskHubGrpcClient, instance_id: str, kind: type[T]) -> T:
    """Wait until an orchestration has ended.

    Args:
        client: A client of its hub.
        instance_id: The orchestration.
        kind: The type of its result.

    Returns:
        Its result.

    Raises:
        OrchestrationFailedError: It failed.
        TimeoutError: It takes longer than `PATIENCE`.
    """
    state = client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
    assert state is not None, "nobody purges it here"
    state.raise_if_failed()
    output = state.get_output(kind)
    assert output is not None, "they all return something"

    return output
