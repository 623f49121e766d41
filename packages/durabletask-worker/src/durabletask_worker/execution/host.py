"""What the replay of an orchestration needs from the worker that hosts it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from durabletask_client.failures import DefaultFailureConverter, FailureConverter
from durabletask_client.serialization import DataConverter, JsonDataConverter

from durabletask_worker.registry import Registration, Registry
from durabletask_worker.retry import RetryPolicy

if TYPE_CHECKING:
    from durabletask_worker.context import OrchestrationContext

__all__ = ["Begin", "Guard", "Host"]

Begin: TypeAlias = "Callable[[Registration[Callable[..., Any]], OrchestrationContext, str | None], object]"
"""Calls an orchestrator with its context and the payload of its input. What it returns is run as orchestrator code: a coroutine,
a generator, a task or anything else that awaits tasks; or it is the result itself."""

Guard: TypeAlias = Callable[[Callable[..., object]], AbstractContextManager[object]]
"""Makes a context in which code of that orchestrator must not do what no replay can repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A worker, as its orchestrations see it."""

    registry: Registry
    """Where the code is."""
    converter: DataConverter = field(default_factory=JsonDataConverter)
    """Turns values into payloads and back."""
    failures: FailureConverter = field(default_factory=DefaultFailureConverter)
    """Turns exceptions into failures and back."""
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("durabletask_worker"))
    """Where oddities go."""
    default_retry_policy: RetryPolicy | None = None
    """The policy of activities and sub-orchestrations that are called without one."""
    default_version: str | None = None
    """The version of sub-orchestrations that are called without one."""
    begin: Begin | None = None
    """How an orchestrator is called; None for directly."""
    guard: Guard | None = None
    """Watches code that runs for the first time; None for nobody."""

    def call(
        self, found: Registration[Callable[..., Any]], context: OrchestrationContext, payload: str | None
    ) -> object:
        """Call an orchestrator, in the way that the worker wants. See `Begin`."""
        if self.begin is not None:
            return self.begin(found, context, payload)

        return found.function(*found.signature.arguments(context, payload, self.converter))
