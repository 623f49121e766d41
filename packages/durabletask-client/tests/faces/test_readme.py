"""The code in the README runs."""

from __future__ import annotations

import re
from pathlib import Path

import durabletask_client.channel
import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import empty_pb2, wrappers_pb2

from .endpoint import Endpoint

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_code_in_the_readme_runs(
    endpoint: Endpoint,
    block: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(durabletask_client.channel, "DEFAULT_HOST_ADDRESS", endpoint.address)
    monkeypatch.chdir(tmp_path)

    for name in ("ca.pem", "me.key", "me.pem"):
        Path(name).write_text("as a user has it")

    state = pb.OrchestrationState(
        instanceId="i",
        orchestrationStatus=pb.ORCHESTRATION_STATUS_COMPLETED,
        output=wrappers_pb2.StringValue(value='"Hello, Ada"' if "return_type=str" in block else "true"),
    )
    entity = pb.EntityMetadata(instanceId="@stock@apples", serializedState=wrappers_pb2.StringValue(value="12"))
    endpoint.answers = {
        "Hello": [empty_pb2.Empty()],
        "StartInstance": [pb.CreateInstanceResponse(instanceId="i")],
        "RaiseEvent": [pb.RaiseEventResponse()],
        "WaitForInstanceCompletion": [pb.GetInstanceResponse(exists=True, orchestrationState=state)],
        "QueryInstances": [pb.QueryInstancesResponse(orchestrationState=[state])],
        "PurgeInstances": [pb.PurgeInstancesResponse()],
        "SignalEntity": [pb.SignalEntityResponse()],
        "GetEntity": [pb.GetEntityResponse(exists=True, entity=entity)],
        "QueryEntities": [pb.QueryEntitiesResponse(entities=[entity])],
    }
    exec(compile(block.replace('host_address="localhost:4001"', ""), README.name, "exec"), {})  # noqa: S102

    assert ("https://" in block) is not bool(endpoint.received), (
        "what connects to the default address was asked something"
    )


def test_the_readme_has_code() -> None:
    assert len(BLOCKS) >= 5
