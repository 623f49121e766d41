"""Ready work by what it takes to do it, so that work nobody can take now holds up no other, and is not looked at."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from durabletask_backend.values import InstanceKey

from durabletask_server.dispatch.crews import Crew, Crews
from durabletask_server.dispatch.queue import FairQueue
from durabletask_server.dispatch.stream import Kind, WorkerStream, WorkItem

_REMEMBERED = 10_000
"""For how many lanes it is remembered who wants them."""


class Lane(NamedTuple):
    """What workers' filters can tell apart in the work of a kind."""

    hub: str
    name: str
    version: str | None
    caller_version: str | None


class _Line:
    """What waits in a lane.

    Args:
        turn: When it had its last turn, or came.
    """

    __slots__ = ("queue", "turn")

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.queue: FairQueue[WorkItem] = FairQueue()


class _Audience:
    """The crews that want a lane, with all lanes that these and no others want.

    Args:
        crews: They.
    """

    __slots__ = ("crews", "lines")

    def __init__(self, crews: tuple[Crew, ...]) -> None:
        self.crews = crews
        # Whose turn was longest ago comes first. None is empty.
        self.lines: OrderedDict[Lane, _Line] = OrderedDict()

    def streams(self) -> Iterator[WorkerStream]:
        for crew in self.crews:
            yield from crew.streams

    def turn(self) -> int:
        """Of the lane that is next."""
        return next(iter(self.lines.values())).turn


class Lanes:
    """The ready work of one kind. Lanes take turns, and in each lane the instances.

    Args:
        kind: Which.
        crews: Who is connected.
        turns: Numbers, each higher than the last.
    """

    def __init__(self, kind: Kind, crews: Crews, turns: Iterator[int]) -> None:
        self._kind = kind
        self._crews = crews
        self._turns = turns
        self._length = 0
        self._lines: dict[Lane, _Line] = {}
        # Where an instance has something.
        self._of_instance: dict[InstanceKey, set[Lane]] = {}
        self._audiences: dict[tuple[Crew, ...], _Audience] = {}
        # Who wants what, also of lanes that are empty now. As old as `_changes` says.
        self._known: dict[Lane, _Audience] = {}
        self._changes = crews.changes

    def __len__(self) -> int:
        return self._length

    def push(self, item: WorkItem, *, front: bool) -> None:
        """Add an item, at the end of its instance's or at the front."""
        instance = item.instance
        lane = Lane(instance.hub, item.name, item.version, item.caller_version)
        line = self._lines.get(lane)

        if line is None:
            line = self._lines[lane] = _Line(next(self._turns))
            self._audience(lane).lines[lane] = line

        line.queue.push(instance, item, front=front)
        self._of_instance.setdefault(instance, set()).add(lane)
        self._length += 1

    def drop(self, instance: InstanceKey, unwanted: Callable[[WorkItem], bool]) -> None:
        """Remove the unwanted items of an instance."""
        for lane in tuple(self._of_instance.get(instance, ())):
            line = self._lines[lane]
            before = len(line.queue)
            line.queue.drop(instance, unwanted)
            self._length -= before - len(line.queue)
            self._tidy(lane, line, instance)

    def close_hub(self, hub: str) -> None:
        """Forget all of a hub."""
        for instance in [instance for instance in self._of_instance if instance.hub == hub]:
            self.drop(instance, lambda _: True)

    def sizes(self) -> list[tuple[Lane, int]]:
        """How many items wait in each lane that has some. May be called from any thread."""
        return [(lane, len(line.queue)) for lane, line in list(self._lines.items())]

    def wanted(self, lane: Lane) -> bool:
        """Whether somebody wants what waits in a lane, or would."""
        return bool(self._audience(lane).crews)

    def match(self, hand_out: Callable[[WorkItem, WorkerStream], None]) -> None:
        """Give what is ready to the streams that want it and have room, the least busy first.

        Args:
            hand_out: Gives an item to a stream; it may find that there is nothing to do any more.
        """
        self._refresh()
        audiences = list(self._audiences.values())
        rooms = [
            [stream for stream in audience.streams() if stream.free(self._kind) > 0] if audience.lines else []
            for audience in audiences
        ]
        # Room only shrinks here: an audience that has none is not looked at again.
        heap = [(audiences[number].turn(), number) for number, room in enumerate(rooms) if room]
        heapq.heapify(heap)

        while heap:
            number = heap[0][1]
            lines = audiences[number].lines

            if not rooms[number] or not lines:
                heapq.heappop(heap)
                continue

            lane, line = next(iter(lines.items()))
            item = line.queue.pop()
            self._length -= 1
            line.turn = next(self._turns)
            lines.move_to_end(lane)
            self._tidy(lane, line, item.instance)
            stream = self._choose(item, rooms[number])
            stream.turn = line.turn
            hand_out(item, stream)

            if stream.free(self._kind) <= 0:
                for room in rooms:
                    if stream in room:
                        room.remove(stream)

            if lines:
                heapq.heapreplace(heap, (audiences[number].turn(), number))

    def _choose(self, item: WorkItem, room: list[WorkerStream]) -> WorkerStream:
        if len(room) == 1:
            return room[0]

        kind, avoid, prefer = self._kind, item.avoid, item.prefer

        # Among those that are equally busy, the one that had nothing for the longest time.
        return min(
            room,
            key=lambda stream: (stream.number == avoid, stream.number != prefer, stream.held(kind), stream.turn),
        )

    def _tidy(self, lane: Lane, line: _Line, instance: InstanceKey) -> None:
        """Something was taken from a lane: forget what is empty."""
        if instance in line.queue:
            return

        lanes = self._of_instance[instance]
        lanes.discard(lane)

        if not lanes:
            del self._of_instance[instance]

        if not line.queue:
            del self._lines[lane]
            self._audience(lane).lines.pop(lane, None)

    def _refresh(self) -> None:
        """Ask anew who wants what, if that may have changed."""
        if self._changes == self._crews.changes:
            return

        self._changes = self._crews.changes
        self._audiences.clear()
        self._known.clear()

        for lane, line in sorted(self._lines.items(), key=lambda each: each[1].turn):
            self._audience(lane).lines[lane] = line

    def _audience(self, lane: Lane) -> _Audience:
        self._refresh()
        audience = self._known.get(lane)

        if audience is None:
            crews = tuple(
                crew for crew in self._crews if crew.hub == lane.hub and crew.filters.admits(self._kind, *lane[1:])
            )
            audience = self._audiences.get(crews)

            if audience is None:
                audience = self._audiences[crews] = _Audience(crews)

            if len(self._known) >= _REMEMBERED:
                self._known.clear()

            self._known[lane] = audience

        return audience
