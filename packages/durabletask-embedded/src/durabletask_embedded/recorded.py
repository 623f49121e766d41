"""Recorded histories, run against today's code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from durabletask_client import DataConverter, HistoryEvent, JsonDataConverter, OrchestrationStatus
from durabletask_client.failures import DefaultFailureConverter, FailureConverter, FailureDetails
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_protos.history_json import RecordedHistory, load
from durabletask_worker import Middleware, NonDeterminismError, Registry, RetryPolicy
from durabletask_worker.execution.actions import CreateChild, ScheduleActivity, Terminate
from durabletask_worker.execution.host import Host
from durabletask_worker.execution.replay import Execution
from durabletask_worker.middleware import Pipeline

__all__ = ["Replayed", "histories", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """An orchestration whose code does what its history says."""

    instance_id: str
    """The orchestration."""
    name: str
    """The orchestrator."""
    status: OrchestrationStatus
    """Where the history ends; RUNNING if that is not the end of the orchestration."""
    events: int
    """How many events were gone through."""


def replay(
    history: str | PathLike[str] | RecordedHistory | Sequence[HistoryEvent],
    registry: Registry,
    *,
    data_converter: DataConverter | None = None,
    failure_converter: FailureConverter | None = None,
    default_retry_policy: RetryPolicy | None = None,
    default_version: str | None = None,
    middleware: Sequence[Middleware] = (),
) -> Replayed:
    """Run a recorded history against today's code, without a hub: does the code take the same steps, and come to the same end?

    Inputs of activities and of others that are called are not compared, as no engine does.

    Args:
        history: JSON as `export_orchestration_history` of a client and `durabletask-server history` write it, or the path of a file with it; or
            what `get_orchestration_history` gives.
        registry: The code.
        data_converter: As the worker has it, and so are all that follow.
        failure_converter: Turns exceptions into failures.
        default_retry_policy: For activities and sub-orchestrations that are called without one.
        default_version: Of sub-orchestrations that are called without one.
        middleware: What stands around orchestrators.

    Returns:
        What was gone through.

    Raises:
        NonDeterminismError: The code departs from the history. It says at which step, what the history has there, what the code did,
            and in which line.
        HistoryFormatError: The text, or what is in the file, is no history.
        OSError: The file cannot be read.
    """
    recorded = _recorded(history)
    converter = data_converter or JsonDataConverter()
    host = Host(
        registry=registry,
        converter=converter,
        failures=failure_converter or DefaultFailureConverter(),
        default_retry_policy=default_retry_policy,
        default_version=default_version,
        begin=Pipeline(middleware, converter).begin,
    )
    execution = Execution(host, instance_id=recorded.instance_id, traces=True)

    try:
        response = execution.advance(recorded.events, ())
    finally:
        execution.close()

    if execution.departure is not None:
        raise execution.departure

    done = next(
        (action.completeOrchestration for action in response.actions if action.HasField("completeOrchestration")), None
    )
    end = next((event.executionCompleted for event in recorded.events if event.HasField("executionCompleted")), None)
    status = OrchestrationStatus.RUNNING if end is None else OrchestrationStatus(end.orchestrationStatus)

    # A termination is nothing that code does.
    if status is not OrchestrationStatus.TERMINATED:
        _expect_nothing_more(recorded, execution, done)
        _expect_same_end(recorded, end, done, converter)

    return Replayed(instance_id=recorded.instance_id, name=recorded.name, status=status, events=len(recorded.events))


def histories(directory: str | PathLike[str]) -> list[Path]:
    """Find recorded histories, for a test that is parametrised by them.

    Args:
        directory: Where they are, as files that end in `.json`, in folders too.

    Returns:
        Their paths, in order.

    Raises:
        FileNotFoundError: There are none, so that a test would test nothing.
    """
    found = sorted(Path(directory).rglob("*.json"))

    if not found:
        raise FileNotFoundError(f"no recorded histories, *.json, in {Path(directory).resolve()}")

    return found


def _recorded(history: str | PathLike[str] | RecordedHistory | Sequence[HistoryEvent]) -> RecordedHistory:
    match history:
        case RecordedHistory():
            return history
        case str() if history.lstrip().startswith("{"):
            return load(history)
        case str() | PathLike():
            return load(Path(history).read_text("utf-8"))
        case _:
            events = tuple(event.raw for event in history)
            started = (event.executionStarted for event in events if event.HasField("executionStarted"))
            instance_id = next((each.orchestrationInstance.instanceId for each in started), "")

            return RecordedHistory(instance_id=instance_id, events=events)


def _expect_nothing_more(
    history: RecordedHistory, execution: Execution, done: pb.CompleteOrchestrationAction | None
) -> None:
    """See whether the code wants something that the history has not."""
    fails = done is not None and done.HasField("failureDetails")

    for action in execution.asked:
        # No event records a termination of another, nor what an engine does not start any more for an orchestration that fails.
        if isinstance(action, Terminate) or (fails and isinstance(action, ScheduleActivity | CreateChild)):
            continue

        line = execution.line_of(action.id)

        raise NonDeterminismError(
            f"{_named(history)} does not follow its history: the history ends before step {action.id}, where the code did "
            f"{action}{'' if line is None else f' at {line}'}",
            step=action.id,
            recorded="nothing",
            done=str(action),
            line=line,
        )


def _expect_same_end(
    history: RecordedHistory,
    end: pb.ExecutionCompletedEvent | None,
    done: pb.CompleteOrchestrationAction | None,
    converter: DataConverter,
) -> None:
    if _is_same(end, done, converter):
        return

    recorded_end, end_done = _words(end, converter), _words(done, converter)

    raise NonDeterminismError(
        f"{_named(history)} does not end as its history does: the history has {recorded_end}, and the code {end_done}",
        recorded=recorded_end,
        done=end_done,
    )


def _named(history: RecordedHistory) -> str:
    return f"orchestration {history.name!r} ({history.instance_id!r})"


def _is_same(
    end: pb.ExecutionCompletedEvent | None, done: pb.CompleteOrchestrationAction | None, converter: DataConverter
) -> bool:
    if end is None or done is None:
        return end is None and done is None

    if end.orchestrationStatus != done.orchestrationStatus:
        return False

    if end.HasField("failureDetails") or done.HasField("failureDetails"):
        return _words(end, converter) == _words(done, converter)

    # An encrypting converter writes the same value anew each time; and not every value is equal to its copy.
    return _payload(end) == _payload(done) or bool(_value(end, converter) == _value(done, converter))


def _words(end: pb.ExecutionCompletedEvent | pb.CompleteOrchestrationAction | None, converter: DataConverter) -> str:
    if end is None:
        return "no end"

    status = OrchestrationStatus(end.orchestrationStatus).name

    if end.HasField("failureDetails"):
        failure = FailureDetails.from_proto(end.failureDetails)

        return f"{status} with {failure.error_type}: {failure.message}"

    return f"{status} with {_value(end, converter)!r}"


def _payload(end: pb.ExecutionCompletedEvent | pb.CompleteOrchestrationAction) -> str | None:
    return end.result.value if end.HasField("result") else None


def _value(end: pb.ExecutionCompletedEvent | pb.CompleteOrchestrationAction, converter: DataConverter) -> object:
    payload = _payload(end)

    try:
        value: object = converter.deserialize(payload)
    except Exception:  # noqa: BLE001 - a converter may raise anything; what it cannot read is told as it is stored
        return payload

    return value
