"""What the scenarios share: starting an orchestration, waiting for what comes of it, and the types of their code."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import grpc
from durabletask.client import OrchestrationState, OrchestrationStatus, TaskHubGrpcClient
from durabletask.task import OrchestrationContext, Task

Flow = Generator[Task[Any], Any, Any]
"""What an orchestrator with steps returns."""
Orchestrator = Callable[[OrchestrationContext, Any], Any]

PATIENCE = 20.0
"""Seconds until a scenario gives up; none takes more than five."""


def fresh(prefix: str) -> str:
    """An instance id, or the prefix of some, that nobody else uses."""
    return f"{prefix}-{uuid4().hex}"


def completed(client: TaskHubGrpcClient, instance_id: str) -> OrchestrationState:
    """The state of an instance, once it is terminal."""
    state = client.wait_for_orchestration_completion(instance_id, timeout=PATIENCE)
    assert state is not None, f"{instance_id} is gone"

    return state


def started(client: TaskHubGrpcClient, orchestrator: Orchestrator, *, input: object = None) -> str:
    """The id of a new instance whose first turn is committed."""
    instance_id = client.schedule_new_orchestration(orchestrator, input=input)
    assert client.wait_for_orchestration_start(instance_id, timeout=PATIENCE) is not None

    return instance_id


def output(client: TaskHubGrpcClient, orchestrator: Orchestrator, *, input: object = None) -> Any:
    """What an orchestration returns that must complete."""
    return output_of(client, client.schedule_new_orchestration(orchestrator, input=input))


def output_of(client: TaskHubGrpcClient, instance_id: str) -> Any:
    """What an instance returns that must complete."""
    state = completed(client, instance_id)
    equal(state.runtime_status, OrchestrationStatus.COMPLETED, f"{instance_id}: {state.failure_details}")

    return state.get_output()


def status(client: TaskHubGrpcClient, instance_id: str) -> OrchestrationStatus:
    """The status of an instance that is there."""
    state = client.get_orchestration_state(instance_id)
    assert state is not None, f"{instance_id} is unknown"

    return state.runtime_status


def stub(client: TaskHubGrpcClient) -> Any:
    """The RPCs themselves, for what the SDK's client has no call for."""
    return client._stub  # noqa: SLF001


def until(condition: Callable[[], bool], what: str) -> None:
    """Ask again and again until something is so that nothing waits for."""
    end = time.monotonic() + PATIENCE

    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.02)


def equal(found: object, expected: object, what: str = "") -> None:
    """Say both when they differ."""
    assert found == expected, f"{what}\nfound    {found!r}\nexpected {expected!r}"


@contextmanager
def refused(code: grpc.StatusCode, *, naming: str) -> Generator[None]:
    """A call that must fail, with this status and this in its text."""
    failed: grpc.RpcError | None = None

    try:
        yield
    except grpc.RpcError as error:
        failed = error

    assert isinstance(failed, grpc.Call), f"was not refused with {code}"
    text = failed.details() or ""
    equal(failed.code(), code, text)
    assert naming in text, f"{text!r} does not name {naming!r}"
