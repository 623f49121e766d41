"""What orchestrator code learns without waiting: who it is, what time it is, what to draw lots with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from random import Random
from types import MappingProxyType

from durabletask_worker.errors import OrchestrationUnloaded
from durabletask_worker.execution.state import State

__all__ = ["Facts", "ReplaySafeLogger"]


class Facts:
    """The part of `OrchestrationContext` that tells something. Made by the worker."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._random: Random | None = None

    @property
    def instance_id(self) -> str:
        """The orchestration."""
        return self._state.instance_id

    @property
    def execution_id(self) -> str | None:
        """Its generation: a continue-as-new begins another one. None if the server names none."""
        return self._state.ids.execution_id

    @property
    def name(self) -> str:
        """The orchestrator's name."""
        return self._state.name

    @property
    def version(self) -> str | None:
        """The version it was started with; None for none."""
        return self._state.version

    @property
    def tags(self) -> Mapping[str, str]:
        """The labels it was started with."""
        return MappingProxyType(self._state.tags)

    @property
    def parent_instance_id(self) -> str | None:
        """The orchestration that started this one; None if none did."""
        return self._state.parent_instance_id

    @property
    def current_utc_datetime(self) -> datetime:
        """The time, aware and in UTC. It stands still between two waits, and a replay sees it again as it was."""
        return self._state.clock.now()

    @property
    def is_replaying(self) -> bool:
        """Whether the code runs through what it has done before. Do not decide by it what to do."""
        return self._state.is_replaying

    @property
    def is_suspended(self) -> bool:
        """Whether the orchestration is suspended."""
        return self._state.is_suspended

    @property
    def random(self) -> Random:
        """A source of random numbers, which a replay draws again as they were. Not for secrets."""
        if self._random is None:
            self._random = Random(self._live().ids.seed())

        return self._random

    def new_uuid(self) -> str:
        """Make an id that is unique, and the same again in a replay.

        Returns:
            A UUID as text.
        """
        return self._live().ids.new_uuid()

    def patched(self, name: str) -> bool:
        """Whether to take the new path of a change, for orchestrations that may have begun before the change was made.

        The first time that an orchestration asks, it is decided: those that were here before the change go the old path. The rest
        take the new one, and the history keeps that, as an event that is sent to nobody: `SendEventAction`.

        Args:
            name: The change's name, never used for another one.

        Returns:
            Whether the code is to do as it does now; False for as before.
        """
        return self._live().patched(name)

    def create_replay_safe_logger(self, logger: logging.Logger) -> ReplaySafeLogger:
        """Wrap a logger so that each line is logged once, not again with each replay.

        Args:
            logger: The logger.

        Returns:
            A logger for use in this orchestrator.
        """
        return ReplaySafeLogger(logger, self)

    def _live(self) -> State:
        if self._state.is_closed:
            raise OrchestrationUnloaded(f"{self._state} is being unloaded")

        return self._state


class ReplaySafeLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that is silent while its orchestration replays."""

    def __init__(self, logger: logging.Logger, context: Facts) -> None:
        super().__init__(logger)
        self._context = context

    def isEnabledFor(self, level: int) -> bool:
        """Whether a line of this level is logged now."""
        return not self._context.is_replaying and super().isEnabledFor(level)
