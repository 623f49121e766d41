"""Instance records as the protocol shows them."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Collection

from durabletask_backend.values import Cursor, Instance, Micros, QueryOrder, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.message import Message

from durabletask_server.engine import events
from durabletask_server.engine.lifecycle import InvalidRequestError

_TIMES = 1 << 63
"""What a backend keeps a time in has 64 bits, one of them for the sign."""


def orchestration_state(instance: Instance, *, payloads: bool) -> pb.OrchestrationState:
    """An `OrchestrationState`. Input and output only with `payloads`; custom status and failure always."""
    state = pb.OrchestrationState(
        instanceId=instance.key.instance_id,
        name=instance.name,
        version=events.text(instance.version),
        orchestrationStatus=instance.status.value,  # type: ignore[arg-type]
        createdTimestamp=events.timestamp(instance.created_at),
        lastUpdatedTimestamp=events.timestamp(instance.updated_at),
        customStatus=events.text(instance.custom_status),
        executionId=events.text(instance.execution_id),
        parentInstanceId=events.text(instance.parent_id),
        tags=dict(instance.tags),
    )

    if instance.scheduled_at is not None:
        state.scheduledStartTimestamp.CopyFrom(events.timestamp(instance.scheduled_at))

    if instance.completed_at is not None:
        state.completedTimestamp.CopyFrom(events.timestamp(instance.completed_at))

    if instance.failure is not None:
        state.failureDetails.MergeFromString(instance.failure)

    if payloads and instance.input is not None:
        state.input.value = instance.input

    if payloads and instance.output is not None:
        state.output.value = instance.output

    return state


def found(instance: Instance | None, *, payloads: bool) -> pb.GetInstanceResponse:
    """A `GetInstanceResponse`."""
    if instance is None:
        return pb.GetInstanceResponse(exists=False)

    return pb.GetInstanceResponse(exists=True, orchestrationState=orchestration_state(instance, payloads=payloads))


def statuses(numbers: Collection[int], field: str) -> frozenset[RuntimeStatus] | None:
    """A filter's statuses.

    Args:
        numbers: As the client gives them.
        field: What the client calls them.

    Returns:
        The statuses, without CONTINUED_AS_NEW, which no instance has; empty: any. None where that was the only one.

    Raises:
        InvalidRequestError: One is no status at all.
    """
    wanted: set[RuntimeStatus] = set()

    for number in numbers:
        if number == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            continue

        try:
            wanted.add(RuntimeStatus(number))
        except ValueError:
            raise InvalidRequestError(field, f"{number} is not the number of an OrchestrationStatus") from None

    return frozenset(wanted) if wanted or not numbers else None


def optional_time(message: Message, field: str) -> Micros | None:
    """A time of a filter, None where it is absent."""
    return events.micros(getattr(message, field)) if message.HasField(field) else None


def page_token(cursor: Cursor, order: QueryOrder) -> str:
    """A cursor as clients keep it, with the order that it is a place in. It holds whatever is written or restarted meanwhile."""
    return urlsafe_b64encode(f"{order.value}:{cursor.at}:{cursor.instance_id}".encode()).decode()


def cursor(token: str, order: QueryOrder, field: str) -> Cursor | None:
    """What a client kept; None for the first page.

    Args:
        token: As the client gives it; empty for the first page.
        order: That of the query.
        field: What the client calls it.

    Raises:
        InvalidRequestError: It was not made by `page_token`, or for another order.
    """
    if not token:
        return None

    try:
        made_for, at, instance_id = b64decode(token.encode(), b"-_", validate=True).decode().split(":", 2)
        place, kind = Cursor(int(at), instance_id), QueryOrder(int(made_for))
    except ValueError:
        place, kind = Cursor(0, ""), order

    # What it says must be what it was made from: there is more than one way to write a number, and more numbers than times.
    if page_token(place, kind) != token or not -_TIMES <= place.at < _TIMES:
        raise InvalidRequestError(
            field, "is not a token of this server; give back what the last page came with, or nothing"
        )

    if kind is not order:
        raise InvalidRequestError(
            field,
            "is the token of another kind of query (by creation, by completion, or with an id prefix); "
            "give back what the last page of this one came with, or nothing",
        )

    return place
