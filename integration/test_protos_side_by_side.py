"""Our generated code and PyPI `durabletask`'s live in one process and read each other's bytes."""

import os
import subprocess
from pathlib import Path

import pytest

PROTOS = Path(__file__).parents[1] / "packages" / "durabletask-protos" / "src"

OURS = """
from durabletask_protos import orchestrator_service_pb2 as ours
from durabletask_protos import orchestrator_service_pb2_grpc as our_stubs
"""
THEIRS = """
from durabletask.internal import orchestrator_service_pb2 as theirs
from durabletask.internal import orchestrator_service_pb2_grpc as their_stubs
"""

ROUND_TRIP = """
from google.protobuf import struct_pb2, timestamp_pb2, wrappers_pb2

assert ours.HistoryEvent is not theirs.HistoryEvent


def failed_turn(pb):
    details = pb.TaskFailureDetails(
        errorType="ValueError",
        errorMessage="outer",
        stackTrace=wrappers_pb2.StringValue(value=""),
        innerFailure=pb.TaskFailureDetails(errorType="KeyError", errorMessage="inner", isNonRetriable=True),
    )
    details.properties["code"].CopyFrom(struct_pb2.Value(number_value=42))
    details.properties["deep"].struct_value.update({"list": [1, None, "x"]})
    event = pb.HistoryEvent(
        eventId=-1,
        timestamp=timestamp_pb2.Timestamp(seconds=1_800_000_000, nanos=123_456_700),
        taskFailed=pb.TaskFailedEvent(taskScheduledId=7, failureDetails=details),
    )
    return pb.WorkItem(
        orchestratorRequest=pb.OrchestratorRequest(
            instanceId="abc", executionId=wrappers_pb2.StringValue(value="e1"), newEvents=[event]
        ),
        completionToken="token",
    )


def check(item):
    assert item.WhichOneof("request") == "orchestratorRequest"
    request = item.orchestratorRequest
    assert request.executionId.value == "e1"
    assert not request.HasField("orchestrationTraceContext")
    (event,) = request.newEvents
    assert event.WhichOneof("eventType") == "taskFailed"
    assert isinstance(event.timestamp, timestamp_pb2.Timestamp)
    assert event.timestamp.ToNanoseconds() == 1_800_000_000_123_456_700
    details = event.taskFailed.failureDetails
    assert details.HasField("stackTrace") and details.stackTrace.value == ""
    assert not details.innerFailure.HasField("stackTrace")
    assert (details.innerFailure.errorMessage, details.innerFailure.isNonRetriable) == ("inner", True)
    assert details.properties["code"].number_value == 42
    assert list(details.properties["deep"].struct_value["list"]) == [1, None, "x"]


for source, target in ((ours, theirs), (theirs, ours)):
    sent = failed_turn(source)
    received = target.WorkItem.FromString(sent.SerializeToString(deterministic=True))
    check(received)
    assert received == failed_turn(target)
    assert received.SerializeToString(deterministic=True) == sent.SerializeToString(deterministic=True)
"""

PATHS = """
class Recorder:
    def __init__(self):
        self.paths = []

    def unary_unary(self, path, **_):
        self.paths.append(path)

    unary_stream = unary_unary


def paths(stubs):
    recorder = Recorder()
    stubs.TaskHubSidecarServiceStub(recorder)
    return sorted(recorder.paths)


assert paths(our_stubs) == paths(their_stubs)
assert len(paths(our_stubs)) == 29
"""


def run(python: Path, program: str) -> None:
    """Run a program in the peer's environment, with nothing of ours on its path but the protos."""
    ran = subprocess.run(
        [python, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(PROTOS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("imports", [OURS + THEIRS, THEIRS + OURS], ids=["ours first", "theirs first"])
@pytest.mark.parametrize("program", [ROUND_TRIP, PATHS], ids=["bytes go round", "paths are the same"])
def test_both_generations_share_a_process(peer_python: Path, imports: str, program: str) -> None:
    run(peer_python, imports + program)
