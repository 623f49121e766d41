"""Durable orchestrations inside your own process: engine, worker and client together.

The names of `durabletask_worker` that nearly every program needs are here, too.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durabletask_worker import ActivityContext, EntityContext, OrchestrationContext, Registry

    from durabletask_embedded.channel import LocalChannel
    from durabletask_embedded.doubles import Doubles
    from durabletask_embedded.executor import RegistryExecutor
    from durabletask_embedded.hub import AddressInUseError, AsyncRunningHub, RunningHub, TaskHub
    from durabletask_embedded.recorded import Replayed, histories, replay
    from durabletask_embedded.testing import AsyncTestHub, RunningTestHub, TestHub
    from durabletask_embedded.virtual_time import VirtualClock

__all__ = [
    "ActivityContext",
    "AddressInUseError",
    "AsyncRunningHub",
    "AsyncTestHub",
    "Doubles",
    "EntityContext",
    "LocalChannel",
    "OrchestrationContext",
    "Registry",
    "RegistryExecutor",
    "Replayed",
    "RunningHub",
    "RunningTestHub",
    "TaskHub",
    "TestHub",
    "VirtualClock",
    "histories",
    "replay",
]

_MODULES = {
    "durabletask_worker": ("ActivityContext", "EntityContext", "OrchestrationContext", "Registry"),
    ".channel": ("LocalChannel",),
    ".doubles": ("Doubles",),
    ".executor": ("RegistryExecutor",),
    ".hub": ("AddressInUseError", "AsyncRunningHub", "RunningHub", "TaskHub"),
    ".recorded": ("Replayed", "histories", "replay"),
    ".testing": ("AsyncTestHub", "RunningTestHub", "TestHub"),
    ".virtual_time": ("VirtualClock",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    # Imported when they are asked for: pytest imports this package for its plugin in each of its runs, and most ask for nothing.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    value: object = getattr(import_module(_MODULE_OF[name], __name__), name)
    globals()[name] = value

    return value
