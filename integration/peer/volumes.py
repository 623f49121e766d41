"""Much at a time: big payloads, many events, many generations, many children; and payloads that are next to nothing."""

# The SDK that this is written for is not in the environment that is checked.
# mypy: ignore-errors
from __future__ import annotations

from typing import Any

from durabletask.client import TaskHubGrpcClient
from durabletask.task import OrchestrationContext, when_all
from flows import echo, echoing, listening
from runs import Flow, completed, equal, fresh, output, output_of, started

MEBIBYTE = 1 << 20
GENERATIONS = 200


def telling_apart(ctx: OrchestrationContext, value: Any) -> Flow:
    """The input, as it is here, as it was in an activity and as it came with an event."""
    ctx.set_custom_status(value)
    done = yield ctx.call_activity(echo, input=value)
    event = yield ctx.wait_for_external_event("value")

    return [value, done, event]


def eternal(ctx: OrchestrationContext, heard: list[int]) -> Flow:
    """Take an event a generation."""
    if len(heard) == GENERATIONS:
        return heard

    number = yield ctx.wait_for_external_event("number")
    ctx.continue_as_new([*heard, number], save_events=True)

    return None


def family(ctx: OrchestrationContext, depth: int) -> Flow:
    """How many are below, of three children each."""
    if depth == 0:
        return 1

    return sum((yield when_all([ctx.call_sub_orchestrator(family, input=depth - 1) for _ in range(3)]))) + 1


def scenario_payload_of_a_mebibyte(client: TaskHubGrpcClient) -> None:
    text = "x" * MEBIBYTE
    instance_id = client.schedule_new_orchestration(echoing, input=text)
    state = completed(client, instance_id)
    equal(state.serialized_input, f'"{text}"')
    equal(state.serialized_output, f'"{text}"')
    # More than the client takes in one message.
    events = client.get_orchestration_history(instance_id)
    assert sum(len(getattr(event, "input", None) or "") for event in events) > 2 * MEBIBYTE
    equal(client.get_orchestration_state(instance_id, fetch_payloads=False).serialized_output, None)


def scenario_payloads_are_told_apart(client: TaskHubGrpcClient) -> None:
    for value in (None, "", "null", 0, False, [], {}, "\x00\u2028\U0001f40e"):
        instance_id = started(client, telling_apart, input=value)
        client.raise_orchestration_event(instance_id, "value", data=value)
        state = completed(client, instance_id)
        equal(state.get_output(), [value, value, value])
        equal((state.get_input(), state.get_custom_status()), (value, value))
        equal(state.serialized_input is None, value is None)


def scenario_names_of_any_script(client: TaskHubGrpcClient) -> None:
    instance_id = started(client, listening, input=1)
    equal(instance_id, client.get_orchestration_state(instance_id).instance_id)
    named = client.schedule_new_orchestration(listening, input=1, instance_id=fresh("kůň / 🐎 % ?"))
    client.wait_for_orchestration_start(named)

    for one in (instance_id, named):
        client.raise_orchestration_event(one, "NEWS", data="🐎")
        equal(output_of(client, one), ["🐎"])


def scenario_hundred_events_in_order(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(listening, input=100)

    for number in range(100):
        client.raise_orchestration_event(instance_id, "news", data=number)

    equal(output_of(client, instance_id), list(range(100)))


def scenario_two_hundred_generations(client: TaskHubGrpcClient) -> None:
    instance_id = client.schedule_new_orchestration(eternal, input=[])

    for number in range(GENERATIONS):
        client.raise_orchestration_event(instance_id, "number", data=number)

    equal(output_of(client, instance_id), list(range(GENERATIONS)), "no event is lost, and none comes twice")


def scenario_family_of_forty(client: TaskHubGrpcClient) -> None:
    equal(output(client, family, input=3), 40)


def scenario_hundred_instances_at_a_time(client: TaskHubGrpcClient) -> None:
    made = [client.schedule_new_orchestration(echoing, input=number) for number in range(100)]
    equal([output_of(client, instance_id) for instance_id in made], list(range(100)))


ORCHESTRATORS = (telling_apart, eternal, family)
