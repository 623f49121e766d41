"""Calls that no replay can repeat are refused while an orchestrator runs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import logging
import os
import random
import secrets
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path
from random import choice
from time import sleep as pause
from types import ModuleType
from typing import Any

import pytest
from durabletask_protos import orchestrator_service_pb2 as pb
from durabletask_worker import ActivityContext, NonDeterminismError, OrchestrationContext, Registry
from durabletask_worker.execution.host import Host
from durabletask_worker.execution.replay import Execution
from durabletask_worker.nondeterminism.guard import guard


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run code as a step of an orchestrator's."""
    with guard(function):
        return function(*arguments)


def refusal(function: Callable[..., Any], *arguments: Any) -> NonDeterminismError:
    """Run code that does what it must not."""
    before = sys.getprofile()

    with pytest.raises(NonDeterminismError) as caught:
        run(function, *arguments)

    assert sys.getprofile() is before

    return caught.value


class Later(datetime):
    """A subclass has the class methods of its base."""


class Refused:
    """Orchestrator code that is refused, with what the message says: the call, its rule, and what to use instead."""

    def the_time(self) -> object:
        return time.time()

    def a_monotonic_time(self) -> object:
        return time.monotonic()

    def now(self) -> object:
        return datetime.now(timezone.utc)  # noqa: UP017 - by the name that datetime.UTC has had for longer

    def now_by_the_module(self) -> object:
        return dt.datetime.now()

    def now_of_a_subclass(self) -> object:
        return Later.now()

    def today(self) -> object:
        return date.today()

    def a_sleep(self) -> object:
        time.sleep(60)

        return None

    def a_sleep_by_another_name(self) -> object:
        pause(60)

        return None

    def a_random_number(self) -> object:
        return random.random()

    def a_random_integer(self) -> object:
        return random.randint(1, 6)

    def a_random_choice(self) -> object:
        return choice("abc")

    def a_token(self) -> object:
        return secrets.token_hex()

    def a_secret_choice(self) -> object:
        return secrets.choice("abc")

    def random_bytes(self) -> object:
        return os.urandom(4)

    def an_id(self) -> object:
        return uuid.uuid4()

    def a_local_import(self) -> object:
        import uuid as ids

        return ids.uuid1()

    def a_thread(self) -> object:
        return threading.Thread(target=print)

    def a_program(self) -> object:
        return subprocess.run(["true"], check=True)

    def an_event_loop(self) -> object:
        return asyncio.gather()


REPLACEMENTS = {
    "the_time": ("time.time()", "DT101", "ctx.current_utc_datetime"),
    "a_monotonic_time": ("time.monotonic()", "DT101", "ctx.current_utc_datetime"),
    "now": ("datetime.datetime.now()", "DT101", "ctx.current_utc_datetime"),
    "now_by_the_module": ("datetime.datetime.now()", "DT101", "ctx.current_utc_datetime"),
    "now_of_a_subclass": ("datetime.datetime.now()", "DT101", "ctx.current_utc_datetime"),
    "today": ("datetime.date.today()", "DT101", "ctx.current_utc_datetime"),
    "a_sleep": ("time.sleep()", "DT102", "await ctx.create_timer(…)"),
    "a_sleep_by_another_name": ("time.sleep()", "DT102", "await ctx.create_timer(…)"),
    "a_random_number": ("random.random()", "DT103", "ctx.random"),
    "a_random_integer": ("random.randint()", "DT103", "ctx.random"),
    "a_random_choice": ("random.choice()", "DT103", "ctx.random"),
    "a_token": ("secrets.token_hex()", "DT103", "ctx.random"),
    "a_secret_choice": ("SystemRandom.choice()", "DT103", "ctx.random"),
    "random_bytes": ("os.urandom()", "DT103", "ctx.random"),
    "an_id": ("uuid.uuid4()", "DT104", "ctx.new_uuid()"),
    "a_local_import": ("uuid.uuid1()", "DT104", "ctx.new_uuid()"),
    "a_thread": ("threading.Thread()", "DT301", "when_all([…])"),
    "a_program": ("subprocess.run()", "DT203", "in an activity"),
    "an_event_loop": ("asyncio.gather()", "DT302", "; await when_all([…])"),
}


