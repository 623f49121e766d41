"""From a caller's arguments to the protocol's fields; what no server would take is refused under the name of its argument."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import duration_pb2, timestamp_pb2, wrappers_pb2

from durabletask_client.errors import InvalidRequestError
from durabletask_client.models import OrchestrationIdReusePolicy, OrchestrationStatus

Input = TypeVar("Input")

Orchestrator: TypeAlias = Callable[[Any, Input], object] | Callable[[Any], object] | str
"""What to start: the orchestrator's function, with or without an input, or its name."""


def orchestrator_name(orchestrator: Orchestrator[Any]) -> str:
    if isinstance(orchestrator, str):
        return text("orchestrator", orchestrator)

    name = getattr(orchestrator, "__durabletask_name__", None) or getattr(orchestrator, "__name__", None)

    if not isinstance(name, str) or name == "<lambda>":
        raise InvalidRequestError(f"orchestrator: {orchestrator!r} has no name; pass the name it is registered under")

    return name


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

    if moment.utcoffset() is None:
        raise InvalidRequestError(
            f"{argument}: {moment} has no time zone; use an aware datetime, such as datetime.now(UTC)"
        )

    proto = timestamp_pb2.Timestamp()
    proto.FromDatetime(moment)

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
