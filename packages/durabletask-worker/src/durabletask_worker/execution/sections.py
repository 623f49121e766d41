"""What an orchestration has to do with entities: calls that are not answered, and the critical section that it is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from durabletask_client.entities import EntityInstanceId
from durabletask_client.failures import FailureDetails
from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_worker.errors import CriticalSectionError
from durabletask_worker.execution.actions import CallEntity, ReleaseEntity, RequestLocks, SignalEntity
from durabletask_worker.execution.schedule import Schedule
from durabletask_worker.execution.tasks import OpenTask, Waiter

__all__ = ["EntityLock", "LockTask", "Sections"]


class EntityLock:
    """A critical section: while it lasts, the entities of its lock answer to this orchestration alone.

    `with` and `async with` end it; so does the orchestration's end.
    """

    def __init__(self, sections: Sections, section_id: str) -> None:
        self._sections = sections
        self._section_id = section_id

    def release(self) -> None:
        """End the section. Without effect the second time."""
        self._sections.leave(self._section_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class LockTask(OpenTask[EntityLock]):
    """The wait for the locks of a critical section. `async with` waits for it, and ends the section."""

    __slots__ = ("_section_id", "_sections")

    def __init__(self, sections: Sections, section_id: str) -> None:
        super().__init__()
        self._sections = sections
        self._section_id = section_id

    def abandon(self, waiter: Waiter) -> None:
        """See `Task.abandon`. Nobody is left to use the locks, which may be granted yet."""
        super().abandon(waiter)
        self._sections.leave(self._section_id)

    async def __aenter__(self) -> EntityLock:
        try:
            return await self
        except BaseException:
            # Nobody is left to use the locks, which may be granted yet.
            self._sections.leave(self._section_id)

            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sections.leave(self._section_id)


class _Call:
    __slots__ = ("action", "decode", "task")

    def __init__(self, action: CallEntity, decode: Callable[[str | None], object]) -> None:
        self.action = action
        self.decode = decode
        self.task: OpenTask[object] = OpenTask()


class _Section:
    __slots__ = ("busy", "entities", "id", "is_held", "task")

    def __init__(self, section_id: str, entities: tuple[str, ...], task: LockTask) -> None:
        self.id = section_id
        self.entities = entities
        self.task = task
        self.is_held = False
        self.busy: set[str] = set()


class Sections:
    """The calls and the critical section of one orchestration.

    Args:
        instance_id: The orchestration.
        schedule: Where actions go.
        to_exception: Makes the exception that a failed call raises.
        new_id: Makes an id for what is asked of entities, from the number of the action: the same in each replay.
    """

    def __init__(
        self,
        instance_id: str,
        schedule: Schedule,
        to_exception: Callable[[str, FailureDetails], BaseException],
        new_id: Callable[[int], str],
    ) -> None:
        self._instance_id = instance_id
        self._schedule = schedule
        self._to_exception = to_exception
        self._new_id = new_id
        self._calls: dict[str, _Call] = {}
        self._section: _Section | None = None
        self._given_up: dict[str, _Section] = {}

    def call(
        self, entity: EntityInstanceId, operation: str, payload: str | None, decode: Callable[[str | None], object]
    ) -> OpenTask[object]:
        """Take on a call.

        Raises:
            CriticalSectionError: A critical section does not have the entity, or waits for its answer already.
        """
        section, target = self._section, str(entity)

        if section is not None and section.is_held:
            if target not in section.entities:
                raise CriticalSectionError(
                    f"{target} is called in a critical section that has locked {', '.join(section.entities)}; lock it, too, "
                    "or call it outside"
                )

            if target in section.busy:
                raise CriticalSectionError(
                    f"{target} is called in a critical section before its last answer has come; wait for one call after the other"
                )

            section.busy.add(target)

        action_id = self._schedule.next_id()
        action = CallEntity(action_id, target, operation, payload, self._new_id(action_id), self._instance_id)
        self._schedule.add(action)
        self._calls[action.request_id] = call = _Call(action, decode)

        return call.task

    def signal(
        self, entity: EntityInstanceId, operation: str, payload: str | None, scheduled_time: datetime | None
    ) -> None:
        """Take on a signal.

        Raises:
            CriticalSectionError: The entity is locked by this orchestration, and would see the signal only after the section.
        """
        section, target = self._section, str(entity)

        if section is not None and section.is_held and target in section.entities:
            raise CriticalSectionError(f"{target} is locked and cannot be signaled; call it instead")

        action_id = self._schedule.next_id()
        self._schedule.add(SignalEntity(action_id, target, operation, payload, self._new_id(action_id), scheduled_time))

    def check_child(self) -> None:
        """See whether a sub-orchestration may be called.

        Raises:
            CriticalSectionError: There is a critical section, whose entities the child could wait for without end.
        """
        if self._section is not None and self._section.is_held:
            raise CriticalSectionError(
                "a sub-orchestration is called in a critical section, and could wait for its entities without end; "
                "call it outside, or use an activity"
            )

    def lock(self, entities: Sequence[EntityInstanceId]) -> LockTask:
        """Ask for a critical section.

        Raises:
            CriticalSectionError: There is one already.
            ValueError: There are no entities.
        """
        if not entities:
            raise ValueError("entities: lock_entities needs one entity at least")

        if self._section is not None:
            raise CriticalSectionError(
                f"the locks of {', '.join(self._section.entities)} are held or asked for; lock all entities at once, or release those first"
            )

        # In one order for all, so that no two orchestrations wait for each other.
        ordered = tuple(sorted({str(entity) for entity in entities}))
        action_id = self._schedule.next_id()
        section_id = self._new_id(action_id)
        task = LockTask(self, section_id)
        self._section = _Section(section_id, ordered, task)
        self._schedule.add(RequestLocks(action_id, section_id, ordered, self._instance_id))

        return task

    def leave(self, section_id: str) -> None:
        """End a critical section, or give up asking for it. Without effect on one that is over."""
        section = self._section

        if section is None or section.id != section_id:
            return

        self._section = None

        if section.is_held:
            self._release(section)
        else:
            # To be given back when it comes: until then nothing is held.
            self._given_up[section_id] = section

    def close(self) -> None:
        """End whatever section there is, at the end of the orchestration."""
        if self._section is not None and self._section.is_held:
            self._release(self._section)

    def completed(self, request_id: str, payload: str | None) -> bool:
        """Take note of an answer. False if nothing open has that number."""
        call = self._answered(request_id)

        if call is None:
            return False

        try:
            result = call.decode(payload)
        except Exception as error:  # noqa: BLE001 - a converter may raise anything, and the orchestrator is to see it
            call.task.fail(error)
        else:
            call.task.complete(result)

        return True

    def failed(self, request_id: str, failure: pb.TaskFailureDetails) -> bool:
        """Take note of a failure. False if nothing open has that number."""
        call = self._answered(request_id)

        if call is None:
            return False

        call.task.fail(self._to_exception(str(call.action), FailureDetails.from_proto(failure)))

        return True

    def granted(self, section_id: str) -> bool:
        """Take note of locks. False if they are not asked for."""
        given_up = self._given_up.pop(section_id, None)

        if given_up is not None:
            self._release(given_up)

            return True

        section = self._section

        if section is None or section.id != section_id or section.is_held:
            return False

        section.is_held = True
        section.task.complete(EntityLock(self, section_id))

        return True

    def _answered(self, request_id: str) -> _Call | None:
        call = self._calls.pop(request_id, None)

        if call is not None and self._section is not None:
            self._section.busy.discard(call.action.entity)

        return call

    def _release(self, section: _Section) -> None:
        for entity in section.entities:
            self._schedule.add(ReleaseEntity(self._schedule.next_id(), section.id, entity, self._instance_id))
