"""Servers to work for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .engine import Engine
from .scripted import Hub


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    """Hands out what the test puts in."""
    hub = Hub()
    await hub.start()

    yield hub

    await hub.stop()


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """A real server, with a store in memory."""
    engine = Engine()
    await engine.start()

    yield engine

    await engine.stop()
