"""Histories to replay: what a server has of orchestrations shortly before their end, and the turn that is next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from durabletask_protos import orchestrator_service_pb2 as pb

_BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
_OUTSIDE = -1
"""The event id of whatever comes from outside."""


class History:
    """A history that grows by a turn a second.

    Args:
        name: The orchestrator.
        given: Its input.
    """

    def __init__(self, name: str, given: int) -> None:
        self._events: list[pb.HistoryEvent] = []
        self._now = _BEGINNING
        self._turn_at = 0
        self._actions = 0
        started = pb.HistoryEvent(eventId=_OUTSIDE)
        started.executionStarted.name = name
        started.executionStarted.input.value = str(given)
        started.executionStarted.orchestrationInstance.instanceId = "instance"
        started.executionStarted.orchestrationInstance.executionId.value = "execution"
        self.turn(started)

    def turn(self, event: pb.HistoryEvent) -> None:
        """A turn begins, with this event."""
        self._now += timedelta(seconds=1)
        self._turn_at = len(self._events)
        self._add(pb.HistoryEvent(eventId=_OUTSIDE, orchestratorStarted=pb.OrchestratorStartedEvent()))
        self._add(event)

    def scheduled(self, given: int) -> int:
        """The turn asks for an activity; gives the action's number."""
        event = self._action()
        event.taskScheduled.name = "step"
        event.taskScheduled.input.value = str(given)

        return event.eventId

    def timer(self) -> int:
        """The turn asks for a timer of a second; gives the action's number."""
        event = self._action()
        event.timerCreated.fireAt.FromDatetime(self._now + timedelta(seconds=1))

        return event.eventId

    def request(self) -> pb.OrchestratorRequest:
        """The last turn as work, with all before it as its past."""
        return pb.OrchestratorRequest(
            instanceId="instance", pastEvents=self._events[: self._turn_at], newEvents=self._events[self._turn_at :]
        )

    def _action(self) -> pb.HistoryEvent:
        self._actions += 1
        event = pb.HistoryEvent(eventId=self._actions)
        self._add(event)

        return event

    def _add(self, event: pb.HistoryEvent) -> None:
        event.timestamp.FromDatetime(self._now)
        self._events.append(event)


def sequence(events: int) -> pb.OrchestratorRequest:
    """Activities, one after the other: three events each."""
    count = events // 3
    history = History("sequence", count)

    for number in range(count):
        history.turn(_completed(history.scheduled(number), number))

    return history.request()


def fan_out(events: int) -> pb.OrchestratorRequest:
    """Activities at a time, done one after the other: three events each."""
    count = events // 3
    history = History("fan_out", count)

    for task_id, number in [(history.scheduled(number), number) for number in range(count)]:
        history.turn(_completed(task_id, number))

    return history.request()


def waits(events: int) -> pb.OrchestratorRequest:
    """A timer, then an external event, again and again: five events a time."""
    count = events // 5
    history = History("waits", count)

    for number in range(count):
        history.turn(pb.HistoryEvent(eventId=_OUTSIDE, timerFired=_fired(history.timer())))
        raised = pb.HistoryEvent(eventId=_OUTSIDE, eventRaised=pb.EventRaisedEvent(name="go"))
        raised.eventRaised.input.value = str(number)
        history.turn(raised)

    return history.request()


HISTORIES: Mapping[str, Callable[[int], pb.OrchestratorRequest]] = MappingProxyType(
    {"activities in sequence": sequence, "fan-out, when_all": fan_out, "timers and external events": waits}
)
"""Makes each of about so many events."""


def _completed(task_id: int, result: int) -> pb.HistoryEvent:
    event = pb.HistoryEvent(eventId=_OUTSIDE)
    event.taskCompleted.taskScheduledId = task_id
    event.taskCompleted.result.value = str(result)

    return event


def _fired(timer_id: int) -> pb.TimerFiredEvent:
    event = pb.TimerFiredEvent(timerId=timer_id)
    # As a server has it: when it was due, of which a replay makes nothing.
    event.fireAt.FromDatetime(_BEGINNING)

    return event
