"""What holds of critical sections, whatever orchestrations do and in whatever order things happen."""

from __future__ import annotations

import re

from durabletask_backend.mutations import CompleteEntityTurn, CompleteTurn
from durabletask_backend.values import TERMINAL_STATUSES
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.engine.state import State
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from .entity_scripts import call, lock, old_call, old_lock, old_unlock, signal, unlock
from .entity_world import EntityWorld
from .scripts import complete, continue_as_new, fail

ENTITIES = ["@e@1", "@e@2", "@e@3"]
INSTANCES = ["x", "y", "z"]


class Orchestrations:
    """Each turn of an orchestration does what it was told to by the event that it takes.

    The events say: `lock <section> <entities>`, `unlock`, `call`, `signal`, `end`, `fail`, `next`, and whether the old way.
    """

    def __init__(self) -> None:
        self.turns = 0
        self.calls = 0

    def __call__(self, request: pb.OrchestratorRequest) -> list[pb.OrchestratorAction]:
        self.turns += 1
        actions: list[pb.OrchestratorAction] = []
        first = 1000 * sum(event.HasField("orchestratorStarted") for event in request.pastEvents)

        for event in request.newEvents:
            if event.HasField("eventRaised") and not event.eventRaised.input.value:
                actions.extend(self._do(first + 10 * len(actions), event.eventRaised.name.split()))

        return actions

    def _do(self, number: int, words: list[str]) -> list[pb.OrchestratorAction]:
        self.calls += 1

        match words:
            case ["lock", section, *entities]:
                return [lock(number, section, *entities)]
            case ["oldlock", section, *entities]:
                return [old_lock(number, section, *entities)]
            case ["unlock", section, *entities]:
                return [unlock(number + at, section, entity) for at, entity in enumerate(entities)]
            case ["oldunlock", section, *entities]:
                return [old_unlock(number + at, section, entity) for at, entity in enumerate(entities)]
            case ["call", entity]:
                return [call(number, entity, "c", request_id=f"call {self.calls}")]
            case ["oldcall", entity]:
                return [old_call(number, entity, "o", id=f"call {self.calls}")]
            case ["signal", entity]:
                return [signal(number, entity, "s", request_id=f"signal {self.calls}")]
            case ["end"]:
                return [complete(number)]
            case ["fail"]:
                return [fail(number, "no luck")]
            case _:
                return [continue_as_new(number)]


