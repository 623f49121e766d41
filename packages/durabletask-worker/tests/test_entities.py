"""Batches of operations in, answers out; no server. Entities in all styles, in both forms that batches come in."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from durabletask_client.entities import EntityInstanceId
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import OrchestrationContext, RegistrationError, Registry
from durabletask_worker.entity import DurableEntity, operation
from durabletask_worker.entity_context import EntityContext
from durabletask_worker.execution.entity_batch import Around, Proceed, run_batch
from durabletask_worker.execution.host import Host
from google.protobuf.wrappers_pb2 import StringValue

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Asked: TypeAlias = tuple[str, str | None]
"""An operation, and the payload of its input."""


def batch(*operations: Asked, state: str | None = None, entity: str = "@counter@a") -> pb.EntityRequest:
    """Calls in the newer form."""
    request = pb.EntityRequest(instanceId=entity, entityState=None if state is None else StringValue(value=state))

    for number, (name, payload) in enumerate(operations):
        called = request.operationRequests.add(eventId=-1).entityOperationCalled
        called.requestId, called.operation, called.parentInstanceId.value = f"r{number}", name, "caller"

        if payload is not None:
            called.input.value = payload

    return request


def older_batch(*operations: Asked, state: str | None = None, entity: str = "@counter@a") -> pb.EntityBatchRequest:
    request = pb.EntityBatchRequest(instanceId=entity, entityState=None if state is None else StringValue(value=state))

    for number, (name, payload) in enumerate(operations):
        asked = request.operations.add(operation=name, requestId=f"r{number}")

        if payload is not None:
            asked.input.value = payload

    return request


class Threads:
    """Runs plain functions at once, and counts them."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(self, function: Callable[[], Any]) -> Any:
        self.runs += 1

        return function()


async def run(
    entity: Callable[..., Any],
    request: pb.EntityBatchRequest | pb.EntityRequest,
    *,
    threads: Threads | None = None,
    around: Around | None = None,
) -> pb.EntityBatchResult:
    registry = Registry()
    registry.add_entity(entity, name="counter")
    ids = iter(f"new-{number}" for number in range(100))

    return await run_batch(
        Host(registry=registry),
        request,
        threads or Threads(),
        around=around,
        now=lambda: NOW,
        new_id=lambda: next(ids),
    )


def outcomes(answer: pb.EntityBatchResult) -> list[str | None]:
    """The results, and the messages of failures."""
    return [
        each.failure.failureDetails.errorMessage
        if each.HasField("failure")
        else each.success.result.value
        if each.success.HasField("result")
        else None
        for each in answer.results
    ]


def kinds(answer: pb.EntityBatchResult) -> list[str | None]:
    return [each.WhichOneof("resultType") for each in answer.results]


def state_of(answer: pb.EntityBatchResult) -> str | None:
    return answer.entityState.value if answer.HasField("entityState") else None


# One counter in all styles: adds, resets, fails after a change, and deletes itself.


def counter(ctx: EntityContext, amount: int = 0) -> int | None:
    value = ctx.get_state(int, 0)

    if ctx.operation == "add":
        ctx.set_state(value + amount)

        return value + amount

    if ctx.operation == "fail":
        ctx.set_state(-1)
        ctx.signal_entity(ctx.entity_id, "add", 1)

        raise ValueError("no")

    if ctx.operation == "delete":
        ctx.set_state(None)

    return None


async def async_counter(ctx: EntityContext, amount: int = 0) -> int | None:
    return counter(ctx, amount)


class Counter(DurableEntity):
    def add(self, amount: int = 0) -> int:
        self.set_state(self.get_state(int, 0) + amount)

        return self.get_state(int, 0)

    def fail(self) -> None:
        self.set_state(-1)
        self.signal_entity(self.entity_context.entity_id, "add", 1)

        raise ValueError("no")


class AsyncCounter(DurableEntity):
    async def add(self, amount: int = 0) -> int:
        self.set_state(self.get_state(int, 0) + amount)

        return self.get_state(int, 0)

    async def fail(self, ctx: EntityContext) -> None:
        ctx.set_state(-1)
        ctx.signal_entity(ctx.entity_id, AsyncCounter.add, 1)

        raise ValueError("no")


