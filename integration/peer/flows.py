"""What orchestrations do: activities, timers, events, children, generations, retries and failures."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

from durabletask.client import OrchestrationStatus, TaskHubGrpcClient
from durabletask.task import ActivityContext, OrchestrationContext, RetryPolicy, when_all, when_any
from runs import Flow, completed, equal, fresh, output, output_of, started

_attempts: Counter[str] = Counter()
_attempts_lock = threading.Lock()

TWICE_MORE = RetryPolicy(first_retry_interval=timedelta(milliseconds=50), max_number_of_attempts=3)


def double(_: ActivityContext, number: int) -> int:
    return 2 * number


def echo(_: ActivityContext, value: Any) -> Any:
    return value


def fail_nested(_: ActivityContext, reason: str) -> None:
    try:
        raise KeyError(reason)
    except KeyError as error:
        raise ValueError(f"cannot work: {reason}") from error


def succeed_at_third(_: ActivityContext, key: str) -> int:
    return _attempt(key)


def _attempt(key: str) -> int:
    with _attempts_lock:
        _attempts[key] += 1  # durabletask: ignore[DT401]
        attempt = _attempts[key]

    if attempt < 3:
        raise RuntimeError(f"attempt {attempt} fails")

    return attempt


def in_sequence(ctx: OrchestrationContext, number: int) -> Flow:
    for _ in range(3):
        number = yield ctx.call_activity(double, input=number)

    return number


def scenario_sequence(client: TaskHubGrpcClient) -> None:
    equal(output(client, in_sequence, input=5), 40)


def fan_out(ctx: OrchestrationContext, width: int) -> Flow:
    return (yield when_all([ctx.call_activity(double, input=number) for number in range(width)]))


def scenario_fan_out_of_50(client: TaskHubGrpcClient) -> None:
    equal(output(client, fan_out, input=50), [2 * number for number in range(50)])


def echoing(ctx: OrchestrationContext, value: Any) -> Flow:
    return (yield ctx.call_activity(echo, input=value))


def scenario_payloads_stay_as_they_are(client: TaskHubGrpcClient) -> None:
    for value in ("", "žluťoučký 🐎", {"a": [1, None, {"b": ""}]}, 0, False, "x" * 300_000):
        equal(output(client, echoing, input=value), value)

    equal(output(client, echoing), None)


def timing(ctx: OrchestrationContext, milliseconds: int) -> Flow:
    before = ctx.current_utc_datetime
    yield ctx.create_timer(timedelta(milliseconds=milliseconds))

    return (ctx.current_utc_datetime - before) / timedelta(milliseconds=1)


def scenario_timer(client: TaskHubGrpcClient) -> None:
    waited = output(client, timing, input=300)
    assert 300 <= waited < 5000, waited


def listening(ctx: OrchestrationContext, count: int) -> Flow:
    heard: list[Any] = []

    while len(heard) < count:
        heard.append((yield ctx.wait_for_external_event("News")))

    return heard


def scenario_external_event(client: TaskHubGrpcClient) -> None:
    instance_id = started(client, listening, input=3)

    for number, name in enumerate(("News", "news", "NEWS")):
        client.raise_orchestration_event(instance_id, name, data={"number": number})

    equal(output_of(client, instance_id), [{"number": number} for number in range(3)])


def impatient(ctx: OrchestrationContext, milliseconds: int) -> Flow:
    event = ctx.wait_for_external_event("answer")
    timeout = ctx.create_timer(timedelta(milliseconds=milliseconds))
    first = yield when_any([event, timeout])

    return event.get_result() if first is event else "nobody answered"


def scenario_external_event_with_timeout(client: TaskHubGrpcClient) -> None:
    equal(output(client, impatient, input=200), "nobody answered")

    in_time = started(client, impatient, input=60_000)
    client.raise_orchestration_event(in_time, "answer", data=42)
    equal(output_of(client, in_time), 42)


def telling(ctx: OrchestrationContext, other: str) -> Flow:
    ctx.send_event(other, "news", data=f"from {ctx.instance_id}")
    yield ctx.create_timer(timedelta())


def scenario_event_to_another_instance(client: TaskHubGrpcClient) -> None:
    listener = started(client, listening, input=1)
    teller = client.schedule_new_orchestration(telling, input=listener)
    equal(output_of(client, listener), [f"from {teller}"])
    output_of(client, teller)


def parent(ctx: OrchestrationContext, child_id: str) -> Flow:
    named = ctx.call_sub_orchestrator(in_sequence, input=1, instance_id=child_id)
    unnamed = [ctx.call_sub_orchestrator(in_sequence, input=number) for number in (2, 3)]

    return (yield when_all([named, *unnamed]))


def scenario_sub_orchestrations(client: TaskHubGrpcClient) -> None:
    child_id = fresh("child")
    equal(output(client, parent, input=child_id), [8, 16, 24])
    equal(output_of(client, child_id), 8)


def counting(ctx: OrchestrationContext, number: int) -> Flow:
    number = yield ctx.call_activity(echo, input=number + 1)

    if number < 5:
        ctx.continue_as_new(number)

    return number


def scenario_continue_as_new(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(counting, input=0)
    state = completed(client, instance_id)
    equal((state.get_output(), state.get_input()), (5, 4))
    kinds = [type(event).__name__ for event in client.get_orchestration_history(instance_id)]
    equal((kinds.count("ExecutionStartedEvent"), kinds.count("TaskScheduledEvent")), (1, 1), "only the last generation")


def renewing(ctx: OrchestrationContext, save_events: bool | None) -> Flow:
    """Take one `go`, and see in the next generation whether the `extra` that came before it is still there."""
    if save_events is not None:
        yield ctx.wait_for_external_event("go")
        ctx.continue_as_new(None, save_events=save_events)
        return None

    extra = ctx.wait_for_external_event("extra")
    first = yield when_any([extra, ctx.create_timer(timedelta(milliseconds=300))])

    return extra.get_result() if first is extra else "dropped"


def _renewed(client: TaskHubGrpcClient, *, save_events: bool) -> Any:
    instance_id = started(client, renewing, input=save_events)
    client.raise_orchestration_event(instance_id, "extra", data="kept")
    client.raise_orchestration_event(instance_id, "go")

    return output_of(client, instance_id)


def scenario_continue_as_new_with_saved_events(client: TaskHubGrpcClient) -> None:
    equal(_renewed(client, save_events=True), "kept")


def scenario_continue_as_new_without_saved_events(client: TaskHubGrpcClient) -> None:
    equal(_renewed(client, save_events=False), "dropped")


def retrying(ctx: OrchestrationContext, key: str) -> Flow:
    return (yield ctx.call_activity(succeed_at_third, input=key, retry_policy=TWICE_MORE))


def scenario_activity_retry(client: TaskHubGrpcClient) -> None:
    equal(output(client, retrying, input=fresh("activity")), 3)


def third_child(_: OrchestrationContext, key: str) -> int:
    return _attempt(key)


def retrying_child(ctx: OrchestrationContext, key: str) -> Flow:
    return (yield ctx.call_sub_orchestrator(third_child, input=key, retry_policy=TWICE_MORE))


def scenario_child_retry(client: TaskHubGrpcClient) -> None:
    equal(output(client, retrying_child, input=fresh("child")), 3)


def stubborn(ctx: OrchestrationContext, reason: str) -> Flow:
    yield ctx.call_activity(fail_nested, input=reason, retry_policy=TWICE_MORE)


def scenario_retries_run_out(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(stubborn, input="no disk")
    equal(completed(client, instance_id).runtime_status, OrchestrationStatus.FAILED)
    kinds = [type(event).__name__ for event in client.get_orchestration_history(instance_id)]
    equal((kinds.count("TaskFailedEvent"), kinds.count("TimerFiredEvent")), (3, 2))


def failing(ctx: OrchestrationContext, reason: str) -> Flow:
    yield ctx.call_activity(fail_nested, input=reason)


def failing_child(ctx: OrchestrationContext, reason: str) -> Flow:
    yield ctx.call_sub_orchestrator(failing, input=reason)


def scenario_failure_details(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(failing, input="no disk")
    state = completed(client, instance_id)
    equal(state.runtime_status, OrchestrationStatus.FAILED)
    assert state.failure_details is not None
    assert state.failure_details.message.endswith("cannot work: no disk"), state.failure_details

    [failed] = [event for event in client.get_orchestration_history(instance_id) if hasattr(event, "failure_details")][
        :1
    ]
    details = failed.failure_details
    equal((details.error_type, details.message), ("builtins.ValueError", "cannot work: no disk"))
    assert "fail_nested" in details.stack_trace
    inner = details.inner_failure
    equal((inner.error_type, inner.message), ("builtins.KeyError", "'no disk'"))


def scenario_failure_of_a_child(client: TaskHubGrpcClient) -> None:
    state = completed(client, client.schedule_new_orchestration(failing_child, input="no disk"))
    equal(state.runtime_status, OrchestrationStatus.FAILED)
    assert state.failure_details is not None
    assert "cannot work: no disk" in state.failure_details.message, state.failure_details


def surprised(ctx: OrchestrationContext, _: None) -> Flow:
    yield ctx.call_activity("nobody has this one")


def scenario_unregistered_activity(client: TaskHubGrpcClient) -> None:
    state = completed(client, client.schedule_new_orchestration(surprised))
    equal(state.runtime_status, OrchestrationStatus.FAILED)
    assert "nobody has this one" in str(state.failure_details), state.failure_details


ACTIVITIES = (double, echo, fail_nested, succeed_at_third)
ORCHESTRATORS = (
    in_sequence,
    fan_out,
    echoing,
    timing,
    listening,
    impatient,
    telling,
    parent,
    counting,
    renewing,
    retrying,
    third_child,
    retrying_child,
    stubborn,
    failing,
    failing_child,
    surprised,
)
