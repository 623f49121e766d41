"""Critical sections: one orchestration has several entities for itself.

A request goes from entity to entity, in the order of their ids, which is the same for all, so that no two sections wait for each
other. Each entity takes the lock for the request when it is the first in its inbox, and sends it on; the last one tells the
orchestration.

A release goes to each entity by itself. If the request may still be under way, a release is sent on behind it, from every entity that
let go of the lock for it; it cannot overtake the request, for both go the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from durabletask_backend.mutations import AppendMessage
from durabletask_backend.values import EntityLock, InstanceKey, Micros
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_server.engine import events, legacy
from durabletask_server.engine.ids import entity_id
from durabletask_server.engine.postmark import Postmark, postmark, stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A critical section that an orchestration has asked for and not left."""

    lock_set: tuple[str, ...]
    """The entities, in the order in which they are locked."""
    granted: bool = False
    released: frozenset[str] = frozenset()
    """Those that the orchestration has released."""
    legacy: bool = False
    """It was asked for by an external event, and is granted by one of its name."""
    again: bool = False
    """It was granted, lost with the failure that was rewound, and asked for again. Nobody waits for that."""

    def beyond(self, entity: str) -> tuple[str, ...]:
        """The entities that a release of this one may have to be sent on to."""
        return () if self.granted and not self.again else tuple(other for other in self.lock_set if other > entity)


class Sections:
    """Follows the events of an orchestration that are about its critical sections.

    Args:
        sections: Those it is in, or waits for, so far.
    """

    def __init__(self, sections: Mapping[str, Section]) -> None:
        self.open = dict(sections)
        """By their ids."""

    def waits_for(self, section_id: str) -> bool:
        """Whether the section was asked for, and neither granted nor left."""
        section = self.open.get(section_id)

        return section is not None and not section.granted

    def add(self, event: pb.HistoryEvent) -> None:
        """Follow one event, of any kind."""
        match event.WhichOneof("eventType"):
            case "entityLockRequested":
                self._requested(event.entityLockRequested)
            case "entityUnlockSent":
                self._released(event.entityUnlockSent)
            case "entityLockGranted":
                self._granted(event.entityLockGranted.criticalSectionId)
            case "executionRewound":
                self.open = {each: replace(section, again=section.granted) for each, section in self.open.items()}
            case "eventRaised":
                section = self.open.get(event.eventRaised.name)

                if section is not None and section.legacy:
                    self._granted(event.eventRaised.name)
            case "eventSent" if event.eventSent.instanceId.startswith("@"):
                sent = event.eventSent
                self._translated(legacy.translate(sent.instanceId, sent.name, events.optional(sent, "input")))
            case _:
                pass

    def _translated(self, message: pb.SendEntityMessageAction | None) -> None:
        if message is None:
            return

        if message.HasField("entityLockRequested"):
            self._requested(message.entityLockRequested, is_legacy=True)
        elif message.HasField("entityUnlockSent"):
            self._released(message.entityUnlockSent)

    def _requested(self, requested: pb.EntityLockRequestedEvent, *, is_legacy: bool = False) -> None:
        self.open[requested.criticalSectionId] = Section(lock_set=in_order(requested.lockSet), legacy=is_legacy)

    def _granted(self, section_id: str) -> None:
        if not self.waits_for(section_id):
            return

        if self.open[section_id].lock_set:
            self.open[section_id] = replace(self.open[section_id], granted=True)
        else:
            # There is nothing to release.
            del self.open[section_id]

    def _released(self, sent: pb.EntityUnlockSentEvent) -> None:
        section = self.open.get(sent.criticalSectionId)

        if section is None:
            return

        released = section.released | {entity_id(sent.targetInstanceId.value)}

        if released.issuperset(section.lock_set):
            del self.open[sent.criticalSectionId]
        else:
            self.open[sent.criticalSectionId] = replace(section, released=released)


def in_order(lock_set: Iterable[str]) -> tuple[str, ...]:
    """The entities in the order in which every section locks them, each of them once."""
    return tuple(sorted(set(map(entity_id, lock_set))))


