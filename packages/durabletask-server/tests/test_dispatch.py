"""Fairness, timers, tokens, and how work items are encoded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from durabletask_backend.errors import StorageFailedError
from durabletask_backend.values import DueMessage, Entity, Instance, InstanceKey, RuntimeStatus, TaskKey
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_server.dispatch.encoding import LEFT_OUT, encode_batch, encode_operations, encode_turn
from durabletask_server.dispatch.queue import FairQueue
from durabletask_server.dispatch.timers import Timers
from durabletask_server.engine.framing import PAST_EVENT, frame
from durabletask_server.engine.turn import Turn
from durabletask_server.testing import ManualClock
from durabletask_server.tokens import Token, TokenSigner
from google.protobuf.wrappers_pb2 import StringValue

KEY = InstanceKey("hub", "i")


def test_groups_take_turns_and_keep_their_order() -> None:
    queue: FairQueue[str] = FairQueue()

    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.push(item[0], item)

    assert [queue.pop() for _ in range(len(queue))] == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_what_is_pushed_to_the_front_comes_next() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a", "a1")
    queue.push("b", "b1", front=True)

    assert queue.pop() == "b1"


def test_a_group_is_there_as_long_as_it_has_items() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a", "a1")
    queue.push("b", "b1")
    queue.drop("b", lambda _: True)
    assert "a" in queue
    assert "b" not in queue

    queue.pop()
    assert "a" not in queue


class Store:
    """What the timers read from."""

    def __init__(self, messages: Sequence[DueMessage]) -> None:
        self.messages = sorted(messages)
        self.failures = 0

    async def due(self, after: DueMessage | None, limit: int) -> Sequence[DueMessage]:
        if self.failures:
            self.failures -= 1
            raise StorageFailedError("told to fail")

        return [message for message in self.messages if after is None or message > after][:limit]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_messages_fire_in_order_when_they_are_due() -> None:
    clock = ManualClock(now=0)
    fired: list[DueMessage] = []
    timers = Timers(clock, fired.append, Store([]).due)
    await timers.start()
    messages = [DueMessage(at, at, KEY) for at in (30, 10, 20)]

    for message in messages:
        timers.add(message)

    clock.advance(20)
    assert fired == sorted(messages)[:2]

    clock.advance(10)
    assert fired == sorted(messages)


async def test_more_timers_than_the_window_all_fire_once() -> None:
    clock = ManualClock(now=0)
    fired: list[DueMessage] = []
    store = Store([DueMessage(at, at, KEY) for at in range(1, 101)])
    timers = Timers(clock, fired.append, store.due, window=10)
    await timers.start()

    for at in range(101, 121):
        message = DueMessage(at, at, KEY)
        store.messages.append(message)
        timers.add(message)

    for _ in range(130):
        clock.advance(1)
        await settle()

    assert fired == store.messages


async def test_a_message_that_is_committed_while_the_window_is_refilled_fires() -> None:
    clock = ManualClock(now=0)
    fired: list[DueMessage] = []
    store = Store([DueMessage(at, at, KEY) for at in range(1, 11)])
    timers = Timers(clock, fired.append, store.due, window=10)
    await timers.start()
    clock.advance(10)
    late = DueMessage(20, 20, KEY)
    timers.add(late)
    await settle()
    clock.advance(10)

    assert fired[-1] == late


async def test_a_far_timer_that_is_committed_while_the_window_is_refilled_holds_up_no_other() -> None:
    clock = ManualClock(now=0)
    fired: list[DueMessage] = []
    store = Store([DueMessage(at, at, KEY) for at in range(1, 31)])
    timers = Timers(clock, fired.append, store.due, window=10)
    await timers.start()
    clock.advance(10)
    far = DueMessage(1000, 1000, KEY)
    store.messages.append(far)
    timers.add(far)

    for _ in range(30):
        await settle()
        clock.advance(1)

    await settle()
    assert fired == store.messages[:-1]

    clock.advance(1000)
    await settle()
    clock.advance(1)
    assert fired == store.messages


async def test_a_refill_that_fails_is_tried_again() -> None:
    clock = ManualClock(now=0)
    fired: list[DueMessage] = []
    store = Store([DueMessage(at, at, KEY) for at in range(1, 12)])
    timers = Timers(clock, fired.append, store.due, window=10)
    await timers.start()
    store.failures = 1
    clock.advance(11)
    await settle()
    clock.advance(1_000_000)
    await settle()
    clock.advance(1)

    assert fired == store.messages


TOKEN = Token(TaskKey("hub", "an instance: ü", "e" * 32, 7), "boot.1")


def test_a_token_says_what_it_is_for_also_to_the_next_server() -> None:
    text = TokenSigner(b"secret").sign(TOKEN)

    assert TokenSigner(b"secret").read(text) == TOKEN


@pytest.mark.parametrize("text", ["", "made up", "AAAA", "ü"])
def test_what_is_no_token_is_not_read(text: str) -> None:
    assert TokenSigner(b"secret").read(text) is None


def test_a_token_of_another_hub_or_a_changed_one_is_not_read() -> None:
    signer = TokenSigner(b"secret")
    text = signer.sign(TOKEN)
    other = text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB")

    assert TokenSigner(b"other").read(text) is None
    assert signer.read(other) is None


CALL = pb.HistoryEvent(
    eventId=-1,
    entityOperationCalled=pb.EntityOperationCalledEvent(requestId="r1", operation="add", input=StringValue(value="")),
)
SIGNAL = pb.HistoryEvent(
    eventId=-1, entityOperationSignaled=pb.EntityOperationSignaledEvent(requestId="r2", operation="ü" * 200)
)


@pytest.mark.parametrize("state", [None, "", "x" * 70_000])
def test_operations_are_sent_in_order_with_the_state_they_find(state: str | None) -> None:
    entity = Entity(key=InstanceKey("hub", "@counter@ü"), state=state, has_state=state is not None, modified_at=0)
    events = [CALL, SIGNAL, CALL]
    item = pb.WorkItem.FromString(
        encode_operations(entity, [event.SerializeToString() for event in events], "the token")
    )
    request = item.entityRequestV2

    assert item.completionToken == "the token"
    assert request.instanceId == "@counter@ü"
    assert list(request.operationRequests) == events
    assert (request.entityState.value if request.HasField("entityState") else None) == state


@pytest.mark.parametrize("state", [None, "", "1"])
def test_operations_in_the_older_form_tell_no_input_from_an_empty_one(state: str | None) -> None:
    entity = Entity(key=InstanceKey("hub", "@counter@a"), state=state, has_state=state is not None, modified_at=0)
    item = pb.WorkItem.FromString(encode_batch(entity, [SIGNAL, CALL], "the token"))
    request = item.entityRequest

    assert item.completionToken == "the token"
    assert request.instanceId == "@counter@a"
    assert (request.entityState.value if request.HasField("entityState") else None) == state
    assert [(each.requestId, each.operation, each.HasField("input")) for each in request.operations] == [
        ("r2", "ü" * 200, False),
        ("r1", "add", True),
    ]


@pytest.mark.parametrize("left_out", [None, 0, 12_345])
def test_a_turn_says_how_much_of_its_history_was_left_out(left_out: int | None) -> None:
    past = b"" if left_out is not None else frame(PAST_EVENT, CALL.SerializeToString())
    instance = Instance(
        key=KEY, execution_id="e", name="n", status=RuntimeStatus.RUNNING, created_at=0, updated_at=0, turn_context=b""
    )
    shown = (SIGNAL.SerializeToString(),)
    turn = Turn(time=0, events=(SIGNAL,), encoded=shown, sequences=(), dropped=(), terminated=None, shown=shown)
    item = pb.WorkItem.FromString(encode_turn(instance, turn, past, "the token", left_out=left_out))
    request = item.orchestratorRequest

    assert list(request.pastEvents) == ([] if left_out is not None else [CALL])
    assert list(request.newEvents) == [SIGNAL]
    assert not request.requiresHistoryStreaming
    assert {name: value.number_value for name, value in request.properties.items()} == (
        {} if left_out is None else {LEFT_OUT: left_out}
    )
