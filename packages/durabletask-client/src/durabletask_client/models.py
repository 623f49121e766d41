"""What a client learns about orchestrations, and what it can ask about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Generic, TypeVar, overload

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import timestamp_pb2

from durabletask_client.errors import OrchestrationFailedError
from durabletask_client.failures import FailureDetails
from durabletask_client.serialization import DataConverter, JsonDataConverter

__all__ = [
    "OrchestrationIdReusePolicy",
    "OrchestrationQuery",
    "OrchestrationState",
    "OrchestrationStatus",
    "Page",
    "PurgeInstancesResult",
]

T = TypeVar("T")
Item = TypeVar("Item")


class OrchestrationStatus(Enum):
    """Where an orchestration stands, with the numbers of the protocol's `OrchestrationStatus`."""

    RUNNING = 0
    """At least one turn was committed and the end was not reached."""
    COMPLETED = 1
    """The code returned a result."""
    CONTINUED_AS_NEW = 2
    """Never shown by an instance; only workers use it, to ask for a new generation."""
    FAILED = 3
    """The code raised an error or broke the rules of replay; `OrchestrationState.failure_details` tells which."""
    CANCELED = 4
    """Given up by its worker."""
    TERMINATED = 5
    """Ended from outside."""
    PENDING = 6
    """Created, and its first turn is not committed yet."""
    SUSPENDED = 7
    """Held until it is resumed."""

    @property
    def is_terminal(self) -> bool:
        """Whether an instance stays in this status by itself."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        OrchestrationStatus.COMPLETED,
        OrchestrationStatus.FAILED,
        OrchestrationStatus.CANCELED,
        OrchestrationStatus.TERMINATED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationState:
    """An orchestration as it was when the server answered: the protocol's `OrchestrationState`. Times are aware, in UTC."""

    instance_id: str
    """The id it goes by."""
    name: str
    """The orchestrator that it runs."""
    version: str | None = None
    """The version it was started with; None or "" for none."""
    runtime_status: OrchestrationStatus
    """Where it stands."""
    created_at: datetime
    """When it was created; kept over continue-as-new."""
    last_updated_at: datetime
    """When anything last happened to it."""
    completed_at: datetime | None = None
    """When it ended; None while it is alive."""
    scheduled_start_at: datetime | None = None
    """The time that its start was put off to."""
    serialized_input: str | None = None
    """The payload it was started with; None if there is none, or if payloads were not asked for."""
    serialized_output: str | None = None
    """The payload of its result; None if there is none, or if payloads were not asked for."""
    serialized_custom_status: str | None = None
    """The payload of what its code last set for observers."""
    failure_details: FailureDetails | None = None
    """Why it failed; None unless it did."""
    execution_id: str | None = None
    """The generation: each start, restart and continue-as-new has its own; on some servers each rewind, too."""
    parent_instance_id: str | None = None
    """The orchestration that started it, if one did."""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The labels it was started with."""
    data_converter: DataConverter = field(default_factory=JsonDataConverter, compare=False, repr=False)
    """What reads the payloads."""

    @classmethod
    def from_proto(
        cls, proto: pb.OrchestrationState, data_converter: DataConverter | None = None
    ) -> OrchestrationState:
        """Read the protocol's message.

        Args:
            proto: The message.
            data_converter: What shall read the payloads; None for JSON.

        Returns:
            The state.
        """
        return cls(
            instance_id=proto.instanceId,
            name=proto.name,
            version=proto.version.value if proto.HasField("version") else None,
            runtime_status=OrchestrationStatus(proto.orchestrationStatus),
            created_at=_aware(proto.createdTimestamp),
            last_updated_at=_aware(proto.lastUpdatedTimestamp),
            completed_at=_aware(proto.completedTimestamp) if proto.HasField("completedTimestamp") else None,
            scheduled_start_at=(
                _aware(proto.scheduledStartTimestamp) if proto.HasField("scheduledStartTimestamp") else None
            ),
            serialized_input=proto.input.value if proto.HasField("input") else None,
            serialized_output=proto.output.value if proto.HasField("output") else None,
            serialized_custom_status=proto.customStatus.value if proto.HasField("customStatus") else None,
            failure_details=FailureDetails.from_proto(proto.failureDetails)
            if proto.HasField("failureDetails")
            else None,
            execution_id=proto.executionId.value if proto.HasField("executionId") else None,
            parent_instance_id=proto.parentInstanceId.value if proto.HasField("parentInstanceId") else None,
            tags=dict(proto.tags),
            data_converter=data_converter or JsonDataConverter(),
        )

    @overload
    def get_input(self, expected_type: type[T]) -> T | None: ...
    @overload
    def get_input(self, expected_type: object = None) -> Any: ...
    def get_input(self, expected_type: object = None) -> Any:
        """Read the input.

        Args:
            expected_type: The type to rebuild; None for plain values.

        Returns:
            The input; None if there is none, or if payloads were not asked for.

        Raises:
            TypeError: It is of another type.
            ValueError: It is malformed.
        """
        return self.data_converter.deserialize(self.serialized_input, expected_type)

    @overload
    def get_output(self, expected_type: type[T]) -> T | None: ...
    @overload
    def get_output(self, expected_type: object = None) -> Any: ...
    def get_output(self, expected_type: object = None) -> Any:
        """Read the result, or what `terminate_orchestration` gave as such. Arguments and errors are those of `get_input`."""
        return self.data_converter.deserialize(self.serialized_output, expected_type)

    @overload
    def get_custom_status(self, expected_type: type[T]) -> T | None: ...
    @overload
    def get_custom_status(self, expected_type: object = None) -> Any: ...
    def get_custom_status(self, expected_type: object = None) -> Any:
        """Read what the code last set for its observers. Arguments and errors are those of `get_input`."""
        return self.data_converter.deserialize(self.serialized_custom_status, expected_type)

    def raise_if_failed(self) -> None:
        """Raise if the orchestration failed, else do nothing.

        Raises:
            OrchestrationFailedError: The status is FAILED.
        """
        if self.runtime_status is OrchestrationStatus.FAILED:
            # Not every engine reports them.
            details = self.failure_details or FailureDetails(message="no details were reported", error_type="")
            raise OrchestrationFailedError(self.instance_id, details)


def _aware(timestamp: timestamp_pb2.Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationIdReusePolicy:
    """Which earlier runs a start may replace when its id is taken: the protocol's message of that name."""

    replaceable_statuses: Collection[OrchestrationStatus]
    """The statuses that may be replaced; empty for none, not even finished ones. To replace a live run, which is terminated
    first, TERMINATED has to be among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationQuery:
    """Conditions on orchestrations, all of which must hold: the protocol's `InstanceQuery`."""

    created_time_from: datetime | None = None
    """Created at this time or later; taken as UTC if it is naive."""
    created_time_to: datetime | None = None
    """Created before this time; taken as UTC if it is naive."""
    runtime_status: Collection[OrchestrationStatus] | None = None
    """In any of these statuses; None or empty for every one."""
    instance_id_prefix: str | None = None
    """With an id that begins so; upper and lower case differ."""
    fetch_inputs_and_outputs: bool = False
    """Whether input and output come along."""
    max_instance_count: int | None = None
    """How many the server sends at a time, which does not limit the result; None for what the server thinks best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeInstancesResult:
    """What a purge deleted: the protocol's `PurgeInstancesResponse`."""

    deleted_instance_count: int
    """How many instances are gone, children included."""
    is_complete: bool | None = None
    """Whether all that matched is gone; None if the server does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """One page of a longer list."""

    items: Sequence[Item]
    """What is on it."""
    continuation_token: str | None = None
    """What to ask the next page with; None on the last one."""
