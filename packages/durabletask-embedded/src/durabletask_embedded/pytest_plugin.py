"""Fixtures for tests of durable code: a hub whose time jumps, its client, its clock; and histories in the report of a test that fails.

pytest loads this module in every run of an environment that has the package, so it imports nothing else of it until a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from durabletask_client import AsyncTaskHubGrpcClient, TaskHubGrpcClient
    from durabletask_worker import Registry

    from durabletask_embedded.doubles import Doubles
    from durabletask_embedded.testing import AsyncTestHub, RunningTestHub, TestHub
    from durabletask_embedded.virtual_time import VirtualClock

__all__: list[str] = []

_HUBS = pytest.StashKey["list[AsyncTestHub | RunningTestHub]"]()

_async_fixture: Callable[..., Any]

try:
    # In its strict mode, it takes no other for its own.
    from pytest_asyncio import fixture as _async_fixture
except ImportError:
    _async_fixture = pytest.fixture


def pytest_addoption(parser: pytest.Parser) -> None:
    """See pytest."""
    group = parser.getgroup("durabletask", "durable orchestrations")
    group.addoption(
        "--durabletask-seed",
        type=int,
        default=None,
        metavar="N",
        help="what chance follows from in the hubs of all tests; without it, the mark of a test says, or it is 0",
    )


def pytest_configure(config: pytest.Config) -> None:
    """See pytest."""
    config.addinivalue_line(
        "markers",
        "durabletask(seed=0, start=…, latency=…): arguments of the TestHub that the test's fixtures make",
    )


@pytest.fixture
def durabletask_registry() -> Registry:
    """What the hub hosts: to be overridden, by a fixture of this name in a `conftest.py` or in a module of tests."""
    raise pytest.UsageError(
        "the hub needs a registry: write a fixture `durabletask_registry` that returns yours, in conftest.py say"
    )


@pytest.fixture
def durabletask_seed(request: pytest.FixtureRequest) -> int:
    """What chance follows from: the option `--durabletask-seed`, else the mark `@pytest.mark.durabletask(seed=…)`, else 0."""
    option: int | None = request.config.getoption("--durabletask-seed")

    if option is not None:
        return option

    mark = request.node.get_closest_marker("durabletask")
    seed: int = mark.kwargs.get("seed", 0) if mark is not None else 0

    return seed


@pytest.fixture
def durabletask_hub(
    request: pytest.FixtureRequest, durabletask_registry: Registry, durabletask_seed: int
) -> Iterator[RunningTestHub]:
    """A hub for a test without asyncio. Its client blocks; its time jumps."""
    with _hub(request, durabletask_registry, durabletask_seed) as hub:
        request.node.stash[_HUBS] = [hub]
        yield hub


@pytest.fixture
def durabletask_client(durabletask_hub: RunningTestHub) -> TaskHubGrpcClient:
    """The client of `durabletask_hub`."""
    return durabletask_hub.client


@pytest.fixture
def durabletask_clock(durabletask_hub: RunningTestHub) -> VirtualClock:
    """The time of `durabletask_hub`."""
    return durabletask_hub.clock


@pytest.fixture
def durabletask_activities(durabletask_hub: RunningTestHub) -> Doubles:
    """Counts, replaces, fails and delays the activities of `durabletask_hub`."""
    return durabletask_hub.activities


@_async_fixture
async def durabletask_async_hub(
    request: pytest.FixtureRequest, durabletask_registry: Registry, durabletask_seed: int
) -> AsyncIterator[AsyncTestHub]:
    """A hub on the event loop of a test for asyncio, which needs pytest-asyncio."""
    async with _hub(request, durabletask_registry, durabletask_seed) as hub:
        request.node.stash[_HUBS] = [hub]
        yield hub


@pytest.fixture
def durabletask_async_client(durabletask_async_hub: AsyncTestHub) -> AsyncTaskHubGrpcClient:
    """The client of `durabletask_async_hub`."""
    return durabletask_async_hub.client


@pytest.fixture
def durabletask_async_clock(durabletask_async_hub: AsyncTestHub) -> VirtualClock:
    """The time of `durabletask_async_hub`."""
    return durabletask_async_hub.clock


@pytest.fixture
def durabletask_async_activities(durabletask_async_hub: AsyncTestHub) -> Doubles:
    """Counts, replaces, fails and delays the activities of `durabletask_async_hub`."""
    return durabletask_async_hub.activities


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """See pytest: adds the histories to the report of a test that failed."""
    report = yield

    if report.failed and call.when == "call":
        for hub in item.stash.get(_HUBS, []):
            report.sections.append((f"durable histories, seed {hub.seed}", hub.describe()))

    return report


def _hub(request: pytest.FixtureRequest, registry: Registry, seed: int) -> TestHub:
    from durabletask_embedded.testing import TestHub

    mark = request.node.get_closest_marker("durabletask")
    options = {} if mark is None else {key: value for key, value in mark.kwargs.items() if key != "seed"}

    return TestHub(registry, seed=seed, **options)
