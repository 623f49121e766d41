"""Names, duplicates and parameters."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import Any

import pytest
from durabletask_worker import ActivityContext, OrchestrationContext, RegistrationError, Registry, TaskHubGrpcWorker
from durabletask_worker._signature import signature_of


def pay(_: ActivityContext, amount: int) -> str:
    return f"paid {amount}"


async def order(ctx: OrchestrationContext, amount: int) -> str:
    return await ctx.call_activity(pay, amount)


def test_a_function_is_called_by_its_name() -> None:
    registry = Registry()

    assert (registry.add_orchestrator(order), registry.add_activity(pay)) == ("order", "pay")
    found = registry.find_activity("pay")
    assert found is not None
    assert found.function is pay
    assert registry.find_activity("order") is None
    assert not hasattr(pay, "__durabletask_name__")


def test_decorators_leave_the_function_as_it_is() -> None:
    registry = Registry()

    @registry.activity
    def plain(_: ActivityContext) -> int:
        return 1

    @registry.activity(name="billing.refund")
    def refund(_: ActivityContext) -> int:
        return 2

    @registry.orchestrator(name="billing")
    async def billing(ctx: OrchestrationContext) -> int:
        return await ctx.call_activity(refund)

    assert plain(ActivityContext(orchestration_id="i", task_id=1)) == 1
    assert registry.find_activity("plain") is not None
    assert registry.find_activity("billing.refund") is not None
    assert registry.find_activity("refund") is None
    assert registry.find_orchestrator("billing") is not None
    assert getattr(refund, "__durabletask_name__", None) == "billing.refund"


def test_a_chosen_name_is_the_one_that_calls_use() -> None:
    registry = Registry()

    def refund(_: ActivityContext) -> int:
        return 2

    registry.add_activity(refund, name="billing.refund")

    assert Registry().add_activity(refund) == "billing.refund"


@pytest.mark.parametrize("add", ["add_orchestrator", "add_activity"])
def test_a_name_is_given_once(add: str) -> None:
    registry = Registry()
    getattr(registry, add)(pay)

    with pytest.raises(RegistrationError, match="'pay' is registered already"):
        getattr(registry, add)(pay)

    with pytest.raises(RegistrationError, match="'pay' is registered already"):
        getattr(registry, add)(order, name="pay")


@pytest.mark.parametrize("function", [lambda _: None, Registry()])
def test_what_has_no_name_needs_one(function: Any) -> None:
    with pytest.raises(RegistrationError, match="no name of its own"):
        Registry().add_activity(function)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(RegistrationError, match="empty name"):
        Registry().add_activity(pay, name="")


def test_registries_compose() -> None:
    shared, mine = Registry(), Registry()
    shared.add_activity(pay)
    mine.add_orchestrator(order)
    mine.include(shared)
    mine.include(shared)

    assert mine.find_activity("pay") is not None
    assert shared.find_orchestrator("order") is None

    other = Registry()

    def another(_: ActivityContext) -> None: ...

    other.add_orchestrator(another)
    other.add_activity(another, name="pay")

    with pytest.raises(RegistrationError, match="'pay' is registered already"):
        mine.include(other)

    assert mine.find_orchestrator("another") is None


def test_a_worker_adds_to_the_registry_that_it_is_given() -> None:
    registry = Registry()
    worker = TaskHubGrpcWorker(registry=registry)

    assert worker.add_orchestrator(order) == "order"
    assert worker.add_activity(pay) == "pay"
    assert registry.find_orchestrator("order") is not None
    assert registry.find_activity("pay") is not None


def no_parameter() -> None: ...
def three(ctx: ActivityContext, a: int, b: int) -> None: ...
def named(ctx: ActivityContext, *, a: int) -> None: ...
async def streams(ctx: ActivityContext) -> AsyncGenerator[int, None]:
    yield 1


@pytest.mark.parametrize("function", [no_parameter, three, named, streams])
def test_parameters_that_do_not_fit(function: Any) -> None:
    with pytest.raises(RegistrationError):
        Registry().add_activity(function)


def optional(ctx: ActivityContext, a: int = 1, b: int = 2) -> None: ...
def anything(*arguments: object) -> None: ...
def generates(ctx: OrchestrationContext, a: list[int]) -> Generator[Any, str, str]:
    return (yield)


def promises(ctx: ActivityContext) -> Awaitable[int]:
    raise AssertionError


def unresolved(ctx: ActivityContext, a: Missing) -> Missing:  # type: ignore[name-defined]  # noqa: F821
    raise AssertionError


class Payer:
    async def __call__(self, ctx: ActivityContext, a: int) -> str:
        raise AssertionError

    def method(self, ctx: ActivityContext, a: int) -> str:
        raise AssertionError


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (pay, (True, False, int, str, False)),
        (order, (True, False, int, str, True)),
        (optional, (True, True, int, None, False)),
        (anything, (True, True, None, None, False)),
        (generates, (True, False, list[int], str, False)),
        (promises, (False, False, None, int, False)),
        (unresolved, (True, False, None, None, False)),
        (Payer(), (True, False, int, str, True)),
        (Payer().method, (True, False, int, str, False)),
    ],
)
def test_what_is_read_from_a_function(function: Any, expected: tuple[object, ...]) -> None:
    signature = signature_of(function)

    assert (
        signature.takes_input,
        signature.input_has_default,
        signature.input_type,
        signature.result_type,
        signature.is_async,
    ) == expected
