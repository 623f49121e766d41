"""What a client for threads does with task hubs."""

from __future__ import annotations

from durabletask_client._sync.transport import Caller

__all__ = ["HubMethods"]


class HubMethods(Caller):
    """What a client does with task hubs as a whole."""

    def ping(self) -> None:
        """See whether the server is there, and answers (`Hello`). `with_options(patience=0).ping()` tries it once."""
        self._run(self._requests.hello())

    def create_task_hub(self, *, recreate_if_exists: bool = False) -> None:
        """Make the client's task hub (`CreateTaskHub`). One that is there stays as it is.

        Args:
            recreate_if_exists: Whether one that is there is deleted first, with everything in it.
        """
        self._run(self._requests.hub_creation(recreate_if_exists=recreate_if_exists))

    def delete_task_hub(self) -> None:
        """Delete the client's task hub with everything in it (`DeleteTaskHub`)."""
        self._run(self._requests.hub_deletion())
