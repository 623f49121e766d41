"""The suite that every backend passes: a backend's author subclasses `BackendConformance` in a test module of their own.

```python
class TestMyBackend(BackendConformance):
    durable = True

    @pytest.fixture
    def backend_factory(self, tmp_path: Path) -> BackendFactory:
        return lambda: MyBackend(tmp_path / "store")
```

Each call of the factory makes a backend, not yet opened, on the store of that one test. Needs the extra `[conformance]`.
"""

from __future__ import annotations

import pytest

_THEMES = (
    "hubs",
    "creation",
    "messages",
    "turns",
    "tasks",
    "generations",
    "rewinding",
    "entities",
    "entity_lists",
    "purging",
    "delayed",
    "loading",
    "queries",
    "batches",
    "durability",
    "owners",
    "hints",
)

# Before they are imported: so that a failed assertion shows what it compared.
pytest.register_assert_rewrite(*(f"{__name__}.{theme}" for theme in (*_THEMES, "driver")))

from durabletask_backend.conformance.base import BackendFactory  # noqa: E402
from durabletask_backend.conformance.suite import BackendConformance  # noqa: E402

__all__ = ["BackendConformance", "BackendFactory"]
