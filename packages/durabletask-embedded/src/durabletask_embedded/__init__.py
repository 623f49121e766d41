"""Durable orchestrations inside your own process: engine, worker and client together."""

from durabletask_embedded.channel import LocalChannel
from durabletask_embedded.doubles import Doubles
from durabletask_embedded.hub import AddressInUseError, AsyncRunningHub, RunningHub, TaskHub
from durabletask_embedded.testing import AsyncTestHub, TestHub
from durabletask_embedded.virtual_time import VirtualClock

__all__ = [
    "AddressInUseError",
    "AsyncRunningHub",
    "AsyncTestHub",
    "Doubles",
    "LocalChannel",
    "RunningHub",
    "TaskHub",
    "TestHub",
    "VirtualClock",
]
