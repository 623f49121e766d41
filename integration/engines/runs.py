"""A scenario run on an engine, as a test wants it: it holds where the engine has it, and fails as it is known to where not."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from durabletask_client import TaskHubGrpcClient

from integration.engines.hub import Hub, serving
from integration.engines.lacks import LACKS
from integration.engines.table import registry, scenarios
from integration.processes import Server

SHORT = 3.0
"""Seconds of patience with an engine that will not come to the end."""
UNANSWERED = 30.0
"""Seconds after which a call that no scenario waits with counts as unanswered; none takes more than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that scenarios run on."""

    name: str
    """What `LACKS` calls it."""
    server: Callable[[Path], Server]
    """Makes one that keeps its files in a folder; not started yet."""
    folder: Path
    """Where files go."""

    @contextmanager
    def hub(self, name: str, *, patience: float = 20.0) -> Generator[Hub]:
        """The engine, with our worker and our client on it.

        Args:
            name: Of the folder for its files; each has one of its own.
            patience: Seconds until a scenario gives up.
        """
        place = self.folder / name
        place.mkdir()

        with (
            self.server(place) as server,
            serving(server.address, registry()),
            TaskHubGrpcClient(host_address=server.address, timeout=UNANSWERED) as client,
        ):
            yield Hub(address=server.address, client=client, patience=patience)


def check(engine: Engine, shared: Hub, name: str) -> None:
    """Run a scenario. One that the engine lacks has an engine of its own: who knows in what state it is left."""
    lack = LACKS[engine.name].get(name)

    if lack is None:
        _run(name, shared)
        return

    for folder in (name, f"{name}-again"):
        with engine.hub(folder, patience=SHORT) as hub:
            failed = _failure(name, hub)

        # On a busy machine an engine may take longer than our patience, and on PyPI's a call was seen to stay unanswered, once.
        if failed is None or not failed.startswith("TimeoutError") or re.search(lack.shows, failed):
            break

    if failed is None:
        pytest.fail(f"{engine.name} has {name} by now; strike it from the table of what it lacks")

    assert re.search(lack.shows, failed), failed


def _failure(name: str, hub: Hub) -> str | None:
    try:
        _run(name, hub)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - whatever it is, it is compared with what is expected
        return f"{type(error).__name__}: {error}"

    return None


def _run(name: str, hub: Hub) -> None:
    scenario = scenarios()[name]

    if inspect.iscoroutinefunction(scenario):
        asyncio.run(scenario(hub))
    else:
        scenario(hub)
