"""Entities: called, signalled, locked and looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from durabletask_client import EntityInstanceId, EntityQuery
from durabletask_worker import DurableEntity, EntityContext, OrchestrationContext, Registry, TaskFailedError

from integration.engines.hub import Hub, fresh

registry = Registry()


@registry.entity(name="engines_counter")
class Counter(DurableEntity):
    def add(self, amount: int) -> int:
        if amount > 1000:
            raise ValueError(f"{amount} is too much")

        self.set_state(self.get_state(int, 0) + amount)

        return self.get_state(int, 0)

    def read(self) -> int:
        return self.get_state(int, 0)

    def pass_on(self, key: str) -> None:
        self.signal_entity(_counter(key), "add", self.get_state(int, 0))


@registry.entity(name="engines_last")
def last(ctx: EntityContext, value: str) -> str | None:
    """Keep one value, and give back the one before it."""
    before = ctx.get_state(str)
    ctx.set_state(value)

    return before


def _counter(key: str) -> EntityInstanceId:
    return EntityInstanceId("engines_counter", key)


def _state_of(hub: Hub, entity: EntityInstanceId) -> object:
    found = hub.client.get_entity(entity)

    return None if found is None else found.get_state(int)


@registry.orchestrator
async def calling_entities(ctx: OrchestrationContext, key: str) -> list[object]:
    counter = ctx.entity(Counter, key)
    last_of = EntityInstanceId("engines_last", key)
    numbers = [await counter.call(Counter.add, 5), await ctx.call_entity(_counter(key), "add", 2)]
    words = [await ctx.call_entity(last_of, "keep", word) for word in ("one", "two")]

    return [*numbers, *words]


def scenario_entity_is_called(hub: Hub) -> None:
    assert hub.output(calling_entities, input=fresh("called")) == [5, 7, None, "one"]


@registry.orchestrator
async def asking_too_much(ctx: OrchestrationContext, key: str) -> list[object]:
    await ctx.call_entity(_counter(key), "add", 3)

    try:
        await ctx.call_entity(_counter(key), "add", 5000)
    except TaskFailedError as error:
        return ["5000 is too much" in str(error.details), await ctx.call_entity(_counter(key), "read")]

    return []


def scenario_entity_fails_and_keeps_its_state(hub: Hub) -> None:
    assert hub.output(asking_too_much, input=fresh("failing")) == [True, 3]


@registry.orchestrator
async def signalling(ctx: OrchestrationContext, key: str) -> int:
    for _ in range(3):
        ctx.signal_entity(_counter(key), "add", 2)

    return await ctx.call_entity(_counter(key), "read", return_type=int)


def scenario_entity_is_signalled(hub: Hub) -> None:
    key = fresh("signalled")
    hub.client.signal_entity(_counter(key), "add", 1)
    hub.until(lambda: _state_of(hub, _counter(key)) == 1, "the signal of the client is there")
    assert hub.output(signalling, input=key) == 7


def scenario_entity_signals_another(hub: Hub) -> None:
    key, other = fresh("first"), fresh("second")
    hub.client.signal_entity(_counter(key), "add", 4)
    hub.client.signal_entity(_counter(key), "pass_on", other)
    hub.until(lambda: _state_of(hub, _counter(other)) == 4, "the signal of the entity is there")


def scenario_entity_is_signalled_at_a_time(hub: Hub) -> None:
    key = fresh("later")
    due = datetime.now(UTC) + timedelta(milliseconds=600)
    hub.client.signal_entity(_counter(key), "add", 1, scheduled_time=due)
    hub.until(lambda: _state_of(hub, _counter(key)) == 1, "the signal is there")
    assert datetime.now(UTC) >= due


@registry.orchestrator
async def transferring(ctx: OrchestrationContext, keys: list[str]) -> list[int]:
    """Read, wait and write back: without the locks, others would write in between."""
    async with ctx.lock_entities([_counter(key) for key in keys]):
        amounts = []

        for key in keys:
            before = await ctx.call_entity(_counter(key), "read", return_type=int)
            await ctx.create_timer(timedelta())
            amounts.append(await ctx.call_entity(_counter(key), "add", before + 1, return_type=int))

    return amounts


def scenario_entities_are_locked(hub: Hub) -> None:
    keys = [fresh("a"), fresh("b")]
    ids = [
        hub.client.schedule_new_orchestration(transferring, input=order)
        for order in (keys, [*reversed(keys)], keys, [*reversed(keys)])
    ]
    # Each doubles both and adds one: 1, 3, 7, 15.
    assert sorted(hub.output_of(instance_id) for instance_id in ids) == [[1, 1], [3, 3], [7, 7], [15, 15]]


def scenario_entities_are_queried(hub: Hub) -> None:
    prefix = fresh("queried")

    for number in range(3):
        hub.client.signal_entity(_counter(f"{prefix}-{number}"), "add", number + 1)

    def found() -> list[tuple[str, int | None]]:
        query = EntityQuery(instance_id_starts_with=f"@engines_counter@{prefix}", include_state=True, page_size=2)

        return sorted((entity.id.key, entity.get_state(int)) for entity in hub.client.get_all_entities(query))

    hub.until(lambda: len(found()) == 3, "all are found")
    assert found() == [(f"{prefix}-{number}", number + 1) for number in range(3)]
