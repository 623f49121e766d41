"""External events: who waits for which, and those that nobody waited for yet. Names are compared without regard to case."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta

from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.execution.tasks import OpenTask, Waiter

__all__ = ["EventTask", "Mailbox"]


class EventTask(OpenTask[object]):
    """The wait for one external event.

    Args:
        mailbox: Where the event will come.
        name: The event's name.
        data_type: What to rebuild its data as; None for plain values.
    """

    __slots__ = ("_data_type", "_mailbox", "is_listening", "key", "name", "on_received")

    def __init__(self, mailbox: Mailbox, name: str, data_type: object) -> None:
        OpenTask.__init__(self)  # not super(), which takes longer, for each step of each replay
        self.name = name
        self.key = name.casefold()
        """What the mailbox knows it by."""
        self.is_listening = False
        """Whether the mailbox has it for the next event."""
        self.on_received: Callable[[], None] | None = None
        self._mailbox = mailbox
        self._data_type = data_type

    def join(self, waiter: Waiter) -> None:
        """See `Task.join`."""
        self._waiters.append(waiter)

        if not self.is_listening:
            self._mailbox.listen(self)

    def leave(self, waiter: Waiter) -> None:
        """See `Task.leave`."""
        super().leave(waiter)

        if not self._waiters:
            self._mailbox.stop_listening(self)

    def receive(self, event: pb.EventRaisedEvent) -> None:
        """Take the event."""
        try:
            value = self._mailbox.read(event.input.value if event.HasField("input") else None, self._data_type)
        except Exception as error:  # noqa: BLE001 - a converter may raise anything, and the orchestrator is to see it
            self.fail(error)
        else:
            self.complete(value)

        if self.on_received is not None:
            self.on_received()

    def expire(self, timeout: timedelta) -> None:
        """Give up waiting."""
        self._mailbox.stop_listening(self)
        self.fail(TimeoutError(f"the event {self.name!r} did not come within {timeout}"))


class Mailbox:
    """Where external events come in.

    Args:
        read: Rebuilds a value from a payload and the type that it is to have.
    """

    def __init__(self, read: Callable[[str | None, object], object]) -> None:
        self.read = read
        self._listeners: dict[str, dict[EventTask, None]] = {}
        self._unread: dict[str, deque[tuple[int, pb.HistoryEvent]]] = {}
        self._arrivals = 0

    def deliver(self, event: pb.HistoryEvent) -> None:
        """Give an event to who has listened longest, or keep it."""
        raised = event.eventRaised
        key = raised.name.casefold()
        listeners = self._listeners.get(key)

        if listeners:
            task = next(iter(listeners))
            self.stop_listening(task)
            task.receive(raised)
        else:
            # A copy: the event itself would keep the whole message in memory that it came with.
            kept = pb.HistoryEvent()
            kept.CopyFrom(event)
            self._arrivals += 1
            self._unread.setdefault(key, deque()).append((self._arrivals, kept))

    def listen(self, task: EventTask) -> None:
        """Give a wait the oldest unread event of its name, or the next that comes. Without effect if it listens already."""
        if task.is_listening:
            return

        unread = self._unread.get(task.key)

        if unread:
            event = unread.popleft()[1]

            if not unread:
                del self._unread[task.key]

            task.receive(event.eventRaised)
        else:
            task.is_listening = True
            listeners = self._listeners.get(task.key)

            if listeners is None:
                self._listeners[task.key] = {task: None}
            else:
                listeners[task] = None

    def stop_listening(self, task: EventTask) -> None:
        """Leave events for others."""
        if task.is_listening:
            task.is_listening = False
            listeners = self._listeners[task.key]
            del listeners[task]

            # Names may be made up for one event each.
            if not listeners:
                del self._listeners[task.key]

    def close(self) -> None:
        """Have nobody listen any more; what comes from now on stays unread."""
        self._listeners.clear()

    def unread(self) -> list[pb.HistoryEvent]:
        """The events that nobody took, in the order in which they came."""
        arrivals = [arrival for unread in self._unread.values() for arrival in unread]

        return [event for _, event in sorted(arrivals, key=lambda arrival: arrival[0])]
