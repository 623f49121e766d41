"""What an operator asks a server that runs: its health, its metrics, its services, its log."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import grpc
import pytest
from durabletask_client import TaskHubGrpcClient
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import (
    ActivityContext,
    EntityContext,
    EntityInstanceId,
    OrchestrationContext,
    Registry,
    TaskHubGrpcWorker,
)
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from prometheus_client.parser import text_string_to_metric_families

from integration.processes import Server, our_server

SECRET = "what nobody may read in a log"
registry = Registry()


@registry.activity
def greet(ctx: ActivityContext, name: str) -> str:
    return f"Hello, {name}!"


@registry.activity
def broken(ctx: ActivityContext, name: str) -> str:
    raise ValueError(name)


@registry.entity(name="counter")
def counter(ctx: EntityContext, amount: int) -> None:
    ctx.set_state(ctx.get_state(int, 0) + amount)


@registry.orchestrator
async def hello(ctx: OrchestrationContext, name: str) -> str:
    ctx.signal_entity(EntityInstanceId("counter", "main"), "add", 1)

    return await ctx.call_activity(greet, name)


@registry.orchestrator
async def fails(ctx: OrchestrationContext, name: str) -> str:
    return await ctx.call_activity(broken, name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    options = ("--http-port", "0", "--log-format", "json", "--log-level", "debug")

    with our_server(folder / "hub.sqlite3", folder / "server.log", *options) as started:
        with TaskHubGrpcWorker(host_address=started.address, registry=registry) as worker:
            worker.start()

            with TaskHubGrpcClient(host_address=started.address) as client:
                for number in range(3):
                    client.run_orchestration(hello, input=SECRET, instance_id=f"hello-{number}", timeout=30)

                client.schedule_new_orchestration(fails, input=SECRET, instance_id="fails")
                client.wait_for_orchestration_completion("fails", timeout=30)

        yield started


def page(server: Server, path: str) -> str:
    """A page of the server."""
    port = re.search(r"HTTP on port (\d+)", server.log)
    assert port is not None

    with urllib.request.urlopen(f"http://localhost:{port[1]}{path}", timeout=10) as answer:
        text: str = answer.read().decode()

        return text


def metrics(server: Server) -> dict[tuple[str | tuple[str, str], ...], float]:
    """The metrics, each by its name and its labels but those that say whose it is."""
    return {
        (
            sample.name,
            *(pair for pair in sorted(sample.labels.items()) if not pair[0].startswith("otel_")),
        ): sample.value
        for family in text_string_to_metric_families(page(server, "/metrics"))
        for sample in family.samples
    }


def health(*arguments: str) -> tuple[int, str]:
    """What `durabletask-server health` says."""
    command = [sys.executable, "-m", "durabletask_server", "health", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    return done.returncode, done.stdout + done.stderr


def test_a_server_that_runs_is_ready(server: Server) -> None:
    assert health("--server", server.address) == (0, "SERVING\n")
    assert page(server, "/livez") == "ok\n"
    assert page(server, "/readyz") == "ok\n"


def test_a_server_that_does_not_run_is_not() -> None:
    code, said = health("--server", "localhost:1", "--timeout", "1")
    assert code == 1
    assert said.startswith("durabletask-server health: localhost:1: ")


def test_reflection_tells_of_the_services(server: Server) -> None:
    with grpc.insecure_channel(server.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        found = DescriptorPool(database).FindServiceByName("TaskHubSidecarService")
        method = found.methods_by_name["StartInstance"]

    assert {"TaskHubSidecarService", "grpc.health.v1.Health"} <= services
    assert method.input_type.full_name == "CreateInstanceRequest"
    assert [field.name for field in method.input_type.fields] == [
        field.name for field in pb.CreateInstanceRequest.DESCRIPTOR.fields
    ]


def test_the_metrics_count_what_was_done(server: Server) -> None:
    found = metrics(server)
    turns = ("durabletask_work_items_completed_total", ("kind", "orchestration"), ("name", "hello"))

    assert found["durabletask_work_items_completed_total", ("kind", "activity"), ("name", "greet")] == 3
    assert found["durabletask_work_items_completed_total", ("kind", "activity"), ("name", "broken")] == 1
    assert found["durabletask_work_items_completed_total", ("kind", "entity"), ("name", "counter")] >= 1
    assert found[turns] == 6
    assert found["durabletask_work_item_duration_seconds_count", *turns[1:]] == 6
    assert found["durabletask_dispatch_latency_seconds_count", ("kind", "activity")] == 4
    assert found["durabletask_history_events_count", ("status", "completed")] == 3
    assert found["durabletask_history_size_bytes_sum", ("status", "failed")] > 100
    assert found["durabletask_commit_size_sum",] >= 15
    assert found["durabletask_commit_duration_seconds_count",] > 0
    assert found["durabletask_storage_errors_total",] == 0
    assert found["durabletask_worker_connections",] == 0
    assert found["durabletask_cache_hits_total",] >= 4


def test_the_log_is_json_with_what_it_is_about(server: Server) -> None:
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (ended,) = (line for line in lines if line["message"] == "instance hello-0 is COMPLETED")
    assert (ended["hub"], ended["instance"], ended["name"]) == ("default", "hello-0", "hello")
    assert ended["level"] == "debug"


def test_no_payload_is_logged(server: Server) -> None:
    assert "fails" in server.log
    assert SECRET not in server.log