@dataclass
class StateCounter:
    value: int = 0

    def add(self, amount: int = 0) -> int:
        self.value += amount

        return self.value

    def fail(self, ctx: EntityContext) -> None:
        self.value = -1
        ctx.signal_entity(ctx.entity_id, StateCounter.add, 1)

        raise ValueError("no")


@dataclass
class AsyncStateCounter:
    value: int = 0

    async def add(self, amount: int = 0) -> int:
        self.value += amount

        return self.value

    async def fail(self, ctx: EntityContext) -> None:
        self.value = -1
        ctx.signal_entity(ctx.entity_id, "add", 1)

        raise ValueError("no")


STYLES: Sequence[tuple[Callable[..., Any], str, bool]] = (
    (counter, "{}", True),
    (async_counter, "{}", False),
    (Counter, "{}", True),
    (AsyncCounter, "{}", False),
    (StateCounter, '{{"value": {}}}', True),
    (AsyncStateCounter, '{{"value": {}}}', False),
)


@pytest.mark.parametrize("make", [batch, older_batch])
@pytest.mark.parametrize(("entity", "form", "in_threads"), STYLES)
async def test_operations_run_one_after_the_other_and_a_failed_one_leaves_nothing(
    entity: Callable[..., Any], form: str, in_threads: bool, make: Any
) -> None:
    threads = Threads()
    request = make(("add", "2"), ("fail", None), ("add", None), ("add", "3"), state=form.format(5))
    answer = await run(entity, request, threads=threads)

    assert outcomes(answer) == ["7", "no", "7", "10"]
    assert kinds(answer) == ["success", "failure", "success", "success"]
    assert state_of(answer) == form.format(10)
    assert not answer.actions
    assert threads.runs == (4 if in_threads else 0)


@pytest.mark.parametrize(("entity", "form", "in_threads"), STYLES)
async def test_the_first_operation_finds_no_state_and_a_deleted_one_is_gone(
    entity: Callable[..., Any], form: str, in_threads: bool
) -> None:
    first = await run(entity, batch(("add", "2")))
    deleted = await run(entity, batch(("add", "2"), ("delete", None), state=form.format(5)))
    anew = await run(entity, batch(("delete", None), ("add", "2"), state=form.format(5)))

    assert (outcomes(first), state_of(first)) == (["2"], form.format(2))
    assert (outcomes(deleted), state_of(deleted)) == (["7", None], None)
    assert (outcomes(anew), state_of(anew)) == ([None, "2"], form.format(2))


@pytest.mark.parametrize(("entity", "form", "in_threads"), STYLES)
async def test_a_null_of_another_language_is_no_state(entity: Callable[..., Any], form: str, in_threads: bool) -> None:
    answer = await run(entity, batch(("add", "2"), state="null"))

    assert (outcomes(answer), state_of(answer)) == (["2"], form.format(2))


@pytest.mark.parametrize("entity", [Counter, AsyncCounter, StateCounter, AsyncStateCounter])
async def test_operations_are_found_in_any_case(entity: Callable[..., Any]) -> None:
    answer = await run(entity, batch(("ADD", "2"), ("Delete", None), ("Add", "1")))

    assert outcomes(answer) == ["2", None, "1"]


@pytest.mark.parametrize("entity", [Counter, AsyncCounter, StateCounter, AsyncStateCounter])
async def test_an_unknown_operation_fails_alone_and_names_the_known_ones(entity: Callable[..., Any]) -> None:
    answer = await run(entity, batch(("sub", "2"), ("get_state", None), ("__init__", "1"), ("add", "1")))
    failure = answer.results[0].failure.failureDetails

    assert kinds(answer) == ["failure", "failure", "failure", "success"]
    assert failure.errorType == "EntityTaskNotFound"
    assert failure.isNonRetriable
    assert failure.errorMessage == "entity 'counter' has no operation 'sub'; it has add, delete, fail"


