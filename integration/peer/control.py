"""What a client does to an instance from outside: terminate, suspend, look, use its id again."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.internal.orchestrator_service_pb2 import OrchestrationIdReusePolicy
from durabletask.task import OrchestrationContext
from flows import listening
from runs import PATIENCE, Flow, completed, equal, fresh, output_of, refused, started, status, until

Status = OrchestrationStatus


def patient(ctx: OrchestrationContext, label: str | None) -> Flow:
    ctx.set_custom_status({"label": label})
    answer = yield ctx.wait_for_external_event("answer")
    ctx.set_custom_status({"label": label, "answer": answer})

    return answer


def guardian(ctx: OrchestrationContext, child_id: str) -> Flow:
    return (yield ctx.call_sub_orchestrator(patient, instance_id=child_id))


def moment(ctx: OrchestrationContext, _: None) -> str:
    return ctx.current_utc_datetime.isoformat()


def scenario_terminate(client: TaskHubGrpcClient) -> None:
    instance_id = started(client, patient)
    client.terminate_orchestration(instance_id, output={"why": "enough"})
    state = completed(client, instance_id)
    equal((state.runtime_status, state.get_output()), (Status.TERMINATED, {"why": "enough"}))

    client.terminate_orchestration(instance_id, output="again")
    client.raise_orchestration_event(instance_id, "answer", data="late")
    state = completed(client, instance_id)
    equal(state.get_output(), {"why": "enough"}, "nothing changes what is terminal")


def _guarded(client: TaskHubGrpcClient) -> tuple[str, str]:
    child_id = fresh("child")
    parent_id = started(client, guardian, input=child_id)
    until(lambda: client.get_orchestration_state(child_id) is not None, "the child is there")
    client.wait_for_orchestration_start(child_id, timeout=PATIENCE)

    return parent_id, child_id


def scenario_terminate_with_children(client: TaskHubGrpcClient) -> None:
    parent_id, child_id = _guarded(client)
    client.terminate_orchestration(parent_id, output="enough", recursive=True)
    equal(completed(client, parent_id).runtime_status, Status.TERMINATED)
    equal(completed(client, child_id).runtime_status, Status.TERMINATED)


def scenario_terminate_without_children(client: TaskHubGrpcClient) -> None:
    parent_id, child_id = _guarded(client)
    client.terminate_orchestration(parent_id, recursive=False)
    equal(completed(client, parent_id).runtime_status, Status.TERMINATED)
    equal(status(client, child_id), Status.RUNNING)
    client.raise_orchestration_event(child_id, "answer", data=1)
    equal(output_of(client, child_id), 1)


def scenario_terminated_child_is_told_to_its_parent(client: TaskHubGrpcClient) -> None:
    parent_id, child_id = _guarded(client)
    client.terminate_orchestration(child_id, output="enough")
    equal(completed(client, parent_id).runtime_status, Status.FAILED)


def scenario_suspend_and_resume(client: TaskHubGrpcClient) -> None:
    instance_id = started(client, patient)
    client.suspend_orchestration(instance_id, reason="lunch")
    until(lambda: status(client, instance_id) is Status.SUSPENDED, "suspended")

    client.raise_orchestration_event(instance_id, "answer", data="kept")

    try:
        client.wait_for_orchestration_completion(instance_id, timeout=0.3)
    except TimeoutError:
        equal(status(client, instance_id), Status.SUSPENDED)
    else:
        raise AssertionError("went on while it was suspended")

    client.resume_orchestration(instance_id)
    equal(output_of(client, instance_id), "kept")
    kinds = [type(event).__name__ for event in client.get_orchestration_history(instance_id)]
    equal((kinds.count("ExecutionSuspendedEvent"), kinds.count("ExecutionResumedEvent")), (1, 1))


def scenario_events_wait_while_suspended(client: TaskHubGrpcClient) -> None:
    instance_id = started(client, listening, input=20)
    client.raise_orchestration_event(instance_id, "news", data=0)
    client.suspend_orchestration(instance_id)
    client.suspend_orchestration(instance_id)
    until(lambda: status(client, instance_id) is Status.SUSPENDED, "suspended")

    for number in range(1, 20):
        client.raise_orchestration_event(instance_id, "news", data=number)

    equal(status(client, instance_id), Status.SUSPENDED)
    client.resume_orchestration(instance_id)
    equal(output_of(client, instance_id), list(range(20)))

    client.suspend_orchestration(instance_id)
    equal(status(client, instance_id), Status.COMPLETED, "what is terminal is not suspended")


def scenario_terminate_while_suspended(client: TaskHubGrpcClient) -> None:
    instance_id = started(client, patient)
    client.suspend_orchestration(instance_id)
    until(lambda: status(client, instance_id) is Status.SUSPENDED, "suspended")
    client.terminate_orchestration(instance_id, output="enough")
    equal(completed(client, instance_id).runtime_status, Status.TERMINATED)


def scenario_custom_status(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(patient, input="x")
    state = client.wait_for_orchestration_start(instance_id, fetch_payloads=True, timeout=PATIENCE)
    assert state is not None
    equal((state.runtime_status, state.get_custom_status()), (Status.RUNNING, {"label": "x"}))

    client.raise_orchestration_event(instance_id, "answer", data=7)
    equal(completed(client, instance_id).get_custom_status(), {"label": "x", "answer": 7})


def scenario_scheduled_start(client: TaskHubGrpcClient) -> None:
    due = datetime.now(UTC) + timedelta(seconds=1)
    instance_id = client.schedule_new_orchestration(moment, start_at=due)
    equal(status(client, instance_id), Status.PENDING)
    ran = datetime.fromisoformat(output_of(client, instance_id))
    assert ran.replace(tzinfo=UTC) >= due - timedelta(milliseconds=1), (ran, due)


def scenario_event_before_the_start(client: TaskHubGrpcClient) -> None:
    due = datetime.now(UTC) + timedelta(seconds=1)
    instance_id = client.schedule_new_orchestration(listening, input=2, start_at=due)

    for number in range(2):
        client.raise_orchestration_event(instance_id, "news", data=number)

    equal(status(client, instance_id), Status.PENDING, "an event does not start it early")
    equal(output_of(client, instance_id), [0, 1])
    assert datetime.now(UTC) >= due


def scenario_terminate_before_the_start(client: TaskHubGrpcClient) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    instance_id = client.schedule_new_orchestration(moment, start_at=due)
    equal(client.purge_orchestration(instance_id).deleted_instance_count, 0)
    client.terminate_orchestration(instance_id, output="never")
    state = completed(client, instance_id)
    equal((state.runtime_status, state.get_output()), (Status.TERMINATED, "never"))


def scenario_waits_time_out(client: TaskHubGrpcClient) -> None:
    waits = (
        lambda: client.wait_for_orchestration_completion(started(client, patient), timeout=0.2),
        lambda: client.wait_for_orchestration_start(fresh("unknown"), timeout=0.2),
    )

    for wait in waits:
        try:
            wait()
        except TimeoutError:
            continue

        raise AssertionError("did not time out")


def scenario_unknown_instance(client: TaskHubGrpcClient) -> None:
    unknown = fresh("unknown")
    equal(client.get_orchestration_state(unknown), None)
    client.terminate_orchestration(unknown)
    equal(client.purge_orchestration(unknown).deleted_instance_count, 0)

    with refused(grpc.StatusCode.NOT_FOUND, naming=unknown):
        client.raise_orchestration_event(unknown, "answer")

    with refused(grpc.StatusCode.NOT_FOUND, naming=unknown):
        client.suspend_orchestration(unknown)

    with refused(grpc.StatusCode.NOT_FOUND, naming=unknown):
        client.resume_orchestration(unknown)

    with refused(grpc.StatusCode.NOT_FOUND, naming=unknown):
        client.get_orchestration_history(unknown)


def scenario_bad_start(client: TaskHubGrpcClient) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, naming="name"):
        client.schedule_new_orchestration("")

    with refused(grpc.StatusCode.INVALID_ARGUMENT, naming="@counter@one"):
        client.schedule_new_orchestration(moment, instance_id="@counter@one")


def scenario_duplicate_id(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(patient, input="first", instance_id=fresh("same"))

    with refused(grpc.StatusCode.ALREADY_EXISTS, naming=instance_id):
        client.schedule_new_orchestration(patient, input="second", instance_id=instance_id)

    client.raise_orchestration_event(instance_id, "answer", data=1)
    equal(completed(client, instance_id).get_input(), "first")

    equal(client.schedule_new_orchestration(patient, input="second", instance_id=instance_id), instance_id)
    client.raise_orchestration_event(instance_id, "answer", data=2)
    state = completed(client, instance_id)
    equal((state.get_input(), state.get_output()), ("second", 2), "a terminal instance makes way for a new one")


def _replaceable(*statuses: OrchestrationStatus) -> OrchestrationIdReusePolicy:
    return OrchestrationIdReusePolicy(replaceableStatus=[status.value for status in statuses])


def scenario_reuse_of_an_ended_id(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(moment, instance_id=fresh("ended"))
    first = output_of(client, instance_id)

    for policy in (_replaceable(), _replaceable(Status.FAILED, Status.TERMINATED)):
        with refused(grpc.StatusCode.ALREADY_EXISTS, naming=instance_id):
            client.schedule_new_orchestration(moment, instance_id=instance_id, reuse_id_policy=policy)

    equal(output_of(client, instance_id), first)
    policy = _replaceable(Status.COMPLETED)
    client.schedule_new_orchestration(patient, input="new", instance_id=instance_id, reuse_id_policy=policy)
    client.raise_orchestration_event(instance_id, "answer", data=1)
    state = completed(client, instance_id)
    equal((state.name, state.get_input(), state.get_output()), ("patient", "new", 1))


def scenario_reuse_of_a_running_id(client: TaskHubGrpcClient) -> None:
    instance_id = started(client, patient, input="old")

    with refused(grpc.StatusCode.ALREADY_EXISTS, naming=instance_id):
        policy = _replaceable(Status.COMPLETED, Status.TERMINATED)
        client.schedule_new_orchestration(patient, instance_id=instance_id, reuse_id_policy=policy)

    with refused(grpc.StatusCode.INVALID_ARGUMENT, naming="cannot exclude 'Terminated'"):
        policy = _replaceable(Status.RUNNING)
        client.schedule_new_orchestration(patient, instance_id=instance_id, reuse_id_policy=policy)

    equal(
        (status(client, instance_id), client.get_orchestration_state(instance_id).get_input()), (Status.RUNNING, "old")
    )
    policy = _replaceable(Status.RUNNING, Status.TERMINATED)
    client.schedule_new_orchestration(patient, input="new", instance_id=instance_id, reuse_id_policy=policy)
    client.raise_orchestration_event(instance_id, "answer", data=1)
    state = completed(client, instance_id)
    equal((state.get_input(), state.get_output()), ("new", 1))


ORCHESTRATORS = (patient, guardian, moment)
