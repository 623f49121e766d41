"""Critical sections that were lost with a failure, and what becomes of them when the orchestration is rewound."""

from __future__ import annotations

import pytest
from durabletask_backend.mutations import Code
from durabletask_backend.values import RuntimeStatus
from durabletask_protos import orchestrator_service_pb2 as pb

from .entity_scripts import call, lock, old_lock, unlock
from .entity_world import EntityWorld
from .scripts import Answer, complete, fail, script

ENTITIES = ("@e@1", "@e@2", "@e@3")
LEAVE = [unlock(at, "s", entity_id) for at, entity_id in enumerate(ENTITIES, 10)]


def locked(world: EntityWorld) -> dict[str, str]:
    """Who has which entity."""
    return {
        entity_id: found.lock.instance_id for entity_id, found in world.entities().items() if found.lock is not None
    }


def go_on(world: EntityWorld) -> None:
    world.raise_event("o", "go on")
    world.run()


def failed(*then: Answer, enter: pb.OrchestratorAction | None = None) -> EntityWorld:
    """A world where `o` has failed in section `s` of all entities. It does `then` with what comes after that."""
    world = EntityWorld(o=script([enter or lock(1, "s", *ENTITIES)], [], [fail(2, "no luck")], *then))
    world.start("o")
    world.run()
    assert locked(world) == dict.fromkeys(ENTITIES, "o")

    go_on(world)
    assert world.status("o") is RuntimeStatus.FAILED
    assert locked(world) == {}

    return world


def rewound(world: EntityWorld) -> None:
    """Rewind `o`; nothing has run since."""
    assert world.rewind("o").code is Code.APPLIED
    assert world.status("o") is RuntimeStatus.RUNNING


def at_rest(world: EntityWorld) -> bool:
    """Whether nobody has a lock, and nobody waits for one or for a release."""
    return locked(world) == {} and not any(world.inbox(entity_id) for entity_id in ENTITIES)


@pytest.mark.parametrize("enter", [lock(1, "s", *ENTITIES), old_lock(1, "s", *ENTITIES)], ids=["today", "by events"])
def test_what_was_locked_is_locked_again_and_released_at_the_end(enter: pb.OrchestratorAction) -> None:
    world = failed([], [complete(9)], enter=enter)
    rewound(world)
    world.run()
    assert locked(world) == dict.fromkeys(ENTITIES, "o")

    go_on(world)
    assert world.status("o") is RuntimeStatus.COMPLETED
    assert at_rest(world)


def test_the_orchestration_is_not_told_that_what_it_had_is_its_own_again() -> None:
    world = failed([], [])
    rewound(world)
    world.turn("o")
    world.run()
    assert locked(world) == dict.fromkeys(ENTITIES, "o")
    assert world.history("o") == [
        "EntityLockRequested(1)",
        "EntityLockGranted",
        "EventRaised",
        "ExecutionRewound",
    ]

    go_on(world)
    assert world.history("o")[4:] == ["EventRaised"]
    assert world.inbox("o") == []


def test_its_calls_are_done_in_the_section_once_it_has_it_again() -> None:
    world = failed([call(3, "@e@1", "mine")], [*LEAVE, complete(9)])
    rewound(world)
    world.signal("@e@1", "theirs")
    world.run()
    assert world.batches == [("@e@1", ["mine"]), ("@e@1", ["theirs"])]
    assert at_rest(world)


def test_what_it_had_released_before_it_failed_is_not_asked_for_again() -> None:
    world = EntityWorld(
        o=script([lock(1, "s", *ENTITIES)], [], [unlock(2, "s", "@e@2")], [fail(3, "no luck")], [], [complete(9)])
    )
    world.start("o")
    world.run()
    go_on(world)
    go_on(world)
    assert world.status("o") is RuntimeStatus.FAILED

    rewound(world)
    world.run()
    assert locked(world) == {"@e@1": "o", "@e@3": "o"}

    go_on(world)
    assert at_rest(world)


def test_who_waited_when_it_failed_is_served_first() -> None:
    world = failed([], [complete(9)])
    world.orchestrators["p"] = script([lock(1, "t", "@e@2")], [], [complete(2)])
    world.start("p")
    world.run()
    rewound(world)
    world.run()
    assert locked(world) == {"@e@1": "o", "@e@2": "p"}

    world.raise_event("p", "go on")
    world.run()
    assert locked(world) == dict.fromkeys(ENTITIES, "o")

    go_on(world)
    assert at_rest(world)


@pytest.mark.parametrize("gone", range(len(ENTITIES) + 1))
@pytest.mark.parametrize(
    "end",
    [[*LEAVE, complete(20)], LEAVE, [complete(20)], [fail(20, "again")]],
    ids=["left and completed", "left", "completed", "failed"],
)
def test_a_section_that_is_left_before_the_request_has_gone_round_leaves_nothing_locked(end: Answer, gone: int) -> None:
    world = failed(end)
    rewound(world)

    for entity_id in ENTITIES[:gone]:
        assert world.turn(entity_id)

    assert world.turn("o")
    world.run()
    assert at_rest(world)
    assert world.state("o").sections == {} or world.status("o") is not RuntimeStatus.RUNNING


@pytest.mark.parametrize("gone", range(len(ENTITIES) + 1))
def test_a_termination_before_the_request_has_gone_round_leaves_nothing_locked(gone: int) -> None:
    world = failed()
    rewound(world)

    for entity_id in ENTITIES[:gone]:
        assert world.turn(entity_id)

    world.terminate("o")
    world.run()
    assert world.status("o") is RuntimeStatus.TERMINATED
    assert at_rest(world)


@pytest.mark.parametrize("gone", range(len(ENTITIES) + 1))
def test_what_is_rewound_once_more_before_the_request_has_gone_round_has_its_section_all_the_same(gone: int) -> None:
    world = failed([fail(3, "again")], [], [complete(9)])
    rewound(world)

    for entity_id in ENTITIES[:gone]:
        assert world.turn(entity_id)

    assert world.turn("o")
    rewound(world)
    world.run()
    assert locked(world) == dict.fromkeys(ENTITIES, "o")

    go_on(world)
    assert world.status("o") is RuntimeStatus.COMPLETED
    assert at_rest(world)
