"""From a caller's arguments to the protocol's fields; what no server would take is refused under the name of its argument."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import duration_pb2, timestamp_pb2, wrappers_pb2

from durabletask_client.entities import EntityInstanceId
from durabletask_client.errors import InvalidRequestError
from durabletask_client.models import OrchestrationIdReusePolicy, OrchestrationStatus

Input = TypeVar("Input")

Orchestrator: TypeAlias = Callable[[Any, Input], object] | Callable[[Any], object] | str
"""What to start: the orchestrator's function, with or without an input, or its name."""

Operation: TypeAlias = Callable[[Any, Input], object] | Callable[[Any], object] | str
"""What to ask of an entity: a method of its class, with or without an input, or its name."""


def name_of(argument: str, function: Callable[..., object] | str) -> str:
    if isinstance(function, str):
        return text(argument, function)

    name = getattr(function, "__durabletask_name__", None) or getattr(function, "__name__", None)

    if not isinstance(name, str) or name == "<lambda>":
        raise InvalidRequestError(f"{argument}: {function!r} has no name; pass the name it is registered under")

    return name


def entity_id(argument: str, value: object) -> str:
    if not isinstance(value, EntityInstanceId):
        raise InvalidRequestError(
            f"{argument}: {value!r} is no EntityInstanceId; make one, as in EntityInstanceId('counter', 'main')"
        )

    return str(value)


def text(argument: str, value: object) -> str:
    # Python does not hold callers to the annotation, and protobuf's own complaint would not name the argument.
    if not isinstance(value, str) or not value:
        raise InvalidRequestError(f"{argument}: {value!r} is not acceptable; it has to be text, and not empty")

    return value


def string(value: str | None) -> wrappers_pb2.StringValue | None:
    return None if value is None else wrappers_pb2.StringValue(value=value)


def timestamp(argument: str, moment: datetime | None) -> timestamp_pb2.Timestamp | None:
    if moment is None:
        return None

    if not isinstance(moment, datetime):
        raise InvalidRequestError(f"{argument}: {moment!r} is no datetime; give one, such as datetime.now(UTC)")

    proto = timestamp_pb2.Timestamp()
    proto.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))

    return proto


def duration(argument: str, length: timedelta | None) -> duration_pb2.Duration | None:
    if length is None:
        return None

    if length <= timedelta():
        raise InvalidRequestError(f"{argument}: {length} is not positive")

    proto = duration_pb2.Duration()
    proto.FromTimedelta(length)

    return proto


def statuses(statuses: Collection[OrchestrationStatus] | None) -> list[pb.OrchestrationStatus.ValueType]:
    return [pb.OrchestrationStatus.ValueType(status.value) for status in statuses or ()]


def reuse_policy(policy: OrchestrationIdReusePolicy | None) -> pb.OrchestrationIdReusePolicy | None:
    if policy is None:
        return None

    return pb.OrchestrationIdReusePolicy(replaceableStatus=statuses(policy.replaceable_statuses))


def tags(tags: Mapping[str, str] | None) -> Mapping[str, str]:
    entries: Mapping[Any, Any] = tags or {}

    for name, value in entries.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidRequestError(f"tags: {name!r}: {value!r} is not text on both sides")

    return entries


def count(argument: str, number: int | None) -> int:
    if number is not None and not 1 <= number < 2**31:
        raise InvalidRequestError(f"{argument}: {number} is not between 1 and {2**31 - 1}")

    return number or 0


def seconds(argument: str, length: float | None) -> float | None:
    if length is not None and not length > 0:
        raise InvalidRequestError(
            f"{argument}: {length} is not a positive number of seconds; None waits for as long as it takes"
        )

    return length
