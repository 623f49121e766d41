"""Reading entities: one, and lists of them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from durabletask_backend.conformance.base import ConformanceBase
from durabletask_backend.conformance.driver import Driver
from durabletask_backend.conformance.samples import (
    HUB,
    LATER,
    ODD_IDS,
    OTHER_HUB,
    START,
    append,
    create,
    entity_lock,
    entity_turn,
    key,
)
from durabletask_backend.mutations import PurgeEntity
from durabletask_backend.values import Entity, EntityFilter

COUNTER = key("@counter@a")
MODEL_FILTERS = [
    EntityFilter(id_prefix=prefix, modified_from=first, modified_to=last, transient=transient, empty=empty)
    for prefix, first, last, transient, empty in itertools.product(
        [None, "@b@", "@b@1"], [None, START + 3], [None, START + 6], [True, False], [True, False]
    )
]
"""All that a query can ask, together and alone."""


class EntityListConformance(ConformanceBase):
    """What the suite promises of `entity` and `entities`."""

    async def test_one_entity_may_be_read(self, driver: Driver) -> None:
        """With its state or without, and with its backlog, which delayed messages do not count in."""
        taken, *_ = await driver.commit(append(COUNTER), append(COUNTER), append(COUNTER), append(COUNTER, due_at=1))
        await driver.apply(entity_turn(COUNTER, state="state", lock=entity_lock(), at=LATER, consumed=[taken.sequence]))
        whole = Entity(
            key=COUNTER, state="state", has_state=True, modified_at=LATER, lock=entity_lock(), turn=1, backlog=2
        )

        assert await driver.backend.entity(COUNTER) == whole
        assert await driver.backend.entity(COUNTER, states=False) == replace(whole, state=None)
        assert await driver.backend.entity(key("@counter@nobody")) is None
        assert await driver.backend.entity(key("@counter@a", OTHER_HUB)) is None

    async def test_entities_are_no_instances(self, driver: Driver) -> None:
        """No query for instances finds them, nor do they have a history."""
        await driver.commit(append(COUNTER), create(key()))

        assert await driver.query_ids(HUB) == ["i"]
        assert await driver.backend.get(COUNTER) is None
        assert await driver.history(COUNTER) == []
        assert [entity.key for entity in (await driver.backend.entities(HUB, EntityFilter())).entities] == [COUNTER]

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_lists_of_entities(self, driver: Driver, limit: int) -> None:
        """Every filter, alone and together, by id, page by page: none is lost, none comes twice."""
        everyone = await self._entities(driver)

        for where in MODEL_FILTERS:
            assert await self._listed(driver, where, limit) == [
                entity for entity in everyone if _matches(entity, where)
            ], f"{where}"

    async def test_states_are_listed_when_they_are_asked_for(self, driver: Driver) -> None:
        """`has_state` tells otherwise whether there is one."""
        everyone = await self._entities(driver)
        where = EntityFilter(empty=True)
        bare = (await driver.backend.entities(HUB, where)).entities

        assert list((await driver.backend.entities(HUB, where, states=True)).entities) == everyone
        assert list(bare) == [replace(entity, state=None) for entity in everyone]

    async def test_prefixes_of_entities_are_exact(self, driver: Driver) -> None:
        """Case counts, and no character is a wildcard."""
        await driver.commit(*(append(key(f"@{odd}")) for odd in ODD_IDS))

        for odd in ODD_IDS:
            found = (await driver.backend.entities(HUB, EntityFilter(id_prefix=f"@{odd}"), limit=1000)).entities

            assert {entity.key.instance_id for entity in found} == {
                f"@{each}" for each in ODD_IDS if each.startswith(odd)
            }

    async def test_a_page_of_entities_starts_behind_what_is_gone(self, driver: Driver) -> None:
        """What comes and goes between pages makes none of the others be lost or come twice."""
        await driver.commit(*(append(key(f"@e@{number}")) for number in range(6)))
        first = await driver.backend.entities(HUB, EntityFilter(), limit=3)
        assert first.next is not None
        await driver.commit(PurgeEntity(key=key("@e@2")), PurgeEntity(key=key("@e@4")), append(key("@e@25")))
        second = await driver.backend.entities(HUB, EntityFilter(), after=first.next, limit=3)

        assert [entity.key.instance_id for entity in second.entities] == ["@e@25", "@e@3", "@e@5"]

    async def _entities(self, driver: Driver) -> list[Entity]:
        """Entities of all kinds, by id; and one of another hub."""
        await driver.backend.create_hub(OTHER_HUB, b"other")
        await driver.apply(append(key("@b@1", OTHER_HUB)))
        everyone: list[Entity] = []

        for number, (name, state, locked, backlog) in enumerate(
            (name, state, locked, backlog)
            for name in "abc"
            for state in (None, "state")
            for locked in (False, True)
            for backlog in (0, 2)
        ):
            of = key(f"@{name}@{number}")
            lock = entity_lock(f"by {number}") if locked else None
            sent = await driver.apply(append(of))
            await driver.commit(
                entity_turn(of, state=state, lock=lock, at=START + number % 10, consumed=[sent.sequence]),
                *(append(of) for _ in range(backlog)),
                append(of, due_at=LATER),
            )
            everyone.append(
                Entity(
                    key=of,
                    state=state,
                    has_state=state is not None,
                    modified_at=START + number % 10,
                    lock=lock,
                    turn=1,
                    backlog=backlog,
                )
            )

        return sorted(everyone, key=lambda entity: entity.key)

    async def _listed(self, driver: Driver, where: EntityFilter, limit: int) -> list[Entity]:
        found: list[Entity] = []
        after: str | None = None

        while True:
            page = await driver.backend.entities(HUB, where, after=after, limit=limit, states=True)
            assert len(page.entities) <= limit, "a page has at most `limit` entities"
            found += page.entities

            if page.next is None:
                return found

            assert after is None or page.next > after, "a page ends behind where it starts"
            after = page.next


def _matches(entity: Entity, where: EntityFilter) -> bool:
    return (
        entity.key.instance_id.startswith(where.id_prefix or "")
        and (where.modified_from is None or where.modified_from <= entity.modified_at)
        and (where.modified_to is None or entity.modified_at < where.modified_to)
        and (where.transient or entity.has_state)
        and (where.empty or entity.has_state or entity.lock is not None or entity.backlog > 0)
    )
