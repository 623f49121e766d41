"""Durable orchestrations inside your own process: engine, worker and client together."""

from durabletask_embedded.channel import LocalChannel
from durabletask_embedded.hub import AddressInUseError, AsyncRunningHub, RunningHub, TaskHub

__all__ = ["AddressInUseError", "AsyncRunningHub", "LocalChannel", "RunningHub", "TaskHub"]
