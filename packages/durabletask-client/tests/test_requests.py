"""What is sent for a method's arguments, and what is made of the answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

import grpc
import pytest
from durabletask_client import (
    InvalidRequestError,
    JsonDataConverter,
    OrchestrationAlreadyExistsError,
    OrchestrationIdReusePolicy,
    OrchestrationNotFoundError,
    OrchestrationQuery,
    OrchestrationStatus,
    OrchestrationStatusError,
    PurgeInstancesResult,
    RequestFailedError,
    ServerUnavailableError,
    UnsupportedRequestError,
)
from durabletask_client.calls import Call, Repeat
from durabletask_client.requests import Requests
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import wrappers_pb2
from google.protobuf.message import Message

MOMENT = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
Status = OrchestrationStatus


def requests(**settings: Any) -> Requests:
    numbers = count(1)

    return Requests(data_converter=JsonDataConverter(), new_id=lambda: f"id-{next(numbers)}", **settings)


def start(orchestrator: Any = "flow", *, of: Requests | None = None, **arguments: Any) -> Call[Any, str]:
    defaults: dict[str, Any] = dict.fromkeys(
        ["input", "instance_id", "start_at", "reuse_id_policy", "tags", "version"], None
    )

    return (of or requests()).start(orchestrator, **(defaults | arguments))


def sent(call: Call[Any, Any], kind: type[Message]) -> Any:
    """The request as the server gets it."""
    return kind.FromString(call.request.SerializeToString())


def flow(_: object) -> None: ...


def named(_: object) -> None: ...


named.__durabletask_name__ = "other"  # type: ignore[attr-defined]


def test_a_start_has_new_ids_and_nothing_that_was_not_asked_for() -> None:
    call = start()

    assert sent(call, pb.CreateInstanceRequest) == pb.CreateInstanceRequest(
        instanceId="id-1", name="flow", executionId=wrappers_pb2.StringValue(value="id-2")
    )
    assert call.repeat is Repeat.BRIEFLY


def test_new_ids_are_32_lower_case_hex_digits() -> None:
    request = sent(start(of=Requests(data_converter=JsonDataConverter())), pb.CreateInstanceRequest)

    for text in (request.instanceId, request.executionId.value):
        assert len(text) == 32
        assert set(text) <= set("0123456789abcdef")

    assert request.instanceId != request.executionId.value


def test_a_start_carries_all_that_was_asked_for() -> None:
    request = sent(
        start(
            input={"a": 1},
            instance_id="mine",
            start_at=MOMENT,
            reuse_id_policy=OrchestrationIdReusePolicy(replaceable_statuses=[Status.FAILED, Status.TERMINATED]),
            tags={"a": "b"},
            version="2",
        ),
        pb.CreateInstanceRequest,
    )

    assert (request.instanceId, request.input.value, request.version.value) == ("mine", '{"a": 1}', "2")
    assert request.scheduledStartTimestamp.ToDatetime(tzinfo=UTC) == MOMENT
    assert list(request.orchestrationIdReusePolicy.replaceableStatus) == [3, 5]
    assert dict(request.tags) == {"a": "b"}


@pytest.mark.parametrize(
    "moment",
    [datetime(2026, 11, 24, 12, 30), MOMENT, MOMENT.astimezone(timezone(timedelta(hours=5)))],
    ids=["naive", "utc", "elsewhere"],
)
def test_naive_times_are_taken_as_utc(moment: datetime) -> None:
    query = OrchestrationQuery(created_time_from=moment, created_time_to=moment)
    asked = sent(requests().states(query), pb.QueryInstancesRequest).query

    for field in (
        sent(start(start_at=moment), pb.CreateInstanceRequest).scheduledStartTimestamp,
        asked.createdTimeFrom,
        asked.createdTimeTo,
    ):
        assert field.ToDatetime(tzinfo=UTC) == MOMENT


def test_an_empty_reuse_policy_is_not_an_absent_one() -> None:
    policy = OrchestrationIdReusePolicy(replaceable_statuses=[])

    assert sent(start(reuse_id_policy=policy), pb.CreateInstanceRequest).HasField("orchestrationIdReusePolicy")
    assert not sent(start(), pb.CreateInstanceRequest).HasField("orchestrationIdReusePolicy")


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("", ""), ("2", "2")])
def test_the_default_version_stands_in_for_none_only(given: str | None, expected: str) -> None:
    request = sent(start(of=requests(default_version="1"), version=given), pb.CreateInstanceRequest)

    assert request.HasField("version")
    assert request.version.value == expected


@pytest.mark.parametrize(("orchestrator", "name"), [("flow", "flow"), (flow, "flow"), (named, "other")])
def test_the_name_of_an_orchestrator(orchestrator: object, name: str) -> None:
    assert sent(start(orchestrator), pb.CreateInstanceRequest).name == name


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"orchestrator": ""}, "orchestrator"),
        ({"orchestrator": 7}, "orchestrator"),
        ({"orchestrator": lambda _: None}, "orchestrator"),
        ({"instance_id": ""}, "instance_id"),
        ({"instance_id": 7}, "instance_id"),
        ({"instance_id": "@counter@1"}, "instance_id"),
        ({"start_at": "2026-01-01"}, "start_at"),
        ({"tags": {"a": 1}}, "tags"),
        ({"input": object()}, "input"),
    ],
)
def test_a_start_that_no_server_takes_names_the_argument(arguments: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{argument}: "):
        start(**arguments)


@pytest.mark.parametrize(
    ("method", "arguments", "argument"),
    [
        ("state", {"instance_id": "", "fetch_payloads": True}, "instance_id"),
        ("wait_for_completion", {"instance_id": None, "fetch_payloads": True}, "instance_id"),
        ("event", {"instance_id": "i", "event_name": "", "data": None}, "event_name"),
        ("event", {"instance_id": "i", "event_name": "e", "data": object()}, "data"),
        ("termination", {"instance_id": "i", "output": object(), "recursive": True}, "output"),
        ("states", {"query": OrchestrationQuery(created_time_from="now")}, "created_time_from"),  # type: ignore[arg-type]
        ("states", {"query": OrchestrationQuery(max_instance_count=0)}, "max_instance_count"),
        ("states", {"query": OrchestrationQuery(max_instance_count=2**31)}, "max_instance_count"),
    ],
)
def test_what_no_server_takes_names_the_argument(method: str, arguments: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{argument}: "):
        getattr(requests(), method)(**arguments)


def test_a_purge_that_may_take_no_time_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match=r"^timeout: "):
        requests().purge_by(
            created_time_from=None, created_time_to=None, runtime_status=None, recursive=False, timeout=timedelta()
        )


def test_a_state_that_does_not_exist_is_none() -> None:
    assert requests().state("i", fetch_payloads=True).read(pb.GetInstanceResponse(exists=False)) is None


def test_a_state_reads_its_payloads_with_the_converter_of_the_client() -> None:
    class Upper(JsonDataConverter):
        def deserialize(self, data: str | None, type_hint: object = None) -> Any:
            return (data or "").upper()

    call = Requests(data_converter=Upper()).state("i", fetch_payloads=True)
    response = pb.GetInstanceResponse(
        exists=True, orchestrationState=pb.OrchestrationState(output=wrappers_pb2.StringValue(value="abc"))
    )
    state = call.read(response)

    assert state is not None
    assert state.get_output() == "ABC"


@pytest.mark.parametrize("fetch", [True, False])
@pytest.mark.parametrize("method", ["state", "wait_for_start", "wait_for_completion"])
def test_payloads_come_along_when_asked_for(method: str, fetch: bool) -> None:
    request = sent(getattr(requests(), method)("i", fetch_payloads=fetch), pb.GetInstanceRequest)

    assert (request.instanceId, request.getInputsAndOutputs) == ("i", fetch)


def test_an_event_without_data_has_no_payload() -> None:
    assert not sent(requests().event("i", "go", data=None), pb.RaiseEventRequest).HasField("input")
    assert sent(requests().event("i", "go", data=""), pb.RaiseEventRequest).input.value == '""'


def test_a_query_carries_its_conditions() -> None:
    query = OrchestrationQuery(
        created_time_from=MOMENT,
        created_time_to=MOMENT + timedelta(seconds=1),
        runtime_status={Status.PENDING},
        instance_id_prefix="a",
        fetch_inputs_and_outputs=True,
        max_instance_count=5,
    )
    request = sent(requests().states(query), pb.QueryInstancesRequest).query

    assert request.createdTimeFrom.ToDatetime(tzinfo=UTC) == MOMENT
    assert request.createdTimeTo.ToDatetime(tzinfo=UTC) == MOMENT + timedelta(seconds=1)
    assert list(request.runtimeStatus) == [6]
    assert (request.instanceIdPrefix.value, request.fetchInputsAndOutputs, request.maxInstanceCount) == ("a", True, 5)
    assert not request.HasField("continuationToken")


def page(token: str | None) -> pb.QueryInstancesResponse:
    return pb.QueryInstancesResponse(
        orchestrationState=[pb.OrchestrationState(instanceId="i")],
        continuationToken=None if token is None else wrappers_pb2.StringValue(value=token),
    )


def test_pages_follow_the_token_with_the_same_query() -> None:
    call = requests().states(OrchestrationQuery(instance_id_prefix="a"))
    states, following = call.read(page("t1"))
    assert [state.instance_id for state in states] == ["i"]
    assert following is not None

    request = sent(following, pb.QueryInstancesRequest).query
    assert (request.instanceIdPrefix.value, request.continuationToken.value) == ("a", "t1")


@pytest.mark.parametrize("token", [None, "", "t1"])
def test_pages_end_with_no_token_an_empty_one_or_the_same_again(token: str | None) -> None:
    _, following = requests().states(OrchestrationQuery(), "t1").read(page(token))

    assert following is None


@pytest.mark.parametrize(("key", "token"), [(None, None), ("", None), ("k", "k")])
def test_a_page_of_ids_has_a_token_unless_it_is_the_last(key: str | None, token: str | None) -> None:
    call = requests().finished_ids(
        runtime_status=[Status.FAILED],
        completed_time_from=MOMENT,
        completed_time_to=None,
        page_size=2,
        continuation_token="before",
    )
    request = sent(call, pb.ListInstanceIdsRequest)
    assert (list(request.runtimeStatus), request.pageSize, request.lastInstanceKey.value) == ([3], 2, "before")
    assert (request.HasField("completedTimeFrom"), request.HasField("completedTimeTo")) == (True, False)

    found = call.read(
        pb.ListInstanceIdsResponse(
            instanceIds=["a", "b"], lastInstanceKey=None if key is None else wrappers_pb2.StringValue(value=key)
        )
    )
    assert (list(found.items), found.continuation_token) == (["a", "b"], token)


def test_a_history_is_the_events_of_all_chunks_in_order() -> None:
    chunks = [
        pb.HistoryChunk(events=[pb.HistoryEvent(eventId=1), pb.HistoryEvent(eventId=2)]),
        pb.HistoryChunk(events=[pb.HistoryEvent(eventId=3)]),
    ]

    assert [event.event_id for event in requests().history("i").read(chunks)] == [1, 2, 3]


def test_orders_carry_their_arguments() -> None:
    made = requests()
    termination = sent(made.termination("i", output=[1], recursive=True), pb.TerminateRequest)
    assert (termination.instanceId, termination.output.value, termination.recursive) == ("i", "[1]", True)

    for call, kind in (
        (made.suspension("i", reason="r"), pb.SuspendRequest),
        (made.resumption("i", reason="r"), pb.ResumeRequest),
        (made.rewind("i", reason="r"), pb.RewindInstanceRequest),
    ):
        request = sent(call, kind)
        assert (request.instanceId, request.reason.value) == ("i", "r")

    restart = made.restart("i", restart_with_new_instance_id=True)
    assert sent(restart, pb.RestartInstanceRequest).restartWithNewInstanceId
    assert restart.read(pb.RestartInstanceResponse(instanceId="j")) == "j"


def test_purges() -> None:
    one = requests().purge("i", recursive=True)
    request = sent(one, pb.PurgeInstancesRequest)
    assert (request.instanceId, request.recursive) == ("i", True)
    assert one.read(pb.PurgeInstancesResponse(deletedInstanceCount=2)) == PurgeInstancesResult(
        deleted_instance_count=2, is_complete=None
    )

    many = requests().purge_by(
        created_time_from=MOMENT,
        created_time_to=None,
        runtime_status=[Status.COMPLETED],
        recursive=False,
        timeout=timedelta(seconds=1.5),
    )
    chosen = sent(many, pb.PurgeInstancesRequest).purgeInstanceFilter
    assert (list(chosen.runtimeStatus), chosen.timeout.ToTimedelta()) == ([1], timedelta(seconds=1.5))
    assert many.read(
        pb.PurgeInstancesResponse(deletedInstanceCount=3, isComplete=wrappers_pb2.BoolValue(value=False))
    ) == PurgeInstancesResult(deleted_instance_count=3, is_complete=False)


def calls() -> dict[str, Call[Any, Any]]:
    made = requests()
    every: list[Call[Any, Any]] = [
        start(instance_id="i"),
        made.state("i", fetch_payloads=True),
        made.wait_for_start("i", fetch_payloads=True),
        made.wait_for_completion("i", fetch_payloads=True),
        made.history("i"),
        made.states(OrchestrationQuery()),
        made.finished_ids(
            runtime_status=None,
            completed_time_from=None,
            completed_time_to=None,
            page_size=None,
            continuation_token=None,
        ),
        made.event("i", "e", data=None),
        made.termination("i", output=None, recursive=True),
        made.suspension("i", reason=None),
        made.resumption("i", reason=None),
        made.rewind("i", reason=None),
        made.restart("i", restart_with_new_instance_id=False),
        made.purge("i", recursive=True),
    ]

    return {call.rpc: call for call in every}


def test_calls_are_those_of_the_protocol() -> None:
    service = pb.DESCRIPTOR.services_by_name["TaskHubSidecarService"]

    for rpc, call in calls().items():
        method = service.methods_by_name[rpc]
        assert call.request.DESCRIPTOR.name == method.input_type.name
        assert call.is_stream is (rpc == "StreamInstanceHistory")


def test_only_what_is_safe_to_repeat_is_repeated() -> None:
    repeats = {rpc: call.repeat for rpc, call in calls().items()}

    assert {rpc for rpc, repeat in repeats.items() if repeat is Repeat.UNTIL_TIMEOUT} == {
        "WaitForInstanceStart",
        "WaitForInstanceCompletion",
    }
    assert {rpc for rpc, repeat in repeats.items() if repeat is Repeat.BRIEFLY} == {
        "StartInstance",
        "GetInstance",
        "StreamInstanceHistory",
        "QueryInstances",
        "ListInstanceIds",
    }


Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("rpc", "code", "error"),
    [
        ("StartInstance", Code.ALREADY_EXISTS, OrchestrationAlreadyExistsError),
        ("StartInstance", Code.INVALID_ARGUMENT, InvalidRequestError),
        ("StartInstance", Code.NOT_FOUND, RequestFailedError),  # the task hub
        ("GetInstance", Code.UNAVAILABLE, ServerUnavailableError),
        ("RaiseEvent", Code.NOT_FOUND, OrchestrationNotFoundError),
        ("RaiseEvent", Code.RESOURCE_EXHAUSTED, RequestFailedError),
        ("SuspendInstance", Code.NOT_FOUND, OrchestrationNotFoundError),
        ("ResumeInstance", Code.NOT_FOUND, OrchestrationNotFoundError),
        ("StreamInstanceHistory", Code.NOT_FOUND, OrchestrationNotFoundError),
        ("RewindInstance", Code.FAILED_PRECONDITION, OrchestrationStatusError),
        ("RewindInstance", Code.UNIMPLEMENTED, UnsupportedRequestError),
        ("RestartInstance", Code.FAILED_PRECONDITION, OrchestrationStatusError),
        ("WaitForInstanceCompletion", Code.DEADLINE_EXCEEDED, TimeoutError),
    ],
)
def test_refusals_are_errors_that_name_the_instance(rpc: str, code: grpc.StatusCode, error: type[Exception]) -> None:
    found = calls()[rpc].refusal(code, "because")

    assert type(found) is error
    assert str(found) == f"{rpc} of orchestration 'i' failed: because ({code.name})"

    if isinstance(found, RequestFailedError):
        assert (found.code, found.instance_id) == (code, "i")