@pytest.mark.parametrize("name", REPLACEMENTS)
def test_what_no_replay_can_repeat_is_refused_with_its_line_and_replacement(name: str) -> None:
    function = getattr(Refused(), name)
    call, code, replacement = REPLACEMENTS[name]
    error = refusal(function)
    traceback = error.__traceback__
    lines = []

    while traceback is not None:
        if traceback.tb_frame.f_code is function.__code__:
            lines.append(traceback.tb_lineno)

        traceback = traceback.tb_next

    assert f"{name} calls {call} at {__file__}:{lines[0]}, " in str(error)
    assert f"({code}); " in str(error)
    assert replacement in str(error)
    assert error.line == f"{__file__}:{lines[0]}"


def test_every_way_to_be_refused_is_in_the_table() -> None:
    assert {name for name in vars(Refused) if not name.startswith("_")} == REPLACEMENTS.keys()


class Allowed:
    """Orchestrator code that may run."""

    def a_seeded_generator(self) -> object:
        return random.Random(7).randint(1, 6)

    def a_given_time(self) -> object:
        return time.strftime("%Y", time.gmtime(0)), datetime.fromtimestamp(0, timezone.utc), time.localtime(0)  # noqa: UP017

    def a_named_id(self) -> object:
        return uuid.uuid5(uuid.NAMESPACE_DNS, "a")

    def what_a_library_does_for_itself(self) -> object:
        logging.getLogger("durabletask_worker.tests").error("logging reads the clock")

        return time.gmtime(0)

    def what_a_comment_allows(self) -> object:
        return time.time()  # durabletask: ignore[DT101]

    def what_a_comment_allows_all_over(self) -> object:  # durabletask: ignore[DT101, DT103]
        if random.random() < 2:
            return time.time()

        return None


@pytest.mark.parametrize("name", [name for name in vars(Allowed) if not name.startswith("_")])
def test_what_a_replay_can_repeat_may_run(name: str) -> None:
    function = getattr(Allowed(), name)

    assert run(function) is not None
    assert sys.getprofile() is None


def test_a_comment_for_another_rule_allows_nothing() -> None:
    def orchestrator() -> float:
        return time.time()  # durabletask: ignore[DT102]

    refusal(orchestrator)


def test_the_error_is_raised_again_where_code_swallows_it() -> None:
    reached = []

    def orchestrator() -> None:
        with contextlib.suppress(Exception):
            time.sleep(60)

        reached.append(True)

    assert "time.sleep()" in str(refusal(orchestrator))
    assert reached == [True]


def test_an_exception_of_the_code_is_not_replaced() -> None:
    def orchestrator() -> None:
        try:
            time.sleep(60)
        except NonDeterminismError:
            raise KeyError("mine") from None

    with pytest.raises(KeyError, match="mine"):
        run(orchestrator)

    assert sys.getprofile() is None


def helper() -> float:
    return time.time()


@contextlib.contextmanager
def measured() -> Iterator[None]:
    time.perf_counter()
    yield


@functools.lru_cache(maxsize=1)
def cached() -> float:
    return time.time()


@dataclass
class Order:
    item: str
    made: datetime = field(default_factory=datetime.now)


@dataclass
class Parcel:
    item: str

    def label(self) -> str:
        return f"{self.item} {uuid.uuid4()}"

    @property
    def age(self) -> float:
        return time.time()


class Reached:
    """Code whose refused call is in something that it calls."""

    def a_function(self) -> object:
        return helper()

    def a_method(self) -> object:
        return self._hidden()

    def a_method_of_an_argument(self, parcel: Parcel) -> object:
        return parcel.label()

    def a_property(self, parcel: Parcel) -> object:
        return parcel.age

    def a_default_of_a_dataclass(self) -> object:
        return Order("tea")

    def a_context_manager(self) -> object:
        with measured():
            return None

    def a_cached_function(self) -> object:
        return cached()

    def an_inner_function(self) -> object:
        def inner() -> float:
            return time.time()

        return inner()

    def a_callback(self) -> object:
        return sorted(["b", "a"], key=lambda item: time.time())

    def a_key_function(self) -> object:
        return [*map(lambda_of_the_module, [1])]

    def _hidden(self) -> float:
        return time.time()


lambda_of_the_module = lambda item: time.time() + item  # noqa: E731 - it has no def


