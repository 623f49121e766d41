"""Answers that come in parts."""

from __future__ import annotations

from durabletask_protos import orchestrator_service_pb2 as pb


class OutOfOrderError(Exception):
    """A part came before the one that it follows; what came so far is kept."""


def join(parts: list[pb.OrchestratorResponse], part: pb.OrchestratorResponse) -> pb.OrchestratorResponse | None:
    """The whole answer, once its last part is here.

    Args:
        parts: What came before; `part` is added to it. One that is repeated takes the place of the first one.
        part: What came now.

    Raises:
        OutOfOrderError: It is not the next part.
    """
    if not part.isPartial and not part.chunkIndex.value:
        return part

    index = part.chunkIndex.value

    if index > len(parts):
        raise OutOfOrderError(f"part {index} of an answer came when {len(parts)} parts were there")

    del parts[index:]
    parts.append(part)

    if part.isPartial:
        return None

    whole = pb.OrchestratorResponse()
    whole.CopyFrom(part)
    del whole.actions[:]

    for each in parts:
        whole.actions.extend(each.actions)

    first = parts[0]
    whole.ClearField("numEventsProcessed")
    whole.ClearField("orchestrationTraceContext")

    if first.HasField("numEventsProcessed"):
        whole.numEventsProcessed.CopyFrom(first.numEventsProcessed)

    if first.HasField("orchestrationTraceContext"):
        whole.orchestrationTraceContext.CopyFrom(first.orchestrationTraceContext)

    return whole
