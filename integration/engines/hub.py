"""What the scenarios of this folder share: an engine with our worker and our client on it, and how to wait for what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from durabletask_client import OrchestrationState, OrchestrationStatus, TaskHubGrpcClient
from durabletask_worker import Registry, TaskHubGrpcWorker

STOPPED_WITHIN = 1.0
"""Seconds; an engine may have lost an item that the worker still has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """An engine, with a client of ours connected to it."""

    address: str
    """Where it is."""
    client: TaskHubGrpcClient
    """The client."""
    patience: float = 20.0
    """Seconds until a scenario gives up; none takes more than five."""

    def completed(self, instance_id: str) -> OrchestrationState:
        """The state of an instance, once it is terminal."""
        state = self.client.wait_for_orchestration_completion(instance_id, timeout=self.patience)
        assert state is not None, f"{instance_id} is gone"

        return state

    def started(self, orchestrator: Callable[..., Any], *, input: object = None, instance_id: str | None = None) -> str:
        """The id of a new instance whose first turn is committed."""
        instance_id = self.client.schedule_new_orchestration(orchestrator, input=input, instance_id=instance_id)
        assert self.client.wait_for_orchestration_start(instance_id, timeout=self.patience) is not None

        return instance_id

    def output(self, orchestrator: Callable[..., Any], *, input: object = None) -> Any:
        """What an orchestration returns that must complete."""
        return self.output_of(self.client.schedule_new_orchestration(orchestrator, input=input))

    def output_of(self, instance_id: str) -> Any:
        """What an instance returns that must complete."""
        state = self.completed(instance_id)
        assert state.runtime_status is OrchestrationStatus.COMPLETED, f"{instance_id} failed: {state.failure_details}"

        return state.get_output()

    def status(self, instance_id: str) -> OrchestrationStatus:
        """The status of an instance that is there."""
        state = self.client.get_orchestration_state(instance_id)
        assert state is not None, f"{instance_id} is unknown"

        return state.runtime_status

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Ask again and again until something is so that nothing waits for."""
        end = time.monotonic() + self.patience

        while not condition():
            assert time.monotonic() < end, f"not within {self.patience:g} s: {what}"
            time.sleep(0.02)


@contextmanager
def serving(address: str, registry: Registry) -> Generator[TaskHubGrpcWorker]:
    """Run a worker of ours."""
    worker = TaskHubGrpcWorker(host_address=address, registry=registry, grace_period=STOPPED_WITHIN)

    with worker:
        worker.start()
        yield worker


def fresh(prefix: str) -> str:
    """An instance id, or the prefix of some, that nobody else uses."""
    return f"{prefix}-{uuid4().hex}"
