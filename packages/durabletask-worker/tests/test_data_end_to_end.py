"""Payloads through codecs, from a client by a worker and back; and the page about data."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from durabletask_backend.memory import MemoryBackend
from durabletask_client import (
    AesGcmCodec,
    AsyncTaskHubGrpcClient,
    CodecDataConverter,
    JsonDataConverter,
    OrchestrationStatus,
    ZlibCodec,
)
from durabletask_server.service.sidecar import SERVER_OPTIONS, attach
from durabletask_server.taskhub import TaskHubWorker
from durabletask_worker import OrchestrationContext, Registry, TaskHubGrpcWorker

DOCUMENT = Path(__file__).parents[3] / "docs" / "data.md"

registry = Registry()


@registry.activity
def double(ctx: object, text: str) -> str:
    return text * 2


@registry.orchestrator
async def twice(ctx: OrchestrationContext, text: str) -> str:
    return await ctx.call_activity(double, await ctx.call_activity(double, text))


async def test_encrypted_payloads_go_all_the_way() -> None:
    pytest.importorskip("cryptography")
    encryption = AesGcmCodec({"k": b"k" * 32}, current="k")
    converter = CodecDataConverter(JsonDataConverter(), [ZlibCodec(), encryption], strict=True)
    hub = TaskHubWorker(MemoryBackend())
    await hub.start()
    server = grpc.aio.server(options=SERVER_OPTIONS)
    attach(server, hub)
    address = f"localhost:{server.add_insecure_port('localhost:0')}"
    await server.start()

    async with (
        TaskHubGrpcWorker(host_address=address, registry=registry, data_converter=converter),
        AsyncTaskHubGrpcClient(host_address=address, data_converter=converter) as client,
    ):
        instance_id = await client.schedule_new_orchestration(twice, input="secret")
        state = await client.wait_for_orchestration_completion(instance_id, timeout=20)

    await hub.drain(0)
    await server.stop(None)
    await hub.close()

    assert state is not None
    assert state.runtime_status is OrchestrationStatus.COMPLETED
    assert state.serialized_output is not None
    assert state.serialized_output.startswith("codecs:zlib,aes-gcm:")
    assert converter.deserialize(state.serialized_output, str) == "secret" * 4


def test_the_code_of_the_page_runs() -> None:
    pytest.importorskip("cryptography")
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    names: dict[str, object] = {"__name__": __name__}

    assert blocks

    for block in blocks:
        exec(compile(block, str(DOCUMENT), "exec", dont_inherit=True), names)  # noqa: S102 - our own page