async def test_an_entity_that_is_not_registered_fails_each_operation_and_keeps_its_state() -> None:
    answer = await run(counter, batch(("add", "1"), ("add", "2"), state="5", entity="@other@a"))

    assert [each.failure.failureDetails.errorType for each in answer.results] == ["EntityTaskNotFound"] * 2
    assert all(each.failure.failureDetails.isNonRetriable for each in answer.results)
    assert outcomes(answer)[0] == (
        "entity 'other' is not registered with this worker; register it before the worker starts"
    )
    assert state_of(answer) == "5"
    assert not answer.HasField("failureDetails")


async def test_the_newer_form_says_whom_each_result_is_for_and_the_older_does_not() -> None:
    request = batch(("add", "1"))
    request.operationRequests[0].entityOperationCalled.parentExecutionId.value = "e"
    signal = request.operationRequests.add(eventId=-1).entityOperationSignaled
    signal.requestId, signal.operation, signal.input.value = "s", "add", "2"
    answer = await run(Counter, request)

    assert outcomes(answer) == ["1", "3"]
    assert [info.requestId for info in answer.operationInfos] == ["r0", "s"]
    destination = answer.operationInfos[0].responseDestination
    assert (destination.instanceId, destination.executionId.value) == ("caller", "e")
    assert not answer.operationInfos[1].HasField("responseDestination")
    assert not (await run(Counter, older_batch(("add", "1")))).operationInfos


async def test_what_is_no_operation_is_refused_before_anything_runs() -> None:
    request = batch(("add", "1"))
    request.operationRequests.add(eventId=-1).timerFired.timerId = 1
    threads = Threads()

    with pytest.raises(ValueError, match="timerFired among the operations"):
        await run(Counter, request, threads=threads)

    assert threads.runs == 0


async def test_results_say_when_they_began_and_ended() -> None:
    answer = await run(Counter, batch(("add", "1"), ("fail", None)))

    assert answer.results[0].success.startTimeUtc.ToDatetime(UTC) == NOW
    assert answer.results[0].success.endTimeUtc.ToDatetime(UTC) == NOW
    assert answer.results[1].failure.endTimeUtc.ToDatetime(UTC) == NOW


def pay(ctx: OrchestrationContext, amount: int) -> int:
    return amount


async def test_signals_and_new_orchestrations_go_out_in_their_order() -> None:
    def forward(ctx: EntityContext, amount: int) -> list[str]:
        ctx.signal_entity(EntityInstanceId("Other", "B"), StateCounter.add, amount, scheduled_time=datetime(2026, 5, 1))
        ctx.signal_entity(ctx.entity_id, "reset")

        return [
            ctx.schedule_new_orchestration(pay, amount),
            ctx.schedule_new_orchestration("lone", None, "mine", version="2.0", start_at=NOW),
        ]

    answer = await run(forward, batch(("a", "1"), ("b", "2")))
    later, reset, started, lone = answer.actions[:4]

    assert outcomes(answer) == ['["new-0", "mine"]', '["new-1", "mine"]']
    assert [action.id for action in answer.actions] == list(range(8))
    assert (later.sendSignal.instanceId, later.sendSignal.name, later.sendSignal.input.value) == (
        "@other@B",
        "add",
        "1",
    )
    assert later.sendSignal.scheduledTime.ToDatetime(UTC) == datetime(2026, 5, 1, tzinfo=UTC)
    assert later.sendSignal.requestTime.ToDatetime(UTC) == NOW
    assert (reset.sendSignal.instanceId, reset.sendSignal.name) == ("@counter@a", "reset")
    assert not reset.sendSignal.HasField("input")
    assert not reset.sendSignal.HasField("scheduledTime")
    assert (started.startNewOrchestration.name, started.startNewOrchestration.instanceId) == ("pay", "new-0")
    assert started.startNewOrchestration.input.value == "1"
    assert not started.startNewOrchestration.HasField("version")
    assert (lone.startNewOrchestration.name, lone.startNewOrchestration.version.value) == ("lone", "2.0")
    assert lone.startNewOrchestration.scheduledTime.ToDatetime(UTC) == NOW