def request(
    hub: str, lock: EntityLock, lock_set: tuple[str, ...], at: Micros, *, position: int = 0, is_legacy: bool = False
) -> AppendMessage:
    """The request for a section, on its way to one of its entities; behind the last of them it is granted.

    Args:
        hub: Where all this is.
        lock: What is asked for.
        lock_set: The entities, in order.
        at: Now.
        position: Which of them is next.
        is_legacy: Whether the orchestration is told by an external event.
    """
    if position >= len(lock_set):
        return _grant(hub, lock, lock_set, at, is_legacy=is_legacy)

    requested = pb.EntityLockRequestedEvent(
        criticalSectionId=lock.section_id,
        lockSet=lock_set,
        position=position,
        parentInstanceId=events.text(lock.instance_id),
    )
    event = pb.HistoryEvent(eventId=events.NO_ID, timestamp=events.timestamp(at), entityLockRequested=requested)
    mark = Postmark(execution_id=lock.execution_id, legacy=is_legacy)

    return AppendMessage(key=InstanceKey(hub, lock_set[position]), payload=stamp(event, mark), at=at)


def forward(hub: str, requested: pb.HistoryEvent, at: Micros) -> AppendMessage:
    """The request of a message, after the entity that had the message has taken the lock for it."""
    asked = requested.entityLockRequested

    return request(
        hub,
        lock_of(requested),
        tuple(asked.lockSet),
        at,
        position=asked.position + 1,
        is_legacy=postmark(requested).legacy,
    )


def _grant(hub: str, lock: EntityLock, lock_set: tuple[str, ...], at: Micros, *, is_legacy: bool) -> AppendMessage:
    granted = (legacy if is_legacy else events).lock_granted(at, lock.section_id)

    return AppendMessage(
        key=InstanceKey(hub, lock.instance_id),
        payload=granted.SerializeToString(),
        execution_id=lock.execution_id,
        at=at,
        # The orchestration has ended meanwhile: what it asked for is nobody's.
        otherwise=tuple(unlock(InstanceKey(hub, entity), lock, at) for entity in lock_set),
    )


def unlock(key: InstanceKey, lock: EntityLock, at: Micros, onward: tuple[str, ...] = ()) -> AppendMessage:
    """Tells an entity that it is free of a section.

    Args:
        key: The entity.
        lock: The section.
        at: Now.
        onward: The entities to which this is to be sent on if the lock was taken.
    """
    sent = pb.EntityUnlockSentEvent(
        criticalSectionId=lock.section_id,
        parentInstanceId=events.text(lock.instance_id),
        targetInstanceId=events.text(key.instance_id),
    )
    event = pb.HistoryEvent(eventId=events.NO_ID, timestamp=events.timestamp(at), entityUnlockSent=sent)
    mark = Postmark(execution_id=lock.execution_id, onward=onward)

    return AppendMessage(key=key, payload=stamp(event, mark), at=at)


def unlock_next(hub: str, released: pb.HistoryEvent, at: Micros) -> AppendMessage | None:
    """The release of a message, sent on after the entity that had the message let go of the lock. None: it was the last."""
    onward = postmark(released).onward

    return unlock(InstanceKey(hub, onward[0]), lock_of(released), at, onward[1:]) if onward else None


def leave(owner: InstanceKey, execution_id: str, sections: Mapping[str, Section], at: Micros) -> list[AppendMessage]:
    """Release all that a generation of an orchestration has locked or asked for, because it ends.

    Args:
        owner: The orchestration.
        execution_id: The generation.
        sections: What it has not left.
        at: Now.
    """
    return [
        unlock(
            InstanceKey(owner.hub, entity),
            EntityLock(instance_id=owner.instance_id, execution_id=execution_id, section_id=section_id),
            at,
            section.beyond(entity),
        )
        for section_id, section in sections.items()
        for entity in section.lock_set
        if entity not in section.released
    ]


def regain(owner: InstanceKey, execution_id: str, sections: Mapping[str, Section], at: Micros) -> list[AppendMessage]:
    """Ask again for what a generation of an orchestration had locked when it failed, as it is rewound and goes on.

    It does not wait: until the entities are its own again, others may come in between. Arguments as of `leave`.
    """
    return [
        request(
            owner.hub,
            EntityLock(instance_id=owner.instance_id, execution_id=execution_id, section_id=section_id),
            tuple(entity for entity in section.lock_set if entity not in section.released),
            at,
        )
        for section_id, section in sections.items()
        if section.granted
    ]


def lock_of(event: pb.HistoryEvent) -> EntityLock:
    """Which lock a message asks for, or releases."""
    asked = event.entityLockRequested if event.HasField("entityLockRequested") else event.entityUnlockSent

    return EntityLock(
        instance_id=asked.parentInstanceId.value,
        execution_id=postmark(event).execution_id,
        section_id=asked.criticalSectionId,
    )
