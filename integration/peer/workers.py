"""Workers and clients of a scenario's own, where how they are set up is what is tried."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
from durabletask.client import TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker, VersioningOptions, WorkItemFilters

Metadata = list[tuple[str, str]]

log = logging.getLogger("peer")


class Calls(grpc.UnaryUnaryClientInterceptor):
    """When a worker has called what."""

    def __init__(self) -> None:
        self._times: defaultdict[str, list[float]] = defaultdict(list)
        self._lock = threading.Lock()

    def times(self, rpc: str) -> list[float]:
        """The moments, on the monotonic clock, when it called an RPC."""
        with self._lock:
            return list(self._times[rpc])

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Note the call, and let it pass."""
        method = client_call_details.method
        text = method.decode() if isinstance(method, bytes) else method

        with self._lock:
            self._times[text.rsplit("/", 1)[-1]].append(time.monotonic())

        return continuation(client_call_details, request)


@contextmanager
def serving(
    address: str,
    *,
    orchestrators: Sequence[Callable[..., Any]] = (),
    activities: Sequence[Callable[..., Any]] = (),
    entities: Sequence[Any] = (),
    versioning: VersioningOptions | None = None,
    filters: WorkItemFilters | None = None,
    only_its_own: bool = False,
    metadata: Metadata | None = None,
    calls: Calls | None = None,
) -> Generator[None]:
    """Run a worker.

    Args:
        address: Where the sidecar is.
        orchestrators: What it is to have.
        activities: What it is to have.
        entities: What it is to have.
        versioning: Which versions it takes.
        filters: Which work it asks for.
        only_its_own: It asks for the work that it has, as the SDK writes that.
        metadata: What it says with every call.
        calls: Where its calls are noted.
    """
    interceptors = None if calls is None else [calls]

    with TaskHubGrpcWorker(host_address=address, logger=log, metadata=metadata, interceptors=interceptors) as worker:
        for orchestrator in orchestrators:
            worker.add_orchestrator(orchestrator)

        for activity in activities:
            worker.add_activity(activity)

        for entity in entities:
            worker.add_entity(entity)

        if versioning is not None:
            worker.use_versioning(versioning)

        if only_its_own:
            worker.use_work_item_filters()
        elif filters is not None:
            worker.use_work_item_filters(filters)

        worker.start()
        yield


@contextmanager
def connected(
    address: str, *, metadata: Metadata | None = None, default_version: str | None = None
) -> Generator[TaskHubGrpcClient]:
    """A client of one's own."""
    client = TaskHubGrpcClient(host_address=address, logger=log, metadata=metadata, default_version=default_version)

    with client:
        yield client
