"""How calls are made, whatever they ask: how long they may take, how patiently, and what goes along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import EllipsisType
from typing import TypedDict

from durabletask_client import _arguments as arguments
from durabletask_client.channel import CallMetadata, MetadataSource, call_metadata
from durabletask_client.errors import InvalidRequestError
from durabletask_client.models import OrchestrationIdReusePolicy

__all__ = ["CallOptions", "RunOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How the calls of a client are made.

    Raises:
        InvalidRequestError: `timeout` is not positive, or `patience` is negative.
    """

    metadata: CallMetadata
    """Gives what goes along with the next call."""
    patience: float
    """Seconds for which what is safe to repeat is tried again while the server is unavailable."""
    timeout: float | None
    """Seconds that a call may take with all its tries; None for as long as it takes. Waits have a timeout of their own."""

    def __post_init__(self) -> None:
        arguments.seconds("timeout", self.timeout)

        if not self.patience >= 0:
            raise InvalidRequestError(f"patience: {self.patience} is negative; 0 tries each call once")

    def changed(
        self,
        *,
        timeout: float | EllipsisType | None = ...,
        patience: float | None = None,
        metadata: MetadataSource | None = None,
    ) -> CallOptions:
        """Make options that differ from these.

        Args:
            timeout: Another timeout, in seconds, or None for none; `...` keeps the one there is.
            patience: Another patience, in seconds; None keeps the one there is.
            metadata: What goes along besides what goes along already; None for nothing.

        Returns:
            The options.

        Raises:
            InvalidRequestError: A number is out of range.
        """
        before, more = self.metadata, call_metadata(metadata)

        return replace(
            self,
            metadata=before if metadata is None else lambda: (*before(), *more()),
            timeout=self.timeout if isinstance(timeout, EllipsisType) else timeout,
            patience=self.patience if patience is None else patience,
        )


class RunOptions(TypedDict, total=False):
    """What goes along with `run_orchestration`, by the names that `schedule_new_orchestration` has for it."""

    timeout: float | None
    """Seconds to wait for the end; None for as long as it takes."""
    instance_id: str | None
    """The id to give it."""
    start_at: datetime | None
    """When to start."""
    reuse_id_policy: OrchestrationIdReusePolicy | None
    """What to do if the id is taken."""
    tags: Mapping[str, str] | None
    """Labels."""
    version: str | None
    """The version to start."""
