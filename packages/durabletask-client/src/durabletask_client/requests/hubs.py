"""Requests about task hubs as a whole."""

from __future__ import annotations

from typing import Any

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.empty_pb2 import Empty

from durabletask_client.calls import Call, Repeat

__all__ = ["HubRequests"]


class HubRequests:
    """Makes the calls about task hubs."""

    __slots__ = ()

    def hello(self) -> Call[Empty, None]:
        """`Hello`."""
        return Call(rpc="Hello", request=Empty(), read=_nothing, repeat=Repeat.BRIEFLY)

    def hub_creation(self, *, recreate_if_exists: bool) -> Call[pb.CreateTaskHubResponse, None]:
        """`CreateTaskHub`."""
        return Call(
            rpc="CreateTaskHub",
            request=pb.CreateTaskHubRequest(recreateIfExists=recreate_if_exists),
            read=_nothing,
            # To recreate it twice would delete what others did in between.
            repeat=Repeat.NEVER if recreate_if_exists else Repeat.BRIEFLY,
        )

    def hub_deletion(self) -> Call[pb.DeleteTaskHubResponse, None]:
        """`DeleteTaskHub`."""
        return Call(rpc="DeleteTaskHub", request=pb.DeleteTaskHubRequest(), read=_nothing)


def _nothing(_: Any) -> None:
    """What there is to read in an answer without content."""
