"""When an engine is ready, and how it says so."""

from __future__ import annotations

import urllib.error
import urllib.request

import grpc
import pytest
from durabletask_backend.errors import StorageFailedError
from durabletask_backend.testing import FaultyBackend
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.observability.health import Health
from durabletask_server.observability.http import PortInUseError, http_endpoints
from durabletask_server.testing import serving


def get(url: str) -> tuple[int, str]:
    """A page, whatever its status."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_it_serves_only_while_the_backend_does() -> None:
    backend = FaultyBackend()

    async with serving(backend) as served:
        watched = Health(served.hub)

        async with watched.watched():
            assert watched.problem is None
            backend.fail_next(applied=False)

            with pytest.raises(grpc.RpcError):
                await served.stub.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="n"))

            await watched.look()
            assert watched.problem == "the backend does not take commits"
            await served.stub.StartInstance(pb.CreateInstanceRequest(instanceId="i", name="n"))
            await watched.look()
            assert watched.problem is None
            await served.hub.drain(0)
            await watched.look()
            assert watched.problem == "it is stopping"

        assert watched.problem == "it has stopped"


async def test_a_backend_that_cannot_be_read_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise StorageFailedError("the disk is gone")

    async with serving(FaultyBackend()) as served:
        watched = Health(served.hub)
        monkeypatch.setattr(served.hub.backend, "get", refuse)
        await watched.look()
        assert watched.problem == "the backend does not answer: the disk is gone"


def test_what_is_not_ready_says_why_over_http() -> None:
    with http_endpoints("localhost", 0, lambda: "it is starting", None) as port:
        assert get(f"http://localhost:{port}/readyz") == (503, "it is starting\n")
        assert get(f"http://localhost:{port}/livez") == (200, "ok\n")
        assert get(f"http://localhost:{port}/metrics")[0] == 404

        with (
            pytest.raises(PortInUseError, match=f"cannot listen on localhost:{port} for HTTP"),
            http_endpoints("localhost", port, lambda: None, None),
        ):
            pytest.fail("two listen on one port")
