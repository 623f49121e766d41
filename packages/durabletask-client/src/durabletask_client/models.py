"""What a client learns about orchestrations, and what it can ask about them."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar, overload

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import json_format, struct_pb2, timestamp_pb2, wrappers_pb2

from durabletask_client.errors import OrchestrationFailedError
from durabletask_client.serialization import DataConverter, JsonDataConverter

__all__ = [
    "FailureDetails",
    "JsonValue",
    "OrchestrationIdReusePolicy",
    "OrchestrationQuery",
    "OrchestrationState",
    "OrchestrationStatus",
    "Page",
    "PurgeInstancesResult",
]

JsonValue: TypeAlias = "Mapping[str, JsonValue] | Sequence[JsonValue] | str | float | bool | None"
"""What JSON can say, in plain Python."""

T = TypeVar("T")
Item = TypeVar("Item")

_DEEPEST_CAUSE = 20
"""How many causes go along with a failure; protobuf refuses messages that are nested 100 deep."""


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
class FailureDetails:
    """Why an orchestration or a task failed, as its worker reported it: the protocol's `TaskFailureDetails`."""

    message: str
    """The error's own text."""
    error_type: str
    """The error's type in the language of the worker; from Python `module.Class`, as in `builtins.ValueError`."""
    stack_trace: str | None = None
    """Where it was raised, in the form of the worker's language."""
    inner: FailureDetails | None = None
    """The cause, as deep as it goes."""
    is_non_retriable: bool = False
    """Whether retry policies give up at once."""
    properties: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)
    """Whatever else the worker attached."""

    @classmethod
    def from_exception(cls, error: BaseException, *, is_non_retriable: bool = False) -> FailureDetails:
        """Describe an exception and its causes.

        The cause of an exception is what Python would print above it; if there is none, what it carries as `details` or
        `failure_details`, for exceptions that stand for a failure elsewhere.

        Args:
            error: The exception.
            is_non_retriable: Whether retry policies shall give up at once.

        Returns:
            Its description, with stack traces.
        """
        return cls._describe(error, is_non_retriable, _DEEPEST_CAUSE)

    @classmethod
    def _describe(cls, error: BaseException, is_non_retriable: bool, depth: int) -> FailureDetails:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

        inner = _carried(error)

        if cause is not None:
            inner = cls._describe(cause, False, depth - 1) if depth else None

        kind = type(error)

        return cls(
            message=str(error),
            error_type=f"{kind.__module__}.{kind.__qualname__}",
            stack_trace="".join(traceback.format_tb(error.__traceback__)) or None,
            inner=inner,
            is_non_retriable=is_non_retriable,
        )

    @classmethod
    def from_proto(cls, proto: pb.TaskFailureDetails) -> FailureDetails:
        """Read the protocol's message."""
        return cls(
            message=proto.errorMessage,
            error_type=proto.errorType,
            stack_trace=proto.stackTrace.value if proto.HasField("stackTrace") else None,
            inner=cls.from_proto(proto.innerFailure) if proto.HasField("innerFailure") else None,
            is_non_retriable=proto.isNonRetriable,
            properties={name: json_format.MessageToDict(value) for name, value in proto.properties.items()},
        )

    def to_proto(self) -> pb.TaskFailureDetails:
        """Write the protocol's message.

        Raises:
            ValueError: A property is no JSON value.
        """
        properties = struct_pb2.Struct()
        properties.update(dict(self.properties))

        return pb.TaskFailureDetails(
            errorType=self.error_type,
            errorMessage=self.message,
            stackTrace=None if self.stack_trace is None else wrappers_pb2.StringValue(value=self.stack_trace),
            innerFailure=None if self.inner is None else self.inner.to_proto(),
            isNonRetriable=self.is_non_retriable,
            properties=properties.fields,
        )


def _carried(error: BaseException) -> FailureDetails | None:
    for name in ("details", "failure_details"):
        carried = getattr(error, name, None)

        if isinstance(carried, FailureDetails):
            return carried

    return None


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
    """Created at this time or later; aware."""
    created_time_to: datetime | None = None
    """Created before this time; aware."""
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
