"""Names, duplicates and parameters."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Generator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from durabletask_worker import ActivityContext, OrchestrationContext, RegistrationError, Registry, TaskHubGrpcWorker
from durabletask_worker._signature import name_of, signature_of
from durabletask_worker.entity import entity_name


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

    assert plain(ActivityContext(name="a", orchestration_id="i", task_id=1)) == 1
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


@dataclass
class Counter:
    value: int = 0

    def add(self, amount: int) -> int:
        return self.value + amount


def test_entities_go_by_the_names_of_their_classes_in_lower_case() -> None:
    registry = Registry()

    @registry.entity(name="Till")
    @dataclass
    class Register:
        total: int = 0

    class Drawer(Register): ...

    assert registry.entity(Counter) is Counter
    assert registry.add_entity(Drawer) == "drawer"
    assert [entity.name for entity in registry.entities] == ["till", "counter", "drawer"]
    found = registry.find_entity("TILL")
    assert found is not None
    assert found.function is Register
    assert registry.find_entity("register") is None
    assert (entity_name(Register), entity_name(Counter), entity_name("Any")) == ("till", "counter", "any")
    assert not hasattr(Counter, "__durabletask_name__")


@pytest.mark.parametrize("name", ["", "a@b"])
def test_names_that_no_id_of_an_entity_can_have(name: str) -> None:
    with pytest.raises(RegistrationError, match="is given the name"):
        Registry().add_entity(Counter, name=name)


def test_names_of_entities_do_not_differ_by_case() -> None:
    registry = Registry()
    registry.add_entity(Counter)

    with pytest.raises(RegistrationError, match=r"entity 'counter' is registered already, as .*Counter'>; give .*list"):
        registry.add_entity(list, name="COUNTER")


async def order_2(ctx: OrchestrationContext, amount: int) -> str:
    return await ctx.call_activity(pay, amount)


async def order_3(ctx: OrchestrationContext, amount: int) -> str:
    return await ctx.call_activity(pay, amount)


def test_versions_of_an_orchestrator_stand_side_by_side() -> None:
    registry = Registry()
    registry.orchestrator(name="order", version="2.0")(order_2)
    registry.add_orchestrator(order_3, name="order", version="3.0")

    def found(version: str | None) -> object:
        registration = registry.find_orchestrator("order", version)

        return registration and registration.function

    assert [found(version) for version in ("2.0", "3.0", "4.0", None, "")] == [order_2, order_3, None, None, None]

    registry.add_orchestrator(order)

    assert [found(version) for version in ("2.0", "3.0", "4.0", None, "")] == [order_2, order_3, order, order, order]
    assert registry.versions_of("order") == ("2.0", "3.0")
    assert registry.versions_of("other") == ()
    assert [(each.name, each.version) for each in registry.orchestrators] == [
        ("order", "2.0"),
        ("order", "3.0"),
        ("order", None),
    ]
    assert name_of(order_2) == "order"


def test_a_version_of_an_orchestrator_is_given_once() -> None:
    registry = Registry()
    registry.add_orchestrator(order_2, name="order", version="2.0")

    with pytest.raises(
        RegistrationError, match=r"'order' of version '2.0' .*order_2 .*; give .*order_3 .* name or version"
    ):
        registry.add_orchestrator(order_3, name="order", version="2.0")


def test_a_registry_tells_what_it_has() -> None:
    registry = Registry()
    registry.add_orchestrator(order)
    registry.add_activity(pay)
    registry.add_entity(Counter)

    assert [each.function for each in registry.orchestrators] == [order]
    assert [each.function for each in registry.activities] == [pay]
    assert [each.function for each in registry.entities] == [Counter]


def test_modules_compose_by_the_registries_that_they_have() -> None:
    billing, shipping, empty = ModuleType("billing"), ModuleType("shipping"), ModuleType("empty")
    bills, counters, ships = Registry(), Registry(), Registry()
    bills.add_activity(pay)
    counters.add_entity(Counter)
    ships.add_orchestrator(order_2, name="order", version="2.0")
    vars(billing).update(registry=bills, same=bills, counters=counters)
    vars(shipping).update(registry=ships)

    registry = Registry()
    registry.add_orchestrator(order)
    registry.include(billing, shipping)

    assert registry.find_activity("pay") is not None
    assert registry.find_entity("counter") is not None
    assert [each.version for each in registry.orchestrators] == [None, "2.0"]

    with pytest.raises(RegistrationError, match="module 'empty' has no Registry"):
        registry.include(empty)


def test_including_takes_over_everything_or_nothing() -> None:
    registry, fitting, clashing = Registry(), Registry(), Registry()
    registry.add_entity(Counter)
    fitting.add_activity(pay)
    clashing.add_entity(list, name="counter")

    with pytest.raises(RegistrationError, match="entity 'counter' is registered already"):
        registry.include(fitting, clashing)

    assert registry.activities == ()


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
