"""Terminations that pass through instances that have ended, to what these have started."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from durabletask_backend.contract import Backend
from durabletask_backend.errors import BackendError
from durabletask_backend.mutations import AppendMessage, Code, Outcome
from durabletask_backend.values import InstanceKey

from durabletask_server.about import about
from durabletask_server.journal import Journal, JournalClosedError
from durabletask_server.residency import Residency

log = logging.getLogger(__name__)


class Descent:
    """Terminates the children of instances that have ended before they could be terminated themselves.

    Args:
        backend: Knows the children.
        journal: Commits.
        residency: Follows what was committed; it calls again for a child that has ended, too.
    """

    def __init__(self, backend: Backend, journal: Journal, residency: Residency) -> None:
        self._backend = backend
        self._journal = journal
        self._residency = residency
        self._running: set[asyncio.Task[None]] = set()

    def descend(self, append: AppendMessage) -> None:
        """Pass a termination on to the children of the instance that it was for."""
        self._start(append, {append.key})

    def _start(self, append: AppendMessage, seen: set[InstanceKey]) -> None:
        task = asyncio.create_task(self._pass_on(append, seen), name="descent")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def stop(self) -> None:
        """Start nothing more."""
        for task in self._running:
            task.cancel()

    async def _pass_on(self, append: AppendMessage, seen: set[InstanceKey]) -> None:
        try:
            for child in await self._backend.children(append.key):
                # Ids are used again: an instance can be its own descendant.
                if child not in seen:
                    seen.add(child)
                    self._terminate(replace(append, key=child), seen)
        except (BackendError, JournalClosedError) as error:
            log.warning(
                "the children of instance %s are not terminated: %s",
                append.key.instance_id,
                error,
                extra=about(append.key),
            )

    def _terminate(self, append: AppendMessage, seen: set[InstanceKey]) -> None:
        def applied(outcome: Outcome) -> None:
            if outcome.code is Code.TERMINAL:
                self._start(append, seen)
            else:
                self._residency.appended(append, outcome)

        self._journal.submit(append, applied)
