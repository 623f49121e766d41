"""An endpoint, and clients of either kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from .clients import AsyncFace, Face, SyncFace
from .endpoint import Endpoint


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    handler = Endpoint()

    with ThreadPoolExecutor() as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers([handler])
        handler.address = f"localhost:{server.add_insecure_port('localhost:0')}"
        server.start()
        yield handler
        server.stop(None).wait()


@pytest.fixture(params=[SyncFace, AsyncFace])
def face(request: pytest.FixtureRequest) -> Callable[..., Face]:
    maker: Callable[..., Face] = request.param

    return maker
