"""Fairness, timers and tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from durabletask_backend.errors import StorageFailedError
from durabletask_backend.values import DueMessage, InstanceKey, TaskKey
from durabletask_server.dispatch.queue import FairQueue
from durabletask_server.dispatch.timers import Timers
from durabletask_server.testing import ManualClock
from durabletask_server.tokens import Token, TokenSigner

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
