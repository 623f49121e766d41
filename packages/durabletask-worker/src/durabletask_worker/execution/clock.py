"""What an orchestration has in place of the wall clock and of chance: both follow from its history.

Apart from the rest of its state, so that what needs no more does not hold all of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID, uuid5

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

__all__ = ["Clock", "Ids"]

_Time: TypeAlias = tuple[int, int]
"""Seconds since 1970, and nanoseconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUIDS = UUID("f0b0c8c1-8f0e-4c49-8d6f-57e4b2a3f4c6")
"""The namespace of an orchestration's ids."""


class Clock:
    """The time of an orchestration: that of the turn which is done, or done again."""

    def __init__(self) -> None:
        self.began: _Time = (0, 0)
        """The time of the first turn."""
        self._turn: pb.HistoryEvent | _Time | None = None
        self._now: datetime | None = None

    def begin_turn(self, event: pb.HistoryEvent) -> None:
        """Take over the time of a turn from its OrchestratorStarted."""
        is_first = self._turn is None
        # Few turns of a replay are asked for their time.
        self._turn = event
        self._now = None

        if is_first:
            self.began = self._time()

    def leave_events(self) -> None:
        """Keep nothing of the events that it was told of: one alone would keep the whole message in memory that it came with."""
        if self._turn is not None:
            self._turn = self._time()

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        if self._now is None:
            # Timestamp.ToDatetime takes several times as long.
            seconds, nanoseconds = self._time()
            self._now = _EPOCH + timedelta(0, seconds, nanoseconds // 1000)

        return self._now

    def time(self, when: timedelta | datetime) -> datetime:
        """A time, given as one, where a naive one is in UTC, or from now."""
        if isinstance(when, timedelta):
            return self.now() + when

        return when if when.tzinfo is not None else when.replace(tzinfo=UTC)

    def _time(self) -> _Time:
        turn = self._turn

        if isinstance(turn, pb.HistoryEvent):
            at = turn.timestamp

            return at.seconds, at.nanos

        return turn or (0, 0)


class Ids:
    """The ids that an orchestration makes, and the seed of its random numbers: the same again in a replay.

    Args:
        instance_id: The orchestration.
        execution_id: Its generation; None if the server names none.
        clock: Its time.
    """

    def __init__(self, instance_id: str, execution_id: str | None, clock: Clock) -> None:
        self.execution_id = execution_id
        self._instance_id = instance_id
        self._clock = clock
        self._uuids = 0
        self._seed: str | None = None

    def new_uuid(self) -> str:
        """A unique id."""
        self._uuids += 1

        return str(uuid5(_UUIDS, f"{self._instance_id} {self._clock.now().isoformat()} {self._uuids}"))

    def of_action(self, action_id: int) -> str:
        """The id of what an action asks of an entity."""
        # From the number of the action, not from that of the id, so that a change of the code that is found out later still gets
        # its answers.
        return str(uuid5(_UUIDS, f"{self.seed()} {action_id}"))

    def seed(self) -> str:
        """What random numbers may follow from: another text for each generation."""
        if self._seed is None:
            seconds, nanoseconds = self._clock.began
            began = Timestamp(seconds=seconds, nanos=nanoseconds).ToJsonString()
            self._seed = f"{self._instance_id} {self.execution_id} {began}"

        return self._seed
