"""What the clients ask and how they read the answer: the core below both of their faces, with no input or output of its own."""

from durabletask_client._arguments import Operation, Orchestrator
from durabletask_client.requests.core import Requests

__all__ = ["Operation", "Orchestrator", "Requests"]
