"""From a location to the backend it names."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest
from durabletask_backend import location
from durabletask_backend.errors import LocationError
from durabletask_backend.location import backend_at
from durabletask_backend.memory import MemoryBackend


def fake_sqlite(where: str) -> object:
    return ("sqlite", where)


def fake_postgresql(where: str) -> object:
    return ("postgresql", where)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two backends are installed, whatever is."""
    known = EntryPoints(
        EntryPoint(name=name, value=f"not_imported:{name}", group=location.ENTRY_POINT_GROUP)
        for name in ("sqlite", "postgresql")
    )
    factories = {"sqlite": fake_sqlite, "postgresql": fake_postgresql}
    monkeypatch.setattr(location, "entry_points", known.select)
    monkeypatch.setattr(EntryPoint, "load", lambda self: factories[self.name])


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("where", "scheme"),
    [
        ("", "sqlite"),
        ("hub.sqlite3", "sqlite"),
        ("./a/b", "sqlite"),
        ("/a/b:c", "sqlite"),
        ("C:\\data\\hub.sqlite3", "sqlite"),
        ("sqlite:///a", "sqlite"),
        ("SQLite:///a", "sqlite"),
        ("sqlite:", "sqlite"),
        ("postgresql://user:secret@host/db", "postgresql"),
    ],
)
def test_the_scheme_names_the_backend(where: str, scheme: str) -> None:
    found: object = backend_at(where)

    assert found == (scheme, where)


@pytest.mark.usefixtures("installed")
def test_a_scheme_that_nobody_has() -> None:
    with pytest.raises(LocationError, match=r"'mysql'.*installed: postgresql, sqlite.*durabletask-mysql") as caught:
        backend_at("mysql://user:secret@host/db")

    assert "secret" not in str(caught.value)


def test_the_reference_backend_is_installed() -> None:
    assert isinstance(backend_at("memory:"), MemoryBackend)
