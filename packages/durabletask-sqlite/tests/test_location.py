"""What a `--db` location means."""

from __future__ import annotations

from pathlib import Path

import pytest
from durabletask_backend.errors import LocationError
from durabletask_backend.location import backend_at
from durabletask_sqlite import SqliteBackend, open_url


@pytest.mark.parametrize(
    ("location", "file"),
    [
        ("hub.sqlite3", "hub.sqlite3"),
        ("./a folder/hub", "a folder/hub"),
        ("/data/hub.sqlite3", "/data/hub.sqlite3"),
        ("sqlite:hub.sqlite3", "hub.sqlite3"),
        ("sqlite:///hub.sqlite3", "hub.sqlite3"),
        ("sqlite:///a/hub.sqlite3", "a/hub.sqlite3"),
        ("sqlite:////data/hub.sqlite3", "/data/hub.sqlite3"),
    ],
)
def test_it_names_a_file(location: str, file: str) -> None:
    for backend in (open_url(location), backend_at(location)):
        assert backend.description == f"SQLite file {Path(file).resolve()}"


@pytest.mark.parametrize("location", ["", "sqlite:", "sqlite://", "sqlite:///", ":memory:", "sqlite:///:memory:"])
def test_it_names_a_database_in_memory(location: str) -> None:
    for backend in (open_url(location), backend_at(location)):
        assert backend.description == "SQLite in memory"


def test_a_host_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(LocationError, match="sqlite:///relative"):
        open_url("sqlite://data/hub.sqlite3")


def test_a_setting_that_sqlite_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="synchronous is 'SOMETIMES'"):
        SqliteBackend(synchronous="SOMETIMES")