async def test_the_base_class_signals_and_starts_like_the_context() -> None:
    class Forwards(DurableEntity):
        def go(self) -> str:
            self.signal_entity(EntityInstanceId("other", "b"), Counter.add, 1)

            return self.schedule_new_orchestration(pay, 2, version="1")

    answer = await run(Forwards, batch(("go", None)))

    assert outcomes(answer) == ['"new-0"']
    assert [each.WhichOneof("operationActionType") for each in answer.actions] == [
        "sendSignal",
        "startNewOrchestration",
    ]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda ctx: ctx.signal_entity("@a@b", "add"), "entity_id: '@a@b' is no entity's id"),
        (lambda ctx: ctx.signal_entity(ctx.entity_id, lambda: None), "no name of its own"),
        (lambda ctx: ctx.signal_entity(ctx.entity_id, "add", object()), "cannot be written"),
        (lambda ctx: ctx.schedule_new_orchestration("a", None, ""), "instance_id: '' is no id"),
        (lambda ctx: ctx.set_state(object()), "cannot be written"),
        (lambda ctx: object(), "cannot be written"),
    ],
)
async def test_what_cannot_be_sent_fails_the_operation_where_it_is_asked_for(
    act: Callable[[Any], object], message: str
) -> None:
    answer = await run(act, batch(("a", None), state="1"))

    assert kinds(answer) == ["failure"]
    assert message in str(outcomes(answer)[0])
    assert state_of(answer) == "1"
    assert not answer.actions


async def test_the_context_knows_the_request() -> None:
    def tell(ctx: EntityContext) -> list[str | None]:
        return [str(ctx.entity_id), ctx.operation, ctx.request_id, ctx.caller_id]

    assert outcomes(await run(tell, batch(("What", None)))) == ['["@counter@a", "What", "r0", "caller"]']
    assert outcomes(await run(tell, older_batch(("What", None)))) == ['["@counter@a", "What", "r0", null]']


@dataclass
class Money:
    amount: int
    currency: str = "EUR"


@dataclass
class Account:
    balance: Money = field(default_factory=lambda: Money(0))
    owner: str = "nobody"

    def deposit(self, money: Money) -> Money:
        self.balance = Money(self.balance.amount + money.amount, money.currency)

        return self.balance

    def rename(self, ctx: EntityContext, owner: str) -> None:
        self.owner = f"{owner} of {ctx.entity_id.key}"

    def replace(self, owner: str, ctx: EntityContext) -> None:
        ctx.set_state(replace(self, owner=owner))
        self.owner = "forgotten"

    def by_keyword(self, *, ctx: EntityContext) -> str:
        return ctx.operation

    def behind_a_default(self, owner: str = "x", ctx: EntityContext | None = None) -> str:
        return owner

    def close(self, ctx: EntityContext) -> None:
        ctx.set_state(None)

    @operation(name="holder")
    def get_owner(self) -> str:
        return self.owner

    @property
    def is_empty(self) -> bool:
        return self.balance.amount == 0

    @staticmethod
    def kind() -> str:
        return "account"

    def _secret(self) -> None: ...


async def test_inputs_and_state_are_rebuilt_as_the_annotations_say() -> None:
    answer = await run(Account, batch(("deposit", '{"amount": 3}'), ("deposit", '{"amount": 4, "currency": "CHF"}')))

    assert outcomes(answer) == ['{"amount": 3, "currency": "EUR"}', '{"amount": 7, "currency": "CHF"}']
    assert state_of(answer) == '{"balance": {"amount": 7, "currency": "CHF"}, "owner": "nobody"}'


async def test_an_operation_takes_the_context_wherever_it_wants_it() -> None:
    answer = await run(
        Account,
        batch(("rename", '"Ann"'), ("holder", None), ("by_keyword", None), ("behind_a_default", None)),
    )

    assert outcomes(answer) == [None, '"Ann of a"', '"by_keyword"', '"x"']


async def test_a_state_that_is_set_by_the_context_counts_instead_of_the_instance() -> None:
    replaced = await run(Account, batch(("replace", '"Ann"'), ("holder", None)))
    closed = await run(Account, batch(("deposit", '{"amount": 3}'), ("close", None)))

    assert outcomes(replaced) == [None, '"Ann"']
    assert state_of(closed) is None