class Sections(RuleBasedStateMachine):
    """Three orchestrations, three entities, and all that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = EntityWorld(o=Orchestrations())
        self.decided: list[CompleteTurn | CompleteEntityTurn] = []
        self.sections = 0
        self.sent: dict[str, list[str]] = {entity: [] for entity in ENTITIES}

        for instance_id in INSTANCES:
            self.world.start("o", instance_id)

    @rule(
        instance_id=st.sampled_from(INSTANCES),
        entities=st.lists(st.sampled_from(ENTITIES), min_size=1, max_size=4),
        old=st.sampled_from(["", "", "old"]),
    )
    def enter(self, instance_id: str, entities: list[str], old: str) -> None:
        self.sections += 1
        self.world.raise_event(instance_id, f"{old}lock s{self.sections} {' '.join(entities)}")

    @rule(
        instance_id=st.sampled_from(INSTANCES),
        data=st.data(),
        backwards=st.booleans(),
        old=st.sampled_from(["", "", "old"]),
    )
    def leave(self, instance_id: str, data: st.DataObject, backwards: bool, old: str) -> None:
        """Leave a section, whether it was granted or not."""
        sections = self.world.state(instance_id).sections

        if sections:
            section_id = data.draw(st.sampled_from(sorted(sections)))
            entities = sections[section_id].lock_set[:: -1 if backwards else 1]
            self.world.raise_event(instance_id, f"{old}unlock {section_id} {' '.join(entities)}")

    @rule(
        instance_id=st.sampled_from(INSTANCES),
        entity=st.sampled_from(ENTITIES),
        how=st.sampled_from(["call", "oldcall", "signal"]),
    )
    def ask(self, instance_id: str, entity: str, how: str) -> None:
        self.world.raise_event(instance_id, f"{how} {entity}")

    @rule(entity=st.sampled_from(ENTITIES))
    def signal(self, entity: str) -> None:
        self.sent[entity].append(f"t{len(self.sent[entity])}")
        self.world.signal(entity, self.sent[entity][-1])

    @rule(instance_id=st.sampled_from(INSTANCES), how=st.sampled_from(["end", "fail", "next", "terminate"]))
    def end(self, instance_id: str, how: str) -> None:
        if how == "terminate":
            self.world.terminate(instance_id)
        else:
            self.world.raise_event(instance_id, how)

    @rule(instance_id=st.sampled_from(INSTANCES))
    def start_again(self, instance_id: str) -> None:
        """A live one is left alone, one that has ended is replaced."""
        self.world.start("o", instance_id)

    @rule(instance_id=st.sampled_from([*INSTANCES, *ENTITIES]))
    def turn(self, instance_id: str) -> None:
        if not instance_id.startswith("@") or instance_id in self.world.entities():
            self.world.turn(instance_id)

    @rule(instance_id=st.sampled_from([*INSTANCES, *ENTITIES]))
    def decide(self, instance_id: str) -> None:
        """A turn is decided; it is committed later, or never."""
        if not instance_id.startswith("@"):
            decision = self.world.decide(instance_id)
            self.decided.extend([] if decision is None else [decision.mutation])
        elif instance_id in self.world.entities():
            of_entity = self.world.decide_entity(instance_id)
            self.decided.extend([] if of_entity is None else [of_entity.mutation])

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        if self.decided:
            self.world.commit(data.draw(st.sampled_from(self.decided[::-1])))

    @rule()
    def all_comes_to_rest(self) -> None:
        """A lock is of a live orchestration that is in the section, or waits for it; behind a free entity nothing waits."""
        self.world.run()
        live = self._live()

        for entity_id, found in self.world.entities().items():
            if found.lock is None:
                assert self.world.inbox(entity_id) == []
            else:
                owner = live[found.lock.instance_id]
                assert owner.instance.execution_id == found.lock.execution_id
                assert found.lock.section_id in owner.sections

    @rule()
    def all_leave_what_they_are_in(self) -> None:
        """So, in the end, everyone is let into what it waits for, and nothing is locked."""
        self.world.run()

        while waiting := {
            section_id: (instance_id, section)
            for instance_id, state in self._live().items()
            for section_id, section in state.sections.items()
        }:
            entered = {section_id: held for section_id, held in waiting.items() if held[1].granted}
            assert entered, f"all wait for each other: {waiting}"

            for section_id, (instance_id, section) in entered.items():
                self.world.raise_event(instance_id, f"unlock {section_id} {' '.join(section.lock_set)}")

            self.world.run()

        assert [found.lock for found in self.world.entities().values() if found.lock is not None] == []

    def _live(self) -> dict[str, State]:
        return {
            instance_id: self.world.state(instance_id)
            for instance_id, instance in self.world.instances().items()
            if instance.status not in TERMINAL_STATUSES
        }

    @invariant()
    def an_entity_is_only_in_the_section_that_has_it(self) -> None:
        for instance_id, instance in self.world.instances().items():
            if instance.status in TERMINAL_STATUSES:
                continue

            for section_id, section in self.world.state(instance_id).sections.items():
                for entity_id in section.lock_set if section.granted else ():
                    if entity_id not in section.released:
                        held = self.world.entity(entity_id).lock
                        assert held is not None
                        assert (held.instance_id, held.execution_id, held.section_id) == (
                            instance_id,
                            instance.execution_id,
                            section_id,
                        )

    @invariant()
    def signals_are_done_once_and_in_order(self) -> None:
        for entity_id in self.world.entities():
            done = self._done(entity_id)
            assert done == self.sent[entity_id][: len(done)]

    def _done(self, entity_id: str) -> list[str]:
        return re.findall(r"t\d+", self.world.entity(entity_id).state or "")

    def teardown(self) -> None:
        """When all have ended, nothing is locked and nothing waits."""
        for _ in range(3):
            for instance_id in INSTANCES:
                self.world.terminate(instance_id)

            self.world.run()

        assert all(instance.status in TERMINAL_STATUSES for instance in self.world.instances().values())

        for entity_id, found in self.world.entities().items():
            assert found.lock is None, entity_id
            assert self.world.inbox(entity_id) == [], entity_id
            assert self._done(entity_id) == self.sent[entity_id]


Sections.TestCase.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)
TestSections = Sections.TestCase


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(["x", *ENTITIES]), max_size=6),
    st.sampled_from(["unlock s @e@1 @e@2 @e@3", "unlock s @e@3 @e@2 @e@1", "next", "replace"]),
    st.lists(st.tuples(st.sampled_from(["x", *ENTITIES]), st.booleans()), max_size=16),
)
def test_a_section_left_while_it_is_asked_for_locks_nothing(
    before: list[str], how: str, after: list[tuple[str, bool]]
) -> None:
    """Its request and its release meet anywhere on their way; a turn that was decided before may be committed after."""
    world = EntityWorld(o=Orchestrations())
    decided: dict[str, CompleteTurn | CompleteEntityTurn] = {}

    def step(instance_id: str, hold: bool) -> None:
        if instance_id.startswith("@") and instance_id not in world.entities():
            return

        if instance_id in decided:
            world.commit(decided.pop(instance_id))
        elif hold:
            decision = world.decide_entity(instance_id) if instance_id.startswith("@") else world.decide(instance_id)
            decided.update({} if decision is None else {instance_id: decision.mutation})
        else:
            world.turn(instance_id)

    world.start("o", "x")
    world.raise_event("x", "lock s @e@1 @e@2 @e@3")
    world.turn("x")

    for instance_id in before:
        step(instance_id, False)

    orphaned = False

    if how == "replace":
        orphaned = "EntityLockGranted" in [*world.inbox("x"), *world.history("x")]
        world.replace("o", "x")
    else:
        world.raise_event("x", how)

    for instance_id, hold in after:
        step(instance_id, hold)

    world.run()

    for instance_id in list(decided):
        step(instance_id, False)

    world.run()
    locked = [found.lock for found in world.entities().values() if found.lock is not None]
    # Who is replaced does not release what it has, and refuses what it gets. A clean-up does the rest.
    assert len(locked) == (3 if orphaned else 0)
