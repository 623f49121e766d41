"""What every theme of the suite stands on: the fixtures, and what a backend's author declares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import ClassVar, TypeAlias

import pytest
import pytest_asyncio

from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import HUB
from durabletask_backend.contract import Backend

BackendFactory: TypeAlias = Callable[[], Backend]
"""Makes a backend, not yet opened, on the store of the test. Each call makes another one on the same store."""


class ConformanceBase:
    """The fixtures of the suite. A backend's author overrides `backend_factory`, and declares what the backend can."""

    pytestmark = pytest.mark.asyncio

    durable: ClassVar[bool] = False
    """Whether what was committed is there when the backend is closed and another is opened on the same store."""
    many_owners: ClassVar[bool] = False
    """Whether several backends may be open on the same store."""
    lease_ttl: ClassVar[float] = 1.0
    """Seconds that a lease holds in the tests of many owners. Must be well above what a few commits take."""

    @pytest.fixture
    def backend_factory(self) -> BackendFactory:
        """A factory of backends on a fresh store. To be overridden."""
        pytest.fail(f"{type(self).__name__} must override the fixture backend_factory")

    @pytest.fixture
    def pass_time(self) -> Callable[[float], Awaitable[None]]:
        """Lets so many seconds pass, as leases count them. To be overridden where the backend's clock can be set."""
        return asyncio.sleep

    @pytest_asyncio.fixture
    async def open_driver(self, backend_factory: BackendFactory) -> AsyncIterator[Callable[[str], Awaitable[Driver]]]:
        """Opens another backend on the store of the test, as the owner of this name; all are closed in the end."""
        opened: list[Backend] = []

        async def open_driver(owner: str) -> Driver:
            backend = backend_factory()
            opened.append(backend)

            return Driver(backend, await backend.open(owner, ttl=self.lease_ttl))

        yield open_driver

        for backend in reversed(opened):
            await backend.close()

    @pytest_asyncio.fixture
    async def driver(self, open_driver: Callable[[str], Awaitable[Driver]]) -> Driver:
        """The first owner of a fresh store with one hub in it."""
        driver = await open_driver("first")
        await driver.backend.create_hub(HUB, b"secret")

        return driver

    @pytest_asyncio.fixture
    async def second(self, driver: Driver, open_driver: Callable[[str], Awaitable[Driver]]) -> Driver:
        """Another owner on the store of `driver`."""
        if not self.many_owners:
            pytest.skip(f"{type(self).__name__} does not declare `many_owners`")

        return await open_driver("second")
