"""What runs a second time: failed instances that are rewound, and ended ones that are restarted."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import grpc
from control import patient
from durabletask import history
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.task import ActivityContext, OrchestrationContext, when_all
from runs import Flow, completed, equal, fresh, output_of, refused, started, status

Status = OrchestrationStatus

_mended: set[str] = set()
"""The keys of what no longer fails."""
_ran: Counter[str] = Counter()
_ran_lock = threading.Lock()


def _count(what: str) -> None:
    with _ran_lock:
        _ran[what] += 1


def steady(_: ActivityContext, key: str) -> str:
    _count(f"steady {key}")
    return "steady"


def fragile(_: ActivityContext, key: str) -> str:
    _count(f"fragile {key}")

    if key not in _mended:
        raise RuntimeError("broken")

    return "mended"


def two_halves(ctx: OrchestrationContext, key: str) -> Flow:
    ctx.set_custom_status("begun")
    first = yield ctx.call_activity(steady, input=key)
    second = yield ctx.call_activity(fragile, input=key)

    return [first, second]


def over_halves(ctx: OrchestrationContext, key: str) -> Flow:
    good = yield ctx.call_sub_orchestrator(half, input=key, instance_id=f"{key}-good")
    bad = yield ctx.call_sub_orchestrator(two_halves, input=key, instance_id=f"{key}-bad")

    return [good, *bad]


def half(ctx: OrchestrationContext, key: str) -> Flow:
    return (yield ctx.call_activity(steady, input=key))


def side_by_side(ctx: OrchestrationContext, keys: list[str]) -> Flow:
    return (yield when_all([ctx.call_activity(fragile, input=key) for key in keys]))


def broken_itself(ctx: OrchestrationContext, key: str) -> Flow:
    first = yield ctx.call_activity(steady, input=key)

    # Not deterministic, as code is that was put right meanwhile.
    if key not in _mended:
        raise ValueError("bad code")

    return first


def remembering(ctx: OrchestrationContext, value: Any) -> Flow:
    yield ctx.call_activity(steady, input="remembering")

    return [value, ctx.version]


def _failed(client: TaskHubGrpcClient, orchestrator: Any, key: str) -> str:
    instance_id = client.schedule_new_orchestration(orchestrator, input=key)
    equal(completed(client, instance_id).runtime_status, Status.FAILED)

    return instance_id


def scenario_rewind_of_a_failed_activity(client: TaskHubGrpcClient) -> None:
    key = fresh("activity")
    instance_id = _failed(client, two_halves, key)
    before = completed(client, instance_id)
    _mended.add(key)
    client.rewind_orchestration(instance_id, reason="put right")
    state = completed(client, instance_id)
    equal((state.runtime_status, state.get_output()), (Status.COMPLETED, ["steady", "mended"]))
    equal((state.failure_details, state.created_at, state.get_custom_status()), (None, before.created_at, "begun"))
    equal((_ran[f"steady {key}"], _ran[f"fragile {key}"]), (1, 2), "what had succeeded is not done again")

    events = client.get_orchestration_history(instance_id)
    kinds = [type(event).__name__ for event in events]
    equal((kinds.count("TaskFailedEvent"), kinds.count("ExecutionCompletedEvent")), (0, 1))
    equal([event.reason for event in events if isinstance(event, history.ExecutionRewoundEvent)], ["put right"])


def scenario_rewind_of_a_failed_child(client: TaskHubGrpcClient) -> None:
    key = fresh("child")
    instance_id = _failed(client, over_halves, key)
    equal(status(client, f"{key}-bad"), Status.FAILED)
    _mended.add(key)
    client.rewind_orchestration(instance_id)
    equal(output_of(client, instance_id), ["steady", "steady", "mended"])
    equal(output_of(client, f"{key}-bad"), ["steady", "mended"])
    equal((_ran[f"steady {key}"], _ran[f"fragile {key}"]), (2, 2), "what had succeeded is not done again")


def scenario_rewind_of_a_child_alone(client: TaskHubGrpcClient) -> None:
    key = fresh("alone")
    instance_id = _failed(client, over_halves, key)
    _mended.add(key)
    client.rewind_orchestration(f"{key}-bad")
    equal(output_of(client, f"{key}-bad"), ["steady", "mended"])
    equal(status(client, instance_id), Status.FAILED)
    client.rewind_orchestration(instance_id)
    equal(output_of(client, instance_id), ["steady", "steady", "mended"])


def scenario_rewind_of_some_of_many(client: TaskHubGrpcClient) -> None:
    keys = [fresh(f"many-{number}") for number in range(6)]
    _mended.update(keys[::2])
    instance_id = client.schedule_new_orchestration(side_by_side, input=keys)
    equal(completed(client, instance_id).runtime_status, Status.FAILED)
    _mended.update(keys)
    client.rewind_orchestration(instance_id)
    equal(output_of(client, instance_id), ["mended"] * 6)


def scenario_rewind_of_broken_code(client: TaskHubGrpcClient) -> None:
    key = fresh("code")
    instance_id = _failed(client, broken_itself, key)
    _mended.add(key)
    client.rewind_orchestration(instance_id)
    equal(output_of(client, instance_id), "steady")
    equal(_ran[f"steady {key}"], 1)


def scenario_rewind_twice(client: TaskHubGrpcClient) -> None:
    key = fresh("twice")
    instance_id = _failed(client, two_halves, key)
    client.rewind_orchestration(instance_id)
    equal(completed(client, instance_id).runtime_status, Status.FAILED, "it was not put right")
    _mended.add(key)
    client.rewind_orchestration(instance_id)
    equal(output_of(client, instance_id), ["steady", "mended"])
    equal((_ran[f"steady {key}"], _ran[f"fragile {key}"]), (1, 3))


def scenario_rewind_refused(client: TaskHubGrpcClient) -> None:
    unknown = fresh("unknown")

    with refused(grpc.StatusCode.NOT_FOUND, naming=unknown):
        client.rewind_orchestration(unknown)

    running = started(client, patient)

    with refused(grpc.StatusCode.FAILED_PRECONDITION, naming=running):
        client.rewind_orchestration(running)

    client.raise_orchestration_event(running, "answer", data=1)
    equal(output_of(client, running), 1, "it goes on as if nothing had been asked")

    with refused(grpc.StatusCode.FAILED_PRECONDITION, naming=running):
        client.rewind_orchestration(running)


def scenario_restart_with_the_same_id(client: TaskHubGrpcClient) -> None:
    tags = {"team": "blue"}
    instance_id = client.schedule_new_orchestration(remembering, input={"n": 1}, version="1.5", tags=tags)
    equal(output_of(client, instance_id), [{"n": 1}, "1.5"])
    before = completed(client, instance_id)

    equal(client.restart_orchestration(instance_id), instance_id)
    state = completed(client, instance_id)
    equal(
        (state.runtime_status, state.get_input(), state.get_output()), (Status.COMPLETED, {"n": 1}, [{"n": 1}, "1.5"])
    )
    assert state.created_at > before.created_at, (state.created_at, before.created_at)

    [start] = [e for e in client.get_orchestration_history(instance_id) if isinstance(e, history.ExecutionStartedEvent)]
    equal((start.name, start.version, start.tags), ("remembering", "1.5", tags))


def scenario_restart_with_a_new_id(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(remembering, input="x", version="1.5")
    output_of(client, instance_id)
    copy = client.restart_orchestration(instance_id, restart_with_new_instance_id=True)
    assert copy != instance_id, copy
    equal(output_of(client, copy), ["x", "1.5"])
    equal(status(client, instance_id), Status.COMPLETED)


def scenario_restart_of_what_ended_badly(client: TaskHubGrpcClient) -> None:
    key = fresh("restarted")
    failed = _failed(client, two_halves, key)
    _mended.add(key)
    client.restart_orchestration(failed)
    equal(output_of(client, failed), ["steady", "mended"])
    equal(_ran[f"steady {key}"], 2, "a restart begins at the beginning")

    terminated = started(client, patient, input="x")
    client.terminate_orchestration(terminated, output="enough")
    completed(client, terminated)
    client.restart_orchestration(terminated)
    client.raise_orchestration_event(terminated, "answer", data=2)
    equal(output_of(client, terminated), 2)


def scenario_restart_refused(client: TaskHubGrpcClient) -> None:
    unknown = fresh("unknown")

    for new in (False, True):
        with refused(grpc.StatusCode.NOT_FOUND, naming=unknown):
            client.restart_orchestration(unknown, restart_with_new_instance_id=new)

    running = started(client, patient, input="x")

    with refused(grpc.StatusCode.FAILED_PRECONDITION, naming=running):
        client.restart_orchestration(running)

    copy = client.restart_orchestration(running, restart_with_new_instance_id=True)

    for number, instance_id in enumerate((running, copy)):
        client.raise_orchestration_event(instance_id, "answer", data=number)
        state = completed(client, instance_id)
        equal((state.get_input(), state.get_output()), ("x", number))


ACTIVITIES = (steady, fragile)
ORCHESTRATORS = (two_halves, over_halves, half, side_by_side, broken_itself, remembering)
