"""The conformance suite of the storage contract, on a file and in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from durabletask_backend.conformance import BackendConformance, BackendFactory
from durabletask_backend.contract import Backend
from durabletask_sqlite import SqliteBackend


class TestOnAFile(BackendConformance):
    durable = True

    @pytest.fixture
    def backend_factory(self, tmp_path: Path) -> BackendFactory:
        return lambda: SqliteBackend(tmp_path / "hub.sqlite3", synchronous="OFF")


class TestInMemory(BackendConformance):
    @pytest.fixture
    def backend_factory(self) -> BackendFactory:
        return SqliteBackend


def test_it_is_a_backend() -> None:
    assert isinstance(SqliteBackend(), Backend)
