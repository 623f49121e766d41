"""Why something failed: exceptions as the protocol carries them, and exceptions again."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from durabletask_protos import orchestrator_service_pb2 as pb
from google.protobuf import json_format, struct_pb2, wrappers_pb2

__all__ = [
    "DefaultFailureConverter",
    "FailureConverter",
    "FailureDetails",
    "JsonValue",
    "MappedFailureConverter",
    "NonRetryableError",
]

JsonValue: TypeAlias = "Mapping[str, JsonValue] | Sequence[JsonValue] | str | float | bool | None"
"""What JSON can say, in plain Python."""

E = TypeVar("E", bound=Exception)

_DEEPEST_CAUSE = 20
"""How many causes go along with a failure; protobuf refuses messages that are nested 100 deep."""

_NESTING = re.compile(r"[.+$]")
"""What stands between the parts of a type's name: `.` everywhere, `+` for nested classes of .NET, `$` for those of Java."""

_VAGUE = frozenset({"Error", "error"})
"""Names that many modules give to one of their classes, and JavaScript to its plainest: alone they name none of them."""


class NonRetryableError(Exception):
    """Raised by an activity or a sub-orchestration, or derived from: no retry policy tries again.

    The same holds for any exception with an attribute `is_non_retriable` that is True.
    """

    is_non_retriable: ClassVar[bool] = True


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

        The cause of an exception is what it was raised `from`. If there is none, it is what the exception carries as `details` or
        `failure_details`, for those that stand for a failure elsewhere; and of an `ExceptionGroup` it is its first member. What
        merely was being handled when it was raised (`__context__`) is no cause: policies that look for types of causes
        would otherwise depend on where code happens to stand.

        Args:
            error: The exception.
            is_non_retriable: Whether retry policies shall give up at once; they do so, too, if the exception says it by an
                attribute of this name.

        Returns:
            Its description, with stack traces.
        """
        found = _describe(error, _DEEPEST_CAUSE, _as_it_is)

        return replace(found, is_non_retriable=True) if is_non_retriable else found

    def is_caused_by(self, kind: type[BaseException] | str) -> bool:
        """Whether this failure, or one of its causes, is of a type.

        Types are compared by name, for the code that failed may run elsewhere, and in another language. Names are recorded as
        `module.Class` by this package and as `Class` alone by others; a name without a module fits a class of any module.

        Args:
            kind: An exception class, which also stands for all its subclasses that this process has imported; Exception stands for
                every failure. Or the name of a type, in full as it is recorded or only its last part, as in
                `"System.InvalidOperationException"` and `"InvalidOperationException"`.

        Returns:
            Whether one is.
        """
        if kind in (Exception, BaseException):
            return True

        names = {kind} if isinstance(kind, str) else _names(kind)

        return any(
            failure.error_type in names or (isinstance(kind, str) and _last_part(failure.error_type) == kind)
            for failure in self._chain()
        )

    def _chain(self) -> Iterator[FailureDetails]:
        failure: FailureDetails | None = self

        while failure is not None:
            yield failure
            failure = failure.inner

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


_Describe: TypeAlias = Callable[[BaseException, FailureDetails], FailureDetails]


def _describe(error: BaseException, depth: int, adapt: _Describe) -> FailureDetails:
    cause, inner = error.__cause__, _carried(error)

    if cause is None and inner is None and isinstance(error, BaseExceptionGroup):
        cause = error.exceptions[0]

    if cause is not None:
        inner = _describe(cause, depth - 1, adapt) if depth else None

    failure = FailureDetails(
        message=str(error),
        error_type=_full_name(type(error)),
        stack_trace="".join(traceback.format_tb(error.__traceback__)) or None,
        inner=inner,
        is_non_retriable=getattr(error, "is_non_retriable", False) is True,
    )

    return adapt(error, failure)


def _as_it_is(_: BaseException, failure: FailureDetails) -> FailureDetails:
    return failure


def _carried(error: BaseException) -> FailureDetails | None:
    for name in ("details", "failure_details"):
        carried = getattr(error, name, None)

        if isinstance(carried, FailureDetails):
            return carried

    return None


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _last_part(name: str) -> str:
    return _NESTING.split(name)[-1]


def _names(kind: type[BaseException]) -> set[str]:
    """The names under which a class and what derives from it may be recorded."""
    names: set[str] = set()
    waiting: list[type[BaseException]] = [kind]

    while waiting:
        each = waiting.pop()
        names |= {_full_name(each), *({each.__qualname__, each.__name__} - _VAGUE)}
        waiting += each.__subclasses__()

    return names


class FailureConverter(Protocol):
    """Turns exceptions into failures where code runs, and failures into exceptions where somebody waits for it."""

    def to_failure(self, error: BaseException) -> FailureDetails:
        """Describe what an orchestrator, an activity or an entity raised.

        Args:
            error: The exception.

        Returns:
            The failure, which goes to the server.
        """

    def to_exception(self, details: FailureDetails, default: BaseException) -> BaseException:
        """Find the exception that an orchestrator gets for a failed task. Called again in each replay, so it must be pure.

        Args:
            details: Why the task failed.
            default: What is raised by default: a `TaskFailedError` with the same details.

        Returns:
            The exception to raise: the default, or another one.
        """


class DefaultFailureConverter:
    """Describes exceptions by `FailureDetails.from_exception`, and lets orchestrators have a `TaskFailedError` for each failure."""

    def to_failure(self, error: BaseException) -> FailureDetails:
        """See `FailureConverter.to_failure`."""
        return FailureDetails.from_exception(error)

    def to_exception(self, details: FailureDetails, default: BaseException) -> BaseException:
        """See `FailureConverter.to_exception`."""
        return default


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mapping(Generic[E]):
    kind: type[E]
    error_type: str
    non_retryable: bool
    to_properties: Callable[[E], Mapping[str, JsonValue]] | None
    from_details: Callable[[FailureDetails], Exception]

    def adapt(self, error: E, failure: FailureDetails) -> FailureDetails:
        return replace(
            failure,
            error_type=self.error_type,
            is_non_retriable=failure.is_non_retriable or self.non_retryable,
            properties=failure.properties if self.to_properties is None else self.to_properties(error),
        )


class MappedFailureConverter:
    """Lets exceptions of your own cross between workers: what an activity raises is what its orchestrator can catch.

    Whatever is not mapped is treated as by `DefaultFailureConverter`. Workers on both sides need the same mappings:

        failures = MappedFailureConverter()
        failures.map(CardDeclined, error_type="CardDeclined", non_retryable=True)
    """

    def __init__(self) -> None:
        self._by_kind: dict[type[BaseException], _Mapping[Any]] = {}
        self._by_name: dict[str, _Mapping[Any]] = {}

    def map(
        self,
        kind: type[E],
        *,
        error_type: str | None = None,
        non_retryable: bool = False,
        to_properties: Callable[[E], Mapping[str, JsonValue]] | None = None,
        from_details: Callable[[FailureDetails], Exception] | None = None,
    ) -> None:
        """Map an exception class. Exceptions of subclasses that have no mapping of their own travel as this one.

        Args:
            kind: The class.
            error_type: The name it goes by on the wire; None for its full name, `module.Class`.
            non_retryable: Whether retry policies give up at once.
            to_properties: What goes along besides the message, in terms of JSON; None for nothing.
            from_details: Makes the exception again, and must be pure; None to call the class with the message.

        Raises:
            TypeError: `kind` is no subclass of Exception.
            ValueError: The class is mapped already, or another class goes by that name.
        """
        if not issubclass(kind, Exception):
            raise TypeError(f"kind is {kind!r}; it must be a class that derives from Exception")

        name = error_type or _full_name(kind)

        if kind in self._by_kind:
            raise ValueError(f"kind: {_full_name(kind)} is mapped already")

        if name in self._by_name:
            raise ValueError(
                f"error_type: {name!r} is taken by {_full_name(self._by_name[name].kind)}; use another name"
            )

        mapping = _Mapping(
            kind=kind,
            error_type=name,
            non_retryable=non_retryable,
            to_properties=to_properties,
            from_details=from_details or (lambda details: kind(details.message)),
        )
        self._by_kind[kind] = self._by_name[name] = mapping

    def to_failure(self, error: BaseException) -> FailureDetails:
        """See `FailureConverter.to_failure`. Causes are mapped as well."""
        return _describe(error, _DEEPEST_CAUSE, self._adapt)

    def to_exception(self, details: FailureDetails, default: BaseException) -> BaseException:
        """See `FailureConverter.to_exception`. The default becomes the `__cause__` of an exception that is mapped."""
        mapping = self._by_name.get(details.error_type)

        if mapping is None:
            return default

        try:
            error = mapping.from_details(details)
        except Exception as problem:  # noqa: BLE001 - users' code; the failure itself must not get lost
            default.add_note(f"It could not be made a {_full_name(mapping.kind)}: {problem!r}; see from_details.")

            return default

        error.__cause__ = default

        return error

    def _adapt(self, error: BaseException, failure: FailureDetails) -> FailureDetails:
        for kind in type(error).__mro__:
            mapping = self._by_kind.get(kind)

            if mapping is not None:
                return mapping.adapt(error, failure)

        return failure