async def test_only_public_methods_are_operations_under_the_names_that_they_are_given() -> None:
    answer = await run(Account, batch(("_secret", None)))

    assert str(outcomes(answer)[0]).partition("; it has ")[2].split(", ") == [
        "behind_a_default",
        "by_keyword",
        "close",
        "delete",
        "deposit",
        "holder",
        "rename",
        "replace",
    ]


async def test_a_state_that_cannot_be_read_fails_the_operation_and_can_be_deleted() -> None:
    broken = await run(StateCounter, batch(("add", "1"), state="{"))
    deleted = await run(StateCounter, batch(("delete", None), state="{"))

    assert (kinds(broken), state_of(broken)) == (["failure"], "{")
    assert (kinds(deleted), state_of(deleted)) == (["success"], None)


async def test_a_class_without_defaults_says_so_when_there_is_no_state() -> None:
    @dataclass
    class Order:
        number: int

        def get(self) -> int:
            return self.number

    first = await run(Order, batch(("get", None)))
    later = await run(Order, batch(("get", None), state='{"number": 5}'))

    assert "entity '@counter@a' has no state yet, and" in str(outcomes(first)[0])
    assert "missing a required argument: 'number'; give its fields defaults" in str(outcomes(first)[0])
    assert outcomes(later) == ["5"]


async def test_inherited_operations_count_and_overridden_ones_replace_them() -> None:
    @dataclass
    class Base:
        value: int = 1

        def get(self) -> int:
            return self.value

        def twice(self) -> int:
            return self.value * 2

        def delete(self) -> str:
            self.value = 0

            return "emptied"

    @dataclass
    class Derived(Base):
        twice = None  # type: ignore[assignment]

        def get(self) -> int:
            return self.value + 100

    answer = await run(Derived, batch(("get", None), ("twice", None), ("delete", None)))

    assert outcomes(answer) == ["101", "entity 'counter' has no operation 'twice'; it has delete, get", '"emptied"']
    assert state_of(answer) == '{"value": 0}'


async def test_a_plain_function_may_return_what_is_to_be_awaited() -> None:
    class Promises(DurableEntity):
        def add(self, amount: int) -> Awaitable[int]:
            async def later() -> int:
                self.set_state(amount)

                return amount

            return later()

    answer = await run(Promises, batch(("add", "4")))

    assert (outcomes(answer), state_of(answer)) == (["4"], "4")


async def test_an_instance_is_made_for_each_operation() -> None:
    class Remembers(DurableEntity):
        def __init__(self) -> None:
            self.calls = 0

        def count(self) -> int:
            self.calls += 1

            return self.calls

    assert outcomes(await run(Remembers, batch(("count", None), ("count", None)))) == ["1", "1"]


@pytest.mark.parametrize("error", [StopIteration(), StopAsyncIteration(), TimeoutError("late"), AssertionError()])
@pytest.mark.parametrize("is_async", [False, True])
async def test_whatever_an_operation_raises_is_its_failure(error: Exception, is_async: bool) -> None:
    def fails(ctx: EntityContext) -> None:
        raise error

    async def fails_later(ctx: EntityContext) -> None:
        raise error

    answer = await run(fails_later if is_async else fails, batch(("a", None), ("a", None)))

    assert kinds(answer) == ["failure", "failure"]


async def test_a_failure_that_cannot_be_described_is_one_all_the_same() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fails(ctx: EntityContext) -> None:
        raise MuteError("x")

    answer = await run(fails, batch(("a", None)))

    assert "MuteError" in answer.results[0].failure.failureDetails.errorType


async def test_a_state_that_cannot_travel_fails_its_operation_alone() -> None:
    class Raw:
        def serialize(self, value: object) -> str | None:
            return None if value is None else str(value)

        def deserialize(self, data: str | None, type_hint: object = None) -> Any:
            return data

    registry = Registry()
    registry.add_entity(lambda ctx, value: ctx.set_state("\ud800" if value == "bad" else value), name="counter")
    host = Host(registry=registry, converter=Raw())
    answer = await run_batch(host, batch(("a", "good"), ("a", "bad")), Threads())

    assert kinds(answer) == ["success", "failure"]
    assert state_of(answer) == "good"


class Interrupted(BaseException):
    """Not the operation's own."""


