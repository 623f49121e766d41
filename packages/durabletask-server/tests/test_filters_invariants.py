"""Whatever comes and goes, no work is lost, doubled, misplaced or left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from durabletask_backend.values import InstanceKey
from durabletask_server.dispatch.dispatcher import Dispatcher
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind, StreamOptions, WorkerStream
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

LIMITS = dict.fromkeys(Kind, 2)
HUBS = ("one", "two")
NAMES = ("a", "A", "b")
versions = st.sampled_from((None, "", "1", "2"))
named = st.none() | st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(("", "1", "2"))), max_size=2)
anything = st.just(WorkFilters())
filters = anything | st.fixed_dictionaries(dict.fromkeys(Kind, named)).map(WorkFilters)
limits = st.fixed_dictionaries(dict.fromkeys(Kind, st.integers(0, 3)))
stream_numbers = st.none() | st.integers(1, 6)


@dataclass(eq=False, kw_only=True)
class Witness:
    """An item that says where it goes."""

    world: Coming
    kind: Kind
    instance: InstanceKey
    name: str
    version: str | None
    caller_version: str | None
    prefer: int | None
    avoid: int | None
    is_void: bool
    ready_at: float = 0.0
    out_at: float = 0.0

    def hand_out(self, stream: WorkerStream) -> bytes | None:
        self.world.handed_out(self, stream)

        return None if self.is_void else b"item"

    def broken(self) -> None:
        self.world.taken_back(self)


class Coming(RuleBasedStateMachine):
    """Workers and work that come and go, and what must be true all the while."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.dispatcher = Dispatcher(LIMITS)
        self.streams: list[tuple[WorkerStream, StreamOptions]] = []
        self.waiting: list[Witness] = []
        self.held: dict[Witness, WorkerStream] = {}

    def teardown(self) -> None:
        self.loop.close()

    def handed_out(self, item: Witness, stream: WorkerStream) -> None:
        said = next(said for other, said in self.streams if other is stream)
        assert said.hub == item.instance.hub
        assert said.filters.admits(item.kind, item.name, item.version, item.caller_version)
        assert item not in self.held
        self.waiting.remove(item)

        if not item.is_void:
            self.held[item] = stream

    def taken_back(self, item: Witness) -> None:
        del self.held[item]
        self.waiting.append(item)
        self.dispatcher.add(item, front=True)

    @rule(hub=st.sampled_from(HUBS), wanted=filters, limits=limits)
    def open(self, hub: str, wanted: WorkFilters, limits: Mapping[Kind, int]) -> None:
        said = StreamOptions(hub=hub, limits=limits, filters=wanted)
        self.run(lambda: self.streams.append((self.dispatcher.open(said), said)))

    @rule(
        kind=st.sampled_from(Kind),
        instance=st.builds(InstanceKey, st.sampled_from(HUBS), st.sampled_from("xy")),
        name=st.sampled_from(NAMES),
        version=versions,
        caller_version=versions,
        prefer=stream_numbers,
        avoid=stream_numbers,
        front=st.booleans(),
        is_void=st.sampled_from((False, False, False, True)),
        count=st.integers(1, 4),
    )
    def add(self, *, front: bool, count: int, **what: Any) -> None:
        items = [Witness(world=self, **what) for _ in range(count)]
        self.waiting += items

        for item in items:
            self.run(partial(self.dispatcher.add, item, front=front))

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        stream, _ = self.streams.pop(data.draw(st.integers(0, len(self.streams) - 1)))
        self.run(lambda: self.dispatcher.close(stream))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        item = list(self.held)[data.draw(st.integers(0, len(self.held) - 1))]
        stream = self.held.pop(item)
        self.run(lambda: stream.release(item))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        item = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.run(lambda: self.dispatcher.drop(item.kind, item.instance, lambda other: other is item))

    @rule(hub=st.sampled_from(HUBS))
    def close_hub(self, hub: str) -> None:
        self.waiting = [item for item in self.waiting if item.instance.hub != hub]
        self.run(lambda: self.dispatcher.close_hub(hub))

        for item, stream in list(self.held.items()):
            if item.instance.hub == hub:
                del self.held[item]
                self.run(partial(stream.release, item))

    def run(self, step: Callable[[], object]) -> None:
        async def take() -> None:
            step()

            for _ in range(3):
                await asyncio.sleep(0)

        self.loop.run_until_complete(take())

    @invariant()
    def nothing_is_lost(self) -> None:
        for kind in Kind:
            assert self.dispatcher.ready(kind) == sum(item.kind is kind for item in self.waiting)

        assert self.dispatcher.out == len(self.held)

    @invariant()
    def limits_hold(self) -> None:
        for stream, said in self.streams:
            for kind in Kind:
                held = sum(item.kind is kind and holder is stream for item, holder in self.held.items())
                assert stream.held(kind) == held <= (said.limits[kind] or LIMITS[kind])

    @invariant()
    def nothing_waits_that_a_worker_with_room_wants(self) -> None:
        for item in self.waiting:
            for stream, said in self.streams:
                wants = said.hub == item.instance.hub and said.filters.admits(
                    item.kind, item.name, item.version, item.caller_version
                )
                assert not wants or stream.free(item.kind) <= 0

    @invariant()
    def what_is_said_of_the_workers_is_so(self) -> None:
        live = [(stream, said) for stream, said in self.streams if not stream.closed]

        for kind in Kind:
            names = [said.filters.names(kind) for _, said in live]
            every = None if None in names else frozenset[str]().union(*(each for each in names if each is not None))
            assert self.dispatcher.names(kind) == every
            assert self.dispatcher.free(kind) == sum(stream.free(kind) for stream, _ in live)

            for hub, name in product(HUBS, NAMES):
                assert self.dispatcher.fits(kind, hub, name, "1") == any(
                    said.hub == hub and said.filters.admits(kind, name, "1") for _, said in live
                )


TestWhateverComesAndGoes = Coming.TestCase
TestWhateverComesAndGoes.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
