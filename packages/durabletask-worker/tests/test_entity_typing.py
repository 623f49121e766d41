"""Types follow the operations that are signalled. mypy checks this file; `ignore` comments that are not needed are errors, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from durabletask_client.entities import EntityInstanceId
from durabletask_worker import OrchestrationContext, Registry
from durabletask_worker.entity import DurableEntity, operation
from durabletask_worker.entity_context import EntityContext

registry = Registry()
CART = EntityInstanceId("cart", "a")


@registry.entity
@dataclass
class Cart:
    items: int = 0

    def add(self, items: int) -> int:
        self.items += items

        return self.items

    async def load(self, text: str) -> None: ...

    def empty(self) -> None: ...

    @operation(name="some")
    def maybe(self, items: int = 1) -> None: ...

    def pack(self, ctx: EntityContext, box: str) -> None: ...

    def wrap(self, paper: str, ctx: EntityContext) -> None: ...

    def send(self, ctx: EntityContext) -> None: ...


@registry.entity(name="till")
class Till(DurableEntity):
    def total(self) -> int:
        assert_type(self.get_state(int), int | None)
        assert_type(self.get_state(int, 0), int)
        assert_type(self.get_state(), Any)

        return self.get_state(int, 0)


async def count(ctx: OrchestrationContext, number: int) -> int:
    return number


async def lone(ctx: OrchestrationContext) -> None: ...


def entity(ctx: EntityContext, text: str) -> None:
    assert_type(ctx.get_state(str), str | None)
    assert_type(ctx.get_state(str, ""), str)
    assert_type(ctx.get_state(list[int], []), list[int])

    ctx.signal_entity(CART, Cart.add, 1)
    ctx.signal_entity(CART, Cart.load, "a")
    ctx.signal_entity(CART, Cart.empty)
    ctx.signal_entity(CART, Cart.maybe)
    ctx.signal_entity(CART, Cart.maybe, 3)
    ctx.signal_entity(CART, Cart.pack, "a")
    ctx.signal_entity(CART, Cart.wrap, "a")
    ctx.signal_entity(CART, Cart.send)
    ctx.signal_entity(CART, "anything", object())
    ctx.signal_entity(CART, Cart.pack, 1)  # type: ignore[arg-type]
    ctx.signal_entity(CART, Cart.wrap)  # type: ignore[arg-type]
    ctx.signal_entity(CART, Cart.send, "a")  # type: ignore[arg-type]
    ctx.signal_entity(CART, Cart.add, "a")  # type: ignore[arg-type]
    ctx.signal_entity(CART, Cart.add)  # type: ignore[arg-type]
    ctx.signal_entity(CART, Cart.empty, 1)  # type: ignore[arg-type]

    assert_type(ctx.schedule_new_orchestration(count, 1), str)
    ctx.schedule_new_orchestration(lone)
    ctx.schedule_new_orchestration("anything", object())
    ctx.schedule_new_orchestration(count, "a")  # type: ignore[arg-type]
    ctx.schedule_new_orchestration(count)  # type: ignore[arg-type]


def test_decorated_classes_stay_what_they_are() -> None:
    assert_type(Cart(items=1), Cart)
    assert_type(Cart(items=1).add(2), int)

    assert Cart(items=1).add(2) == 3
    assert {each.name for each in registry.entities} == {"cart", "till"}
