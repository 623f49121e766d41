"""From `module:name` on a command line to what is to be hosted."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

from durabletask_worker.registry import Registry
from durabletask_worker.worker import TaskHubGrpcWorker

__all__ = ["TargetError", "load"]


class TargetError(Exception):
    """What is to be hosted cannot be found."""


def load(target: str) -> Registry | TaskHubGrpcWorker:
    """Import what is to be hosted; the current directory is looked at first.

    Args:
        target: `module:name` of a Registry or a TaskHubGrpcWorker, or `module` if there is one only in it.

    Returns:
        It.

    Raises:
        TargetError: There is no such thing.
        Exception: Whatever the module raises.
    """
    name, _, attribute = target.partition(":")
    module = _module(name)
    found: object = module

    if not attribute:
        return _only_one(module)

    for part in attribute.split("."):
        if not hasattr(found, part):
            raise TargetError(f"module {name!r} has no {attribute!r}{_near(part, vars(module))}")

        found = getattr(found, part)

    if isinstance(found, Registry | TaskHubGrpcWorker):
        return found

    raise TargetError(
        f"{target!r} is a {type(found).__name__}; it must be a Registry or a TaskHubGrpcWorker{_near('', vars(module))}"
    )


def _module(name: str) -> ModuleType:
    if not name or name.startswith(".") or "/" in name or name.endswith(".py"):
        raise TargetError(f"{name!r} is no name of a module; write it as in an import: 'shop.workflows:registry'")

    directory = os.getcwd()

    if directory not in sys.path:
        sys.path.insert(0, directory)

    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # Another one that is missing is the module's own problem.
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise

        raise TargetError(f"there is no module {error.name!r} in {directory} nor where Python looks") from error


def _only_one(module: ModuleType) -> Registry | TaskHubGrpcWorker:
    hosts = _hosts(vars(module))
    # The same under two names is one. A worker has its registry with it.
    workers = {id(each): each for each in hosts.values() if isinstance(each, TaskHubGrpcWorker)}
    registries = {
        id(each): each
        for each in hosts.values()
        if isinstance(each, Registry) and not any(worker.registry is each for worker in workers.values())
    }
    found: list[Registry | TaskHubGrpcWorker] = [*workers.values(), *registries.values()]

    if len(found) == 1:
        return found[0]

    if not found:
        raise TargetError(f"module {module.__name__!r} has neither a Registry nor a TaskHubGrpcWorker")

    raise TargetError(
        f"module {module.__name__!r} has several; name one: "
        + ", ".join(f"'{module.__name__}:{name}'" for name in sorted(hosts))
    )


def _hosts(names: Mapping[str, object]) -> dict[str, Registry | TaskHubGrpcWorker]:
    return {name: value for name, value in names.items() if isinstance(value, Registry | TaskHubGrpcWorker)}


def _near(name: str, names: Mapping[str, object]) -> str:
    """What may have been meant."""
    hosts = _hosts(names)
    near = get_close_matches(name, hosts, n=1) or sorted(hosts)[:3]

    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
