"""What a package says it offers is what it offers."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TypeVar

import durabletask_worker
import pytest


def public_modules() -> list[str]:
    found = pkgutil.walk_packages(durabletask_worker.__path__, "durabletask_worker.")

    return ["durabletask_worker", *(module.name for module in found if "._" not in module.name)]


@pytest.mark.parametrize("name", public_modules())
def test_what_is_exported_exists_and_is_documented(name: str) -> None:
    module = importlib.import_module(name)

    assert module.__doc__

    for exported in getattr(module, "__all__", ()):
        assert getattr(module, exported, None) is not None


@pytest.mark.parametrize("name", public_modules()[1:])
def test_what_a_module_defines_in_public_is_exported(name: str) -> None:
    module = importlib.import_module(name)
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", None) == name and hasattr(value, "__name__")
    }

    # A package exports what its modules define; aliases of types and constants cannot be told from what is imported.
    assert {key for key in defined if not isinstance(vars(module)[key], TypeVar)} == {
        key for key in getattr(module, "__all__", ()) if getattr(getattr(module, key), "__module__", None) == name
    }