async def test_what_interrupts_ends_the_batch() -> None:
    def stops(ctx: EntityContext) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        await run(stops, batch(("a", None)))


async def test_the_worker_says_what_interrupts() -> None:
    registry = Registry()

    async def stops(ctx: EntityContext) -> None:
        raise Interrupted

    registry.add_entity(stops, name="counter")
    answer = await run_batch(Host(registry=registry), batch(("a", None)), Threads(), interrupts=lambda error: False)

    assert kinds(answer) == ["failure"]


async def test_middleware_is_around_each_operation_and_may_change_what_comes_of_it() -> None:
    seen: list[str] = []

    async def around(ctx: EntityContext, proceed: Proceed) -> object:
        seen.append(ctx.operation)

        if ctx.operation == "skip":
            return "skipped"

        try:
            return await proceed()
        except ValueError:
            return "forgiven"

    answer = await run(StateCounter, batch(("add", "1"), ("skip", None), ("fail", None)), around=around)

    assert seen == ["add", "skip", "fail"]
    assert outcomes(answer) == ["1", '"skipped"', '"forgiven"']
    assert state_of(answer) == '{"value": 1}'
    assert not answer.actions


async def test_middleware_that_tries_again_begins_with_the_state_of_before() -> None:
    attempts: list[int] = []

    async def flaky(ctx: EntityContext) -> None:
        ctx.set_state(ctx.get_state(int, 0) + 1)
        ctx.signal_entity(ctx.entity_id, "add", 1)
        attempts.append(ctx.get_state(int, 0))

        if len(attempts) == 1:
            raise ValueError

    async def around(ctx: EntityContext, proceed: Proceed) -> object:
        try:
            return await proceed()
        except ValueError:
            return await proceed()

    answer = await run(flaky, batch(("a", None), state="5"), around=around)

    assert attempts == [6, 6]
    assert state_of(answer) == "6"
    assert len(answer.actions) == 1


async def test_failed_signals_are_logged_and_failed_calls_are_their_callers_matter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = batch(("fail", None))
    request.operationRequests.add(eventId=-1).entityOperationSignaled.operation = "fail"

    with caplog.at_level(logging.WARNING):
        await run(Counter, request)

    assert [record.getMessage() for record in caplog.records] == ["'fail' of entity '@counter@a' failed"]


def generates(ctx: EntityContext) -> Any:
    yield 1


class Wide(DurableEntity):
    def add(self, a: int, b: int) -> None: ...


class Twice(DurableEntity):
    def add(self) -> None: ...
    def Add(self) -> None: ...


class Streams(DurableEntity):
    def add(self) -> Any:
        yield 1


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        (generates, "is a generator"),
        (Streams, "Streams.add is a generator"),
        (Wide, "Wide.add takes .*; an operation takes self, and one input or none"),
        (Twice, "two operations 'add'"),
        (lambda: None, "it must take a context"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_registered(entity: Callable[..., Any], message: str) -> None:
    with pytest.raises(RegistrationError, match=message):
        Registry().add_entity(entity, name="counter")


DOCUMENT = Path(__file__).parents[3] / "docs" / "entities.md"


async def test_the_examples_of_the_document_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "the_examples"}

    for block in blocks:
        # Without the `annotations` of this module.
        exec(compile(block, str(DOCUMENT), "exec", dont_inherit=True), names)  # noqa: S102

    asked: dict[str, list[Asked]] = {
        "counter": [("add", "2"), ("get", None)],
        "log": [("write", '"a"'), ("write", '"b"'), ("size", None)],
        "switch": [("get", None), ("set", "true")],
        "alarm": [("ring", None), ("ring", None), ("ring", None), ("snooze", None)],
    }
    host = Host(registry=names["registry"])
    answers = {
        name: await run_batch(host, batch(*operations, entity=f"@{name}@a"), Threads())
        for name, operations in asked.items()
    }

    assert {name: outcomes(answer) for name, answer in answers.items()} == {
        "counter": ["2", "2"],
        "log": [None, None, "2"],
        "switch": ["false", "true"],
        "alarm": [None] * 4,
    }
    assert [each.WhichOneof("operationActionType") for each in answers["alarm"].actions].count("sendSignal") == 5
