"""Instance records as the protocol shows them."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable

from durabletask_backend.values import Cursor, Instance, Micros, RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf.message import Message

from durabletask_server.engine import events
from durabletask_server.engine.lifecycle import InvalidRequestError


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


def statuses(numbers: Iterable[int], field: str) -> frozenset[RuntimeStatus]:
    """A filter's statuses. CONTINUED_AS_NEW, which no instance has, is left out.

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

    return frozenset(wanted)


def optional_time(message: Message, field: str) -> Micros | None:
    """A time of a filter, None where it is absent."""
    return events.micros(getattr(message, field)) if message.HasField(field) else None


def page_token(cursor: Cursor) -> str:
    """A cursor as clients keep it."""
    return urlsafe_b64encode(f"{cursor.at}:{cursor.instance_id}".encode()).decode()


def cursor(token: str, field: str) -> Cursor | None:
    """What a client kept; None for the first page.

    Raises:
        InvalidRequestError: It was not made by `page_token`.
    """
    if not token:
        return None

    try:
        at, _, instance_id = urlsafe_b64decode(token.encode()).decode().partition(":")

        return Cursor(int(at), instance_id)
    except ValueError:
        raise InvalidRequestError(
            field, f"{token!r} is not a token of this server; give back what the last page came with, or nothing"
        ) from None
