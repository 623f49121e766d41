"""The generated code speaks the protocol's wire: its messages, its service and its paths."""

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any
from unittest import mock

import durabletask_protos
import grpc
import grpc.aio
import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos import orchestrator_service_pb2_grpc as pb_grpc
from google.protobuf import descriptor_pb2

HERE = Path(__file__).parent
CONTRACT: dict[str, Any] = json.loads((HERE / "wire-contract.json").read_text("utf-8"))
PATHS = [f"/TaskHubSidecarService/{rpc['rpc']}" for rpc in CONTRACT["service"]["TaskHubSidecarService"]]


def without_package(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """Take away the package that only Python needs, so that names are as on the wire."""
    prefix = f".{file.package}."
    file.ClearField("package")

    def strip(messages: Iterable[descriptor_pb2.DescriptorProto]) -> None:
        for message in messages:
            strip(message.nested_type)
            for field in message.field:
                field.type_name = field.type_name.replace(prefix, ".")

    strip(file.message_type)
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(prefix, ".")
            method.output_type = method.output_type.replace(prefix, ".")

    return file


@pytest.fixture
def wire_file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(file)
    return without_package(file)


def check(file: descriptor_pb2.FileDescriptorProto, directory: Path) -> subprocess.CompletedProcess[str]:
    compiled = directory / "descriptor_set"
    compiled.write_bytes(descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString())
    command = [sys.executable, str(HERE / "check_wire_contract.py"), str(compiled)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_messages_enums_and_rpcs_are_those_of_the_contract(
    wire_file: descriptor_pb2.FileDescriptorProto, tmp_path: Path
) -> None:
    checked = check(wire_file, tmp_path)

    assert (checked.returncode, checked.stdout) == (0, "the wire is the same\n"), checked.stderr


def test_the_contract_check_sees_a_changed_number(
    wire_file: descriptor_pb2.FileDescriptorProto, tmp_path: Path
) -> None:
    item = next(message for message in wire_file.message_type if message.name == "WorkItem")
    next(field for field in item.field if field.name == "completionToken").number = 11

    checked = check(wire_file, tmp_path)

    assert checked.returncode == 1
    assert "WorkItem.fields.completionToken.number: contract 10, compiled 11" in checked.stdout


def test_reserved_numbers_are_those_of_the_contract(wire_file: descriptor_pb2.FileDescriptorProto) -> None:
    reserved = {
        message.name: [[numbers.start, numbers.end - 1] for numbers in message.reserved_range]
        for message in wire_file.message_type
        if message.reserved_range
    }

    assert reserved == {
        name: message["reserved_numbers"]
        for name, message in CONTRACT["messages"].items()
        if message.get("reserved_numbers")
    }


def test_our_symbols_are_in_a_package_of_their_own() -> None:
    assert pb.DESCRIPTOR.package == "durabletask_protos"
    assert pb.DESCRIPTOR.name == "durabletask_protos/orchestrator_service.proto"


def test_every_path_of_the_stub_bears_the_wire_name() -> None:
    channel = mock.Mock(spec=grpc.Channel)

    pb_grpc.TaskHubSidecarServiceStub(channel)

    assert len(PATHS) == 29
    assert sorted(call.args[0] for call in channel.method_calls) == sorted(PATHS)


def test_a_servicer_is_registered_under_every_wire_path() -> None:
    server = mock.Mock(spec=grpc.Server)

    pb_grpc.add_TaskHubSidecarServiceServicer_to_server(mock.Mock(spec=pb_grpc.TaskHubSidecarServiceServicer), server)

    (handler,) = server.add_generic_rpc_handlers.call_args.args[0]
    assert [path for path in PATHS if handler.service(mock.Mock(method=path)) is None] == []
    name, methods = server.add_registered_method_handlers.call_args.args
    assert sorted(f"/{name}/{method}" for method in methods) == sorted(PATHS)


async def test_stub_and_servicer_meet() -> None:
    servicer = mock.Mock(spec=pb_grpc.TaskHubSidecarServiceServicer)
    servicer.StartInstance = mock.AsyncMock(return_value=pb.CreateInstanceResponse(instanceId="minted"))
    server = grpc.aio.server()
    pb_grpc.add_TaskHubSidecarServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            response = await pb_grpc.TaskHubSidecarServiceStub(channel).StartInstance(
                pb.CreateInstanceRequest(name="greet")
            )
    finally:
        await server.stop(None)

    assert response == pb.CreateInstanceResponse(instanceId="minted")
    assert servicer.StartInstance.call_args.args[0] == pb.CreateInstanceRequest(name="greet")


def test_the_package_ships_its_proto() -> None:
    text = (resources.files(durabletask_protos) / "orchestrator_service.proto").read_text("utf-8")

    assert f"service {durabletask_protos.SERVICE_NAME} {{" in text
    assert "\npackage " not in text


def test_importing_the_package_loads_neither_grpc_nor_protobuf() -> None:
    program = "import sys, durabletask_protos; print([m for m in ('grpc', 'google.protobuf') if m in sys.modules])"

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"
