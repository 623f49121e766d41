"""Workers get what they ask for, each its share, and nothing is held up by what nobody asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from durabletask_backend.values import InstanceKey
from durabletask_server.dispatch.dispatcher import Dispatcher
from durabletask_server.dispatch.filters import WorkFilters
from durabletask_server.dispatch.stream import Kind, StreamOptions, WorkerStream

KEY = InstanceKey("hub", "i")
LIMITS = dict.fromkeys(Kind, 2)


@dataclass(eq=False)
class Item:
    """A piece of work that notes whose it is."""

    name: str = "n"
    kind: Kind = Kind.ORCHESTRATION
    instance: InstanceKey = KEY
    version: str | None = None
    caller_version: str | None = None
    avoid: int | None = None
    prefer: int | None = None
    holders: list[int] = field(default_factory=list)
    is_void: bool = False
    ready_at: float = 0.0
    out_at: float = 0.0

    def hand_out(self, stream: WorkerStream) -> bytes | None:
        if self.is_void:
            return None

        self.holders.append(stream.number)

        return self.name.encode()

    def broken(self) -> None:
        pass


def options(
    filters: WorkFilters | None = None, hub: str = "hub", limits: Mapping[Kind, int] | None = None
) -> StreamOptions:
    return StreamOptions(hub=hub, limits=limits or {}, filters=filters or WorkFilters())


def orchestrations(**wanted: Sequence[str]) -> WorkFilters:
    return WorkFilters({Kind.ORCHESTRATION: wanted, Kind.ACTIVITY: {}, Kind.ENTITY: {}})


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_nobody_wants_holds_up_nothing() -> None:
    dispatcher = Dispatcher(LIMITS)
    stream = dispatcher.open(options(orchestrations(wanted=())))
    unwanted = [Item("unwanted", instance=InstanceKey("hub", str(number))) for number in range(10)]
    wanted = Item("wanted")

    for item in (*unwanted, wanted):
        dispatcher.add(item)

    await settle()

    assert wanted.holders == [stream.number]
    assert dispatcher.ready(Kind.ORCHESTRATION) == 10
    assert not dispatcher.fits(Kind.ORCHESTRATION, "hub", "unwanted")


async def test_a_worker_of_another_hub_gets_nothing() -> None:
    dispatcher = Dispatcher(LIMITS)
    dispatcher.open(options(hub="other"))
    item = Item()
    dispatcher.add(item)
    await settle()

    assert item.holders == []
    mine = dispatcher.open(options())
    await settle()
    assert item.holders == [mine.number]


async def test_a_deleted_hub_has_no_work_and_its_streams_end() -> None:
    dispatcher = Dispatcher(LIMITS)
    stream, other = dispatcher.open(options(hub="gone")), dispatcher.open(options())
    dispatcher.add(Item(instance=InstanceKey("gone", "i"), kind=Kind.ENTITY))
    dispatcher.close_hub("gone")
    await settle()

    assert await stream.outgoing() is None
    assert not other.closed
    assert dispatcher.ready(Kind.ENTITY) == 0


async def test_a_preferred_stream_is_taken_if_it_has_room() -> None:
    dispatcher = Dispatcher(LIMITS)
    first, second = dispatcher.open(options()), dispatcher.open(options())
    busy = Item()
    dispatcher.add(busy)
    await settle()
    held_by = first if busy.holders == [first.number] else second
    items = [Item(prefer=held_by.number) for _ in range(2)]

    for item in items:
        dispatcher.add(item)

    await settle()

    assert items[0].holders == [held_by.number]
    assert items[1].holders == [second.number if held_by is first else first.number]


async def test_lanes_take_turns() -> None:
    dispatcher = Dispatcher(LIMITS)
    many = [Item("many") for _ in range(6)]
    few = [Item("few"), Item("few")]

    for item in (*many, *few):
        dispatcher.add(item)

    dispatcher.open(options(limits={Kind.ORCHESTRATION: 4}))
    await settle()

    assert [len(item.holders) for item in few] == [1, 1]


async def test_instances_take_turns_in_a_lane() -> None:
    dispatcher = Dispatcher(LIMITS)
    wide = [Item(instance=InstanceKey("hub", "wide")) for _ in range(5)]
    narrow = Item(instance=InstanceKey("hub", "narrow"))

    for item in (*wide, narrow):
        dispatcher.add(item)

    dispatcher.open(options())
    await settle()

    assert [len(item.holders) for item in (*wide, narrow)] == [1, 0, 0, 0, 0, 1]


async def test_work_that_others_want_too_has_no_more_and_no_fewer_turns_than_other_work() -> None:
    dispatcher = Dispatcher(LIMITS)
    other = dispatcher.open(options(orchestrations(shared=()), limits={Kind.ORCHESTRATION: 1}))
    dispatcher.add(Item("shared"))
    await settle()
    assert other.free(Kind.ORCHESTRATION) == 0

    shared, own = [Item("shared") for _ in range(4)], [Item("own") for _ in range(4)]

    for item in (*own, *shared):
        dispatcher.add(item)

    dispatcher.open(options(limits={Kind.ORCHESTRATION: 4}))
    await settle()

    assert sum(len(item.holders) for item in own) == 2
    assert sum(len(item.holders) for item in shared) == 2


async def test_one_after_the_other_goes_to_one_worker_after_the_other() -> None:
    dispatcher = Dispatcher(LIMITS)
    streams = [dispatcher.open(options()) for _ in range(3)]
    takers: list[int] = []

    for _ in range(6):
        item = Item()
        dispatcher.add(item)
        await settle()
        takers += item.holders
        next(stream for stream in streams if stream.number == item.holders[0]).release(item)

    assert takers == [stream.number for stream in streams] * 2


async def test_the_least_busy_worker_is_next() -> None:
    dispatcher = Dispatcher(dict.fromkeys(Kind, 10))
    busy = dispatcher.open(options())

    for _ in range(3):
        dispatcher.add(Item())

    await settle()
    idle = dispatcher.open(options())
    items = [Item() for _ in range(3)]

    for item in items:
        dispatcher.add(item)

    await settle()

    assert [item.holders for item in items] == [[idle.number]] * 3
    assert busy.held(Kind.ORCHESTRATION) == 3


async def test_a_worker_that_gave_an_item_back_has_it_again_only_when_there_is_no_other() -> None:
    dispatcher = Dispatcher(LIMITS)
    first = dispatcher.open(options())
    alone = Item(avoid=first.number)
    dispatcher.add(alone)
    await settle()
    second = dispatcher.open(options())
    blocker = Item(prefer=second.number)
    dispatcher.add(blocker)
    other = Item(avoid=first.number)
    dispatcher.add(other)
    await settle()

    assert alone.holders == [first.number]
    assert other.holders == [second.number]


async def test_each_kind_has_its_own_limit_and_none_given_is_the_default() -> None:
    dispatcher = Dispatcher({Kind.ORCHESTRATION: 1, Kind.ACTIVITY: 2, Kind.ENTITY: 3})
    stream = dispatcher.open(options(limits={Kind.ORCHESTRATION: 0, Kind.ACTIVITY: 1}))

    for kind in Kind:
        for _ in range(5):
            dispatcher.add(Item(kind=kind))

    assert {kind: dispatcher.free(kind) for kind in Kind} == dict(zip(Kind, (1, 1, 3), strict=True))
    await settle()

    assert {kind: stream.held(kind) for kind in Kind} == dict(zip(Kind, (1, 1, 3), strict=True))
    assert {kind: dispatcher.ready(kind) for kind in Kind} == dict(zip(Kind, (4, 4, 2), strict=True))
    assert dispatcher.out == 5
    assert not any(dispatcher.free(kind) for kind in Kind)


async def test_the_work_that_is_wanted_is_that_of_all_workers_together() -> None:
    dispatcher = Dispatcher(LIMITS)
    assert dispatcher.names(Kind.ORCHESTRATION) == frozenset()

    dispatcher.open(options(orchestrations(One=())))
    two = dispatcher.open(options(orchestrations(TWO=("2",)), hub="other"))
    assert dispatcher.names(Kind.ORCHESTRATION) == frozenset({"one", "two"})
    assert dispatcher.names(Kind.ACTIVITY) == frozenset()
    assert dispatcher.fits(Kind.ORCHESTRATION, "other", "Two", "2")
    assert not dispatcher.fits(Kind.ORCHESTRATION, "hub", "Two", "2")
    assert not dispatcher.fits(Kind.ORCHESTRATION, "other", "Two")

    any_work = dispatcher.open(options())
    assert dispatcher.names(Kind.ORCHESTRATION) is None
    assert dispatcher.fits(Kind.ORCHESTRATION, "hub", "Two", "2")

    dispatcher.close(any_work)
    dispatcher.close(two)
    assert dispatcher.names(Kind.ORCHESTRATION) == frozenset({"one"})
    assert not dispatcher.fits(Kind.ORCHESTRATION, "other", "Two", "2")


async def test_work_fits_a_worker_that_has_no_room_now() -> None:
    dispatcher = Dispatcher(dict.fromkeys(Kind, 1))
    dispatcher.open(options())
    dispatcher.add(Item())
    await settle()

    assert dispatcher.free(Kind.ORCHESTRATION) == 0
    assert dispatcher.fits(Kind.ORCHESTRATION, "hub", "n")


async def test_of_workers_that_want_the_same_one_may_leave() -> None:
    dispatcher = Dispatcher(LIMITS)
    first, second = (dispatcher.open(options(orchestrations(n=("1", "2")))) for _ in range(2))
    dispatcher.close(first)
    item = Item(version="2")
    dispatcher.add(item)
    await settle()
    assert item.holders == [second.number]

    dispatcher.close(second)
    assert not dispatcher.fits(Kind.ORCHESTRATION, "hub", "n", "2")


async def test_who_wants_what_is_asked_once_however_much_waits_in_vain() -> None:
    class Counting(WorkFilters):
        asked = 0

        def admits(self, kind: Kind, name: str, version: str | None = None, caller_version: str | None = None) -> bool:
            Counting.asked += 1

            return super().admits(kind, name, version, caller_version)

    dispatcher = Dispatcher(LIMITS)
    stream = dispatcher.open(options(Counting({Kind.ORCHESTRATION: {"wanted": ()}})))

    for number in range(100):
        dispatcher.add(Item(f"unwanted{number}"))

    for _ in range(50):
        item = Item("wanted")
        dispatcher.add(item)
        await settle()
        stream.release(item)

    assert Counting.asked == 101


async def test_what_is_dropped_is_not_handed_out() -> None:
    dispatcher = Dispatcher(LIMITS)
    mine, other = [Item("a"), Item("b"), Item("b")], Item("b", instance=InstanceKey("hub", "other"))

    for item in (*mine, other):
        dispatcher.add(item)

    dispatcher.drop(Kind.ORCHESTRATION, KEY, lambda item: item is not mine[1])
    dispatcher.drop(Kind.ACTIVITY, KEY, lambda item: True)
    assert dispatcher.ready(Kind.ORCHESTRATION) == 2

    dispatcher.open(options())
    await settle()
    assert [len(item.holders) for item in (*mine, other)] == [0, 1, 0, 1]


async def test_an_item_that_cannot_be_taken_back_keeps_no_other_from_it() -> None:
    class Faulty(Item):
        def broken(self) -> None:
            raise RuntimeError("told to fail")

    class Sound(Item):
        is_back = False

        def broken(self) -> None:
            self.is_back = True

    dispatcher = Dispatcher(LIMITS)
    stream = dispatcher.open(options())
    sound = Sound()
    dispatcher.add(Faulty())
    dispatcher.add(sound)
    await settle()
    dispatcher.close(stream)

    assert sound.is_back


async def test_the_engine_hears_of_a_new_worker() -> None:
    dispatcher = Dispatcher(LIMITS)
    fitting: list[bool] = []
    dispatcher.on_open = lambda: fitting.append(dispatcher.fits(Kind.ENTITY, "hub", "e"))
    dispatcher.open(options())

    assert fitting == [True]


async def test_workers_with_room_and_nothing_to_do_are_hungry() -> None:
    dispatcher = Dispatcher(LIMITS)
    hungry: list[bool] = []
    dispatcher.on_hungry = lambda: hungry.append(True)
    dispatcher.open(options(limits=dict.fromkeys(Kind, 1)))
    await settle()
    assert hungry == [True]
