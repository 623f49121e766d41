"""Which instances are in memory, and what is on its way to them.

Long, for one set of instances is what all of it is about: who comes in, by a commit, a message or a timer; who has to leave; and what must not
be lost between the two.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import islice
from typing import Protocol, TypeVar

from durabletask_backend.contract import Backend
from durabletask_backend.mutations import AppendMessage, Code, CreateInstance, Effect, Outcome
from durabletask_backend.values import (
    DueMessage,
    Instance,
    InstanceKey,
    Lease,
    LoadedEntity,
    Message,
)
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.activities import ActivityProcessor
from durabletask_server.clock import Clock
from durabletask_server.dispatch.stream import Kind
from durabletask_server.dispatch.timers import Timers
from durabletask_server.loading import Loaded, Loader
from durabletask_server.resident import Phase, Resident
from durabletask_server.settings import Settings
from durabletask_server.waiters import Waiters

log = logging.getLogger(__name__)

_UNPARKED = 100
"""Instances that come back at a time, when workers have room."""
_PATIENCE = 0.05
"""Seconds that a load waits for room."""
_CROWDED = 1.25
"""What is ready leaves memory, too, when more than so many times the memory is taken that idle instances may take."""
_TRIM = 16
"""Instances looked at in one go, when some have to leave memory."""

R = TypeVar("R", bound=Resident)


class Host(Protocol):
    """Makes residents of what is created or loaded."""

    def begin(self, instance: Instance) -> Resident:
        """One that was created this moment."""
        ...

    def revive(self, loaded: Loaded) -> Resident | None:
        """One that the store had. None: it has nothing to do any more."""
        ...


class Residency:
    """Keeps instances in memory while they have something to do, and afterwards while there is room.

    Args:
        backend: Where they are loaded from.
        lease: Under which lease.
        clock: The time.
        waiters: Are told of what is created.
        activities: Lets go of the tasks of what is replaced or purged.
        settings: Limits and delays.
    """

    def __init__(
        self,
        backend: Backend,
        lease: Lease,
        clock: Clock,
        waiters: Waiters,
        activities: ActivityProcessor,
        settings: Settings,
    ) -> None:
        self._clock = clock
        self._waiters = waiters
        self._activities = activities
        self._settings = settings
        self.timers = Timers(clock, self._due, lambda after, limit: backend.due(after=after, limit=limit))
        # Least recently used first.
        self._residents: OrderedDict[InstanceKey, Resident] = OrderedDict()
        self._weight = 0
        self.hits = self.misses = 0
        """How many messages came to an instance in memory, and to one that had to be loaded."""
        # Ready, and out of memory until a worker has room.
        self._parked: dict[InstanceKey, tuple[Kind, str, str | None]] = {}
        self._loader = Loader(backend, lease, settings.abandon_delay, self._has_room, self._loaded)
        self._room = asyncio.Event()
        self._stopped = False

    def bind(
        self,
        host: Host,
        descend: Callable[[AppendMessage], None],
        fits: Callable[[Kind, str, str, str | None], bool],
        free: Callable[[Kind], int],
    ) -> None:
        """What it calls; once, before anything else.

        Args:
            host: Makes residents.
            descend: Passes a termination that came to an instance that had ended on to its children.
            fits: Whether a worker is connected that wants a turn of that kind, hub, name and version.
            free: For how many turns or other items of a kind workers have room.
        """
        self._host = host
        self._descend = descend
        self._fits = fits
        self._free = free

    def _waits(self, resident: Resident) -> bool:
        """Whether no worker takes what is ready of an instance this moment."""
        item = resident.item

        return item is not None and (
            self._free(item.kind) <= 0 or not self._fits(item.kind, resident.key.hub, item.name, item.version)
        )

    def _park(self, resident: Resident) -> None:
        item = resident.item
        assert item is not None
        self._parked[resident.key] = (item.kind, item.name, item.version)
        self.forget(resident.key)

    def stop(self) -> None:
        """Start nothing more."""
        self._stopped = True
        self.timers.stop()
        self._loader.stop()

        for resident in self._residents.values():
            resident.rest()

    def get(self, key: InstanceKey) -> Resident | None:
        """An instance, if it is in memory."""
        return self._residents.get(key)

    def has(self, resident: Resident) -> bool:
        """Whether this is the one in memory, and not one that has left."""
        return self._residents.get(resident.key) is resident

    def ready(self) -> Sequence[Resident]:
        """Those that wait for a worker."""
        return [resident for resident in self._residents.values() if resident.phase is Phase.READY]

    def __len__(self) -> int:
        return len(self._residents)

    @property
    def weight(self) -> int:
        """About how many bytes they take."""
        return self._weight

    # What was committed.

    def follow(self, effects: Sequence[Effect], outcomes: Sequence[Outcome]) -> None:
        """What a turn did to other instances, or to its own inbox, was committed."""
        for effect, outcome in zip(effects, outcomes, strict=True):
            try:
                if isinstance(effect, CreateInstance):
                    self.created(effect, outcome)
                else:
                    self.appended(effect, outcome)
            except Exception:
                log.exception("an effect of a committed turn cannot be followed")

    def created(self, create: CreateInstance, outcome: Outcome) -> None:
        """An instance was created, or the message that says it could not be was appended."""
        if outcome.code is Code.EXISTS and create.on_conflict is not None:
            self.appended(create.on_conflict, outcome.effects[0])

        if outcome.code not in (Code.APPLIED, Code.REPLACED):
            return

        key = create.instance.key
        self.leave(key)

        if outcome.code is Code.REPLACED and create.on_replaced:
            self.follow(create.on_replaced, outcome.effects)

        # A load that is under way may have read the instance that was replaced.
        self._loader.cancel(key)
        resident = self.keep(self._host.begin(create.instance))
        self._waiters.committed(create.instance)
        message = Message(
            sequence=outcome.sequence,
            payload=create.start,
            execution_id=create.instance.execution_id,
            due_at=create.due_at,
            front=True,
        )
        self.receive(resident, message)

    def appended(self, append: AppendMessage, outcome: Outcome) -> None:
        """A message was appended, or dropped."""
        if outcome.code is Code.APPLIED:
            message = Message(
                sequence=outcome.sequence,
                payload=append.payload,
                execution_id=append.execution_id,
                due_at=append.due_at,
                front=append.front,
            )
            self.deliver(append.key, message)
        elif outcome.effects:
            self.follow(append.otherwise, outcome.effects)
        elif outcome.code is Code.TERMINAL and _reaches_descendants(append):
            self._descend(append)

    def deliver(self, key: InstanceKey, message: Message) -> None:
        """A message is in an instance's inbox."""
        resident = self._residents.get(key)

        if resident is not None:
            self.hits += 1
            self.receive(resident, message)
        elif self._loader.add(key, message):
            # What is read of it may be older than this message, so it goes with it.
            pass
        elif message.due_at is not None and message.due_at > self._clock.now():
            self.timers.add(DueMessage(message.due_at, message.sequence, key))
        else:
            self.misses += 1
            self.load(key, message)

    def receive(self, resident: Resident, message: Message) -> None:
        """A message is in a resident's inbox: it is taken up now, or when it is due."""
        taken = self._put(resident, message)
        self.weigh(resident)

        if taken:
            self._residents.move_to_end(resident.key)
            resident.wake()

    def _put(self, resident: Resident, message: Message) -> bool:
        if message.due_at is None or message.due_at <= self._clock.now():
            resident.receive(message)
            return True

        resident.postpone(message)
        self.timers.add(DueMessage(message.due_at, message.sequence, resident.key))

        return False

    def _due(self, due: DueMessage) -> None:
        resident = self._residents.get(due.key)

        if resident is None:
            self.load(due.key)
        elif due.sequence in resident.delayed:
            self.receive(resident, resident.delayed[due.sequence])

    # Memory.

    def keep(self, resident: R) -> R:
        """Take an instance in."""
        # Before it is one of them: it is about to be used.
        self.trim()
        self._residents[resident.key] = resident
        self.weigh(resident)

        return resident

    def weigh(self, resident: Resident) -> None:
        """An instance may have become larger or smaller."""
        weight = resident.weight
        self._weight += weight - resident.weighed
        resident.weighed = weight
        self._measure()

    def _measure(self) -> None:
        """There may be room again."""
        if self._weight <= self._settings.resident_bytes:
            self._room.set()

    def forget(self, key: InstanceKey) -> None:
        """Let go of an instance."""
        resident = self._residents.pop(key, None)

        if resident is not None:
            self._weight -= resident.weighed
            resident.weighed = 0

            self._measure()
            resident.withdraw()

    def lose(self, key: InstanceKey) -> None:
        """An instance is not this server's any more: a turn of it that is being committed is of no use."""
        resident = self._residents.get(key)

        if resident is not None:
            resident.is_gone = True
            self.forget(key)

    def leave(self, key: InstanceKey) -> None:
        """An instance was replaced or purged, and its tasks with it."""
        self.lose(key)
        # A load that is under way may have read what was there before.
        self._loader.cancel(key)
        self._activities.drop(key)

    def purged(self, key: InstanceKey) -> None:
        """An instance was deleted."""
        self.leave(key)
        self._waiters.purged(key)

    def close_hub(self, hub: str) -> None:
        """A hub was deleted, with all that was in it."""
        for key in [key for key in (*self._residents, *self._parked) if key.hub == hub]:
            self._parked.pop(key, None)
            self.leave(key)

        self._loader.close_hub(hub)

    def trim(self) -> None:
        """Let go of idle instances, the longest unused first, while they take too much memory."""
        if self._weight <= self._settings.resident_bytes:
            return

        for key in list(islice(self._residents, _TRIM)):
            resident = self._residents[key]

            if resident.phase is Phase.IDLE and resident.pause is None:
                self.forget(key)
            elif (
                resident.phase is Phase.READY
                and self._weight > self._settings.resident_bytes * _CROWDED
                and self._waits(resident)
            ):
                self._park(resident)
            else:
                self._residents.move_to_end(key)

    def unpark(self) -> None:
        """Workers have room: some of what had to leave memory until then comes back, if it is what they want."""
        for key, (kind, name, version) in list(islice(self._parked.items(), _UNPARKED)):
            turn = self._parked.pop(key)

            if self._fits(kind, key.hub, name, version):
                self.load(key)
            else:
                self._parked[key] = turn

    def reload(self, resident: Resident) -> None:
        """What is in memory of an instance is not what the store has."""
        if self.has(resident):
            self.forget(resident.key)
            self.load(resident.key)

    def reload_later(self, resident: Resident) -> None:
        """A batch was not committed: what is true now is what the store says, once it had a moment to recover."""
        if self.has(resident):
            self.forget(resident.key)
            self._later(lambda: self.load(resident.key))

    def _later(self, callback: Callable[[], None]) -> None:
        self._clock.call_at(self._clock.now() + int(self._settings.abandon_delay * 1_000_000), callback)

    # Loading.

    def load(self, key: InstanceKey, message: Message | None = None) -> None:
        """Bring an instance to memory, if no other server has it. A message that is known already need not be in what is read."""
        if self._stopped:
            return

        resident = self._residents.get(key)

        if resident is None:
            self.refresh(key, message)
        elif message is not None:
            self.receive(resident, message)

    def refresh(self, key: InstanceKey, message: Message | None = None) -> None:
        """Read an instance whether or not it is in memory: another server did something to it."""
        self._parked.pop(key, None)
        self._loader.ask(key)

        if message is not None:
            self._loader.add(key, message)

    async def _has_room(self) -> bool:
        """Wait until instances have left memory, if they take too much; not for ever, for those that wait may be the ones to run."""
        self.trim()

        if self._weight > self._settings.resident_bytes:
            self._room.clear()

            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._room.wait()

        return self._weight <= self._settings.resident_bytes

    def _loaded(self, key: InstanceKey, messages: Collection[Message], loaded: Loaded | None) -> None:
        resident = self._residents.get(key)

        if loaded is None:
            # It was purged, or is another server's.
            self.lose(key)
            return

        if resident is None:
            resident = self._host.revive(loaded)

            if resident is None:
                return

            self.keep(resident)
        elif _turns(loaded) < resident.turns:
            # It was read before its last turn was committed: what that turn took must not come again.
            self.refresh(key)
            return

        for message in (*loaded.inbox, *messages):
            if message.sequence not in resident.delayed:
                self._put(resident, message)

        self.weigh(resident)
        resident.wake()


def _reaches_descendants(append: AppendMessage) -> bool:
    return not append.key.is_entity and pb.HistoryEvent.FromString(append.payload).executionTerminated.recurse


def _turns(loaded: Loaded) -> int:
    return loaded.entity.turn if isinstance(loaded, LoadedEntity) else loaded.instance.turn
