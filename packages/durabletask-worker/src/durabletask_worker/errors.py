"""What goes wrong in a worker, and how orchestrator code learns of it."""

from __future__ import annotations

from typing import ClassVar

from durabletask_client.failures import FailureDetails

__all__ = [
    "ActivityNotRegisteredError",
    "CriticalSectionError",
    "DurableTaskWorkerError",
    "EntityStateError",
    "EntityTaskNotFoundError",
    "NonDeterminismError",
    "OrchestrationUnloaded",
    "OrchestratorBlocked",
    "OrchestratorNotRegisteredError",
    "RegistrationError",
    "TaskCancelled",
    "TaskFailedError",
]


class DurableTaskWorkerError(Exception):
    """The root of every error of this package."""


class RegistrationError(DurableTaskWorkerError, ValueError):
    """A function cannot be registered: its name is taken or unknown, or its parameters do not fit."""


class _NotRegisteredError(DurableTaskWorkerError):
    _kind: ClassVar[str]

    def __init__(self, name: str, hint: str = "") -> None:
        super().__init__(
            f"{self._kind} {name!r} is not registered with this worker{hint}; register it before the worker starts"
        )
        self.name = name
        self.hint = hint

    @property
    def details(self) -> FailureDetails:
        """The failure, as the worker reports it."""
        return FailureDetails(
            message=str(self), error_type=type(self).__name__.removesuffix("Error"), is_non_retriable=True
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, self.hint)


class OrchestratorNotRegisteredError(_NotRegisteredError):
    """An orchestration names an orchestrator that its worker does not have. It fails, as `OrchestratorNotRegistered`.

    Args:
        name: The name it asks for.
        hint: What there is instead, to go into the message.
    """

    _kind = "orchestrator"


class ActivityNotRegisteredError(_NotRegisteredError):
    """A task names an activity that its worker does not have. It fails, as `ActivityNotRegistered`, and is not retried.

    Args:
        name: The name it asks for.
        hint: What there is instead, to go into the message.
    """

    _kind = "activity"


class EntityTaskNotFoundError(DurableTaskWorkerError):
    """A worker does not have an entity, or the entity does not have an operation. That operation fails, as `EntityTaskNotFound`.

    The message says what is missing, and what there is instead.
    """

    @property
    def details(self) -> FailureDetails:
        """The failure, as the worker reports it."""
        return FailureDetails(message=str(self), error_type="EntityTaskNotFound", is_non_retriable=True)


class EntityStateError(DurableTaskWorkerError):
    """An entity's class cannot be had: it has no state yet and the class no defaults, or its state is of another type.

    The message says what is wrong, and what to do instead.
    """


class TaskFailedError(DurableTaskWorkerError):
    """An activity or a sub-orchestration failed, and no retry is left. Raised where the orchestrator waits for it.

    Args:
        what: What failed, as in "activity 'pay'".
        details: Why, as whoever ran it reported.
    """

    def __init__(self, what: str, details: FailureDetails) -> None:
        super().__init__(f"{what} failed: {details.message}")
        self.what = what
        self.details = details

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.what, self.details)


class CriticalSectionError(DurableTaskWorkerError, RuntimeError):
    """Orchestrator code does with entities what its locks do not allow, as the message says."""


class NonDeterminismError(DurableTaskWorkerError):
    """Orchestrator code does what cannot be replayed, or not what its history says it did. The orchestration ends as FAILED.

    Args:
        message: What is wrong, and what to do instead.
        step: The number of the step that differs; None where it is not about a step.
        recorded: What the history has at this step.
        done: What the code did at this step.
        line: Where the code did it, or waits instead, as `file:line`; None where no line is to blame.
    """

    def __init__(
        self,
        message: str,
        *,
        step: int | None = None,
        recorded: str | None = None,
        done: str | None = None,
        line: str | None = None,
    ) -> None:
        super().__init__(message)
        self.step = step
        self.recorded = recorded
        self.done = done
        self.line = line


class OrchestrationUnloaded(BaseException):
    """Unwinds orchestrator code that is being unloaded between two turns and still calls its context, in a `finally` say.

    It derives from BaseException, so that no `except Exception` of the orchestrator takes it for a failure.
    """


class TaskCancelled(BaseException):
    """Unwinds orchestrator code that is no longer wanted: its group failed, its time is over, or its task was cancelled.

    It derives from BaseException, so that no `except Exception` of the orchestrator takes it for a failure. Code may clean up
    in a `finally`, with activities too; it is to let the exception go on.
    """


class OrchestratorBlocked(BaseException):
    """Unwinds orchestrator code that has blocked its worker for too long; see `TaskHubGrpcWorker` about `turn_timeout`.

    It derives from BaseException, so that no `except Exception` of the orchestrator takes it for a failure.
    """