@pytest.mark.parametrize("name", [name for name in vars(Reached) if not name.startswith("_")])
def test_what_the_program_does_on_behalf_of_an_orchestrator_is_refused(name: str) -> None:
    cached.cache_clear()
    function = getattr(Reached(), name)
    refusal(function, *([Parcel("tea")] if "parcel" in function.__annotations__ else []))


def test_a_coroutine_is_watched_in_each_step() -> None:
    async def child() -> None:
        time.time()

    async def orchestrator() -> None:
        await asyncio.sleep(0)
        await child()

    code = orchestrator()

    with guard(orchestrator):
        code.send(None)

    with pytest.raises(NonDeterminismError, match=r"child calls time\.time\(\)"), guard(orchestrator):
        code.send(None)


def test_middleware_may_measure_time() -> None:
    def orchestrator() -> str:
        # Something to watch for, though it is not called.
        return str([time.perf_counter] + [time.time() for _ in ()])

    def middleware() -> str:
        started = time.perf_counter()

        return f"{orchestrator()}{time.perf_counter() - started}"

    with guard(orchestrator):
        assert middleware()


def test_wrapped_and_partial_orchestrators_are_watched() -> None:
    def decorator(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*arguments: object) -> Any:
            return function(*arguments)

        return wrapper

    class Callee:
        __hash__ = None  # type: ignore[assignment] # it cannot be a key

        def __call__(self) -> float:
            return time.time()

    for function in (decorator(helper), functools.partial(helper), functools.partial(decorator(helper)), Callee()):
        refusal(function)


def turn(function: Callable[..., Any], past: int = 0) -> pb.OrchestratorResponse:
    """The first turn of an orchestration, of whose events some are past."""
    registry = Registry()
    name = registry.add_orchestrator(function)
    events = [
        pb.HistoryEvent(eventId=-1, orchestratorStarted=pb.OrchestratorStartedEvent()),
        pb.HistoryEvent(eventId=-1, executionStarted=pb.ExecutionStartedEvent(name=name)),
    ]

    return Execution(Host(registry=registry, guard=guard), instance_id="i").advance(events[:past], events[past:])


def test_an_orchestration_fails_whatever_its_code_makes_of_the_error() -> None:
    async def order(ctx: OrchestrationContext) -> str:
        ctx.call_activity("pay")

        with contextlib.suppress(Exception):
            time.sleep(60)  # noqa: ASYNC251 - it is refused

        return "done"

    (action,) = turn(order).actions
    failure = action.completeOrchestration.failureDetails

    assert failure.errorType.endswith("NonDeterminismError")
    assert "order calls time.sleep() at " in failure.errorMessage
    assert "await ctx.create_timer(…)" in failure.errorMessage


def test_a_replay_is_not_watched() -> None:
    def order(ctx: OrchestrationContext) -> bool:
        return time.time() > 0

    assert turn(order, past=2).actions[0].completeOrchestration.result.value == "true"
    assert turn(order).actions[0].completeOrchestration.HasField("failureDetails")


this_module = sys.modules[__name__]


async def charge(ctx: ActivityContext, order: str) -> float:
    return time.time()


def test_code_with_nothing_to_guard_is_not_watched() -> None:
    async def orchestrator(ctx: OrchestrationContext, order: Any) -> float:
        ctx.set_custom_status([order.time, order.random.choice(order.sleep())])

        await ctx.call_activity(this_module.charge, order)

        return await ctx.call_activity(charge, order)

    with guard(orchestrator):
        assert sys.getprofile() is None

    def suspicious() -> float:
        return sum(time.time() for _ in ())

    with guard(suspicious):
        assert sys.getprofile() is not None


def test_another_profiler_is_left_alone() -> None:
    def profiler(*_: object) -> None:
        pass

    sys.setprofile(profiler)

    try:
        with guard(helper):
            assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_libraries_do_as_they_like_unless_the_orchestrator_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages" / "some_library"
    site.mkdir(parents=True)
    (site / "__init__.py").write_text("")
    (site / "clock.py").write_text(
        "import time\n\ndef read():\n    return time.time()\n\ndef run():\n    return read()\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    clock = imported("some_library.clock")

    def orchestrator() -> object:
        # Something to watch for, though it is not called.
        return [clock.read(), *(time.time() for _ in ())]

    assert run(orchestrator)
    refusal(clock.run)


def imported(name: str) -> ModuleType:
    import importlib

    return importlib.import_module(name)
