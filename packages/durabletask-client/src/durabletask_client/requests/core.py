"""All requests of a client."""

from __future__ import annotations

from durabletask_client.requests.entities import EntityRequests
from durabletask_client.requests.hubs import HubRequests
from durabletask_client.requests.orchestrations import OrchestrationRequests
from durabletask_client.requests.queries import QueryRequests

__all__ = ["Requests"]


class Requests(OrchestrationRequests, QueryRequests, EntityRequests, HubRequests):
    """Makes the calls of a client. Every method raises `InvalidRequestError`, naming the argument, for what no server takes.

    Args:
        data_converter: What writes and reads payloads.
        default_version: The version of orchestrations that are started without one.
        new_id: Where instance ids and execution ids come from: 32 lower-case hex digits each.
    """

    __slots__ = ()
