"""Entities, as a client and orchestrator code name them, and what a client learns about them and can ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, overload

from durabletask_protos import orchestrator_service_pb2 as pb

from durabletask_client.errors import InvalidRequestError
from durabletask_client.serialization import DataConverter, JsonDataConverter

__all__ = ["CleanEntityStorageResult", "EntityInstanceId", "EntityMetadata", "EntityQuery"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EntityInstanceId:
    """Which entity is meant: its kind, and its key among those of its kind.

    Raises:
        InvalidRequestError: The name is empty or has an `@` in it.
    """

    entity: str
    """The name of the entity's kind; in lower case, whatever is given."""
    key: str
    """What tells it from others of its kind."""

    def __post_init__(self) -> None:
        if not self.entity or "@" in self.entity:
            raise InvalidRequestError(f"entity: {self.entity!r} is no entity's name; it has to be text without '@'")

        object.__setattr__(self, "entity", self.entity.lower())

    def __str__(self) -> str:
        return f"@{self.entity}@{self.key}"

    @classmethod
    def parse(cls, text: str) -> EntityInstanceId:
        """Read an id as the protocol writes it.

        Args:
            text: The id, as in `@counter@main`.

        Returns:
            The id.

        Raises:
            InvalidRequestError: It has another form.
        """
        start, name, *key = text.split("@", 2) if text.count("@") >= 2 else (text, "")

        if start or not name or not key:
            raise InvalidRequestError(f"text: {text!r} is no entity's id; it has the form '@name@key'")

        return cls(name, key[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMetadata:
    """An entity as it was when the server answered: the protocol's `EntityMetadata`."""

    id: EntityInstanceId
    """Which entity it is."""
    last_modified: datetime
    """When anything last happened to it; aware, in UTC."""
    backlog_queue_size: int = 0
    """How many operations wait for it."""
    locked_by: str | None = None
    """The instance id of the orchestration that has it locked; None while it is free."""
    serialized_state: str | None = None
    """The payload of its state; None if it has none, or if states were not asked for."""
    data_converter: DataConverter = field(default_factory=JsonDataConverter, compare=False, repr=False)
    """What reads the state."""

    @classmethod
    def from_proto(cls, proto: pb.EntityMetadata, data_converter: DataConverter | None = None) -> EntityMetadata:
        """Read the protocol's message.

        Args:
            proto: The message.
            data_converter: What shall read the state; None for JSON.

        Returns:
            The metadata.
        """
        return cls(
            id=EntityInstanceId.parse(proto.instanceId),
            last_modified=proto.lastModifiedTime.ToDatetime(tzinfo=UTC),
            backlog_queue_size=proto.backlogQueueSize,
            locked_by=proto.lockedBy.value if proto.HasField("lockedBy") else None,
            serialized_state=proto.serializedState.value if proto.HasField("serializedState") else None,
            data_converter=data_converter or JsonDataConverter(),
        )

    @overload
    def get_state(self, expected_type: type[T]) -> T | None: ...
    @overload
    def get_state(self, expected_type: object = None) -> Any: ...
    def get_state(self, expected_type: object = None) -> Any:
        """Read the state.

        Args:
            expected_type: The type to rebuild; None for plain values.

        Returns:
            The state; None if there is none, or if states were not asked for.

        Raises:
            TypeError: It is of another type.
            ValueError: It is malformed.
        """
        return self.data_converter.deserialize(self.serialized_state, expected_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityQuery:
    """Conditions on entities, all of which must hold: the protocol's `EntityQuery`."""

    instance_id_starts_with: str | None = None
    """With an id that begins so, as in `@counter@` or `@counter@a`; the kind is compared in lower case."""
    last_modified_from: datetime | None = None
    """Modified at this time or later; taken as UTC if it is naive."""
    last_modified_to: datetime | None = None
    """Modified before this time; taken as UTC if it is naive."""
    include_state: bool = True
    """Whether their states come along."""
    include_transient: bool = False
    """Whether those come, too, that have no state, only a lock or operations that wait."""
    page_size: int | None = None
    """How many the server sends at a time, which does not limit the result; None for what the server thinks best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanEntityStorageResult:
    """What a clean-up did: the protocol's `CleanEntityStorageResponse`."""

    empty_entities_removed: int = 0
    """How many entities are gone that had nothing left to keep them."""
    orphaned_locks_released: int = 0
    """How many locks were released whose owner does not run any more."""

    @classmethod
    def sum(cls, parts: Iterable[CleanEntityStorageResult]) -> CleanEntityStorageResult:
        """Add up what several calls did.

        Args:
            parts: The result of each.

        Returns:
            The result of all.
        """
        results = list(parts)

        return cls(
            empty_entities_removed=sum(each.empty_entities_removed for each in results),
            orphaned_locks_released=sum(each.orphaned_locks_released for each in results),
        )
