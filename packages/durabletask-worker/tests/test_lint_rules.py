"""What the linter finds, rule by rule, and what it leaves alone."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from durabletask_worker.nondeterminism.linter import lint
from durabletask_worker.nondeterminism.rules import RULES, replacement_for

PREAMBLE = """\
import asyncio, contextlib, datetime as dt, logging, os, random, sys, threading, time, uuid
import numpy as np
from datetime import date, datetime, timedelta
from pathlib import Path
from random import choice
from time import sleep as pause
from durabletask_worker import ActivityContext, EntityContext, OrchestrationContext, Registry, TaskCancelled, when_all, when_any

registry = Registry()
logger = logging.getLogger(__name__)
clock = time.time
seen = []
counts: dict[str, int] = {}
LIMIT = 3


class Settings:
    debug = False


@registry.activity
def charge(ctx: ActivityContext, order: str) -> str:
    time.sleep(1)
    return str(uuid.uuid4())


"""

Findings = list[tuple[str, int]]
Lint = Callable[..., Findings]


@pytest.fixture
def lint_body(tmp_path: Path) -> Lint:
    """Lints an orchestrator's body; gives codes and lines, counted from the body's first."""

    def run(
        body: str, header: str = "async def order(ctx: OrchestrationContext, input: set[str]) -> object:"
    ) -> Findings:
        before = f"{PREAMBLE}@registry.orchestrator\n{header}\n"
        file = tmp_path / "workflow.py"
        file.write_text(before + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n", "utf-8")
        report = lint([file])

        assert (report.files, report.orchestrators) == (1, 1)

        return [(each.code, each.line - before.count("\n")) for each in report.findings]

    return run


BROKEN = [
    ("DT101", "return time.time()"),
    ("DT101", "return datetime.now()"),
    ("DT101", "return dt.datetime.now(dt.timezone.utc)"),
    ("DT101", "return date.today()"),
    ("DT101", "return clock()"),
    ("DT101", "return time.strftime('%Y')"),
    ("DT101", "from time import monotonic as m; return m()"),
    ("DT101", "now = datetime.now; return now()"),
    ("DT101", "return [time.time() for _ in range(3)]"),
    ("DT101", "return sorted([2, 1], key=lambda x: time.time())"),
    ("DT102", "time.sleep(1)"),
    ("DT102", "pause(1)"),
    ("DT102", "await asyncio.sleep(1)"),
    ("DT103", "return random.random()"),
    ("DT103", "return choice('abc')"),
    ("DT103", "return random.Random()"),
    ("DT103", "return np.random.rand(3)"),
    ("DT103", "return np.random.default_rng()"),
    ("DT104", "return uuid.uuid4()"),
    ("DT105", "return os.environ['HOME']"),
    ("DT105", "return os.environ.get('HOME')"),
    ("DT105", "return os.getenv('HOME')"),
    ("DT105", "return sys.argv"),
    ("DT106", "return hash('a') % 4"),
    ("DT106", "return os.getpid()"),
    ("DT201", "return open('a')"),
    ("DT201", "return Path('a').read_text()"),
    ("DT201", "path = Path('a') / 'b'; return path.exists()"),
    ("DT202", "import requests; return requests.get('a')"),
    ("DT202", "import sqlite3; return sqlite3.connect('a')"),
    ("DT203", "import subprocess; subprocess.run(['a'])"),
    ("DT203", "os.system('a')"),
    ("DT204", "print('hello')"),
    ("DT205", "logger.info('hello')"),
    ("DT205", "logging.getLogger('a').warning('hello')"),
    ("DT301", "threading.Thread(target=charge)"),
    ("DT302", "await asyncio.gather()"),
    ("DT302", "asyncio.create_task(ctx)"),
    ("DT303", "async for x in input: pass"),
    ("DT303", "return [x async for x in input]"),
    ("DT304", "return charge(ctx, 'a')"),
    ("DT305", "ctx.create_timer(timedelta(1))"),
    ("DT305", "when_all([])"),
    ("DT305", "ctx.wait_for_external_event('a')"),
    ("DT401", "global LIMIT; LIMIT = 4"),
    ("DT401", "seen.append(1)"),
    ("DT401", "counts['a'] = 1"),
    ("DT401", "counts['a'] += 1"),
    ("DT401", "del counts['a']"),
    ("DT401", "Settings.debug = True"),
    ("DT401", "sys.tracebacklimit = 1"),
    ("DT402", "for x in {'a', 'b'}: await ctx.call_activity(charge, x)"),
    ("DT402", "for x in input: await ctx.call_activity(charge, x)"),
    ("DT402", "some = set('ab'); return [x for x in some]"),
    ("DT402", "return list({'a'} | input)"),
    ("DT402", "return ','.join(input)"),
    ("DT402", "return {x for x in 'ab'}.pop()"),
    ("DT402", "await when_all({ctx.call_activity(charge, x) for x in 'ab'})"),
    ("DT403", "if ctx.is_replaying: return 1"),
    ("DT403", "if not ctx.is_replaying: await ctx.call_activity(charge, 'a')"),
    ("DT403", "return await ctx.call_activity(charge, 'a') if ctx.is_replaying else 1"),
]


@pytest.mark.parametrize(("code", "body"), BROKEN)
def test_a_breach_is_found_once_and_where_it_is(lint_body: Lint, code: str, body: str) -> None:
    assert lint_body(f"first = 1\n{body}") == [(code, 2)]


HARMLESS = [
    "return ctx.current_utc_datetime",
    "return random.Random(7).random()",
    "return np.random.default_rng(7)",
    "return ctx.random.choice('abc')",
    "return time.strftime('%Y', input)",
    "return uuid.uuid5(uuid.NAMESPACE_DNS, 'a')",
    "time = ctx.current_utc_datetime; return time.time()",
    "for random in [1]: print if False else random.random",
    "return datetime(2020, 1, 1), datetime.fromisoformat('2020-01-01'), timedelta(1)",
    "return Path('a') / 'b', os.path.join('a', 'b'), Path('a').suffix",
    "return await ctx.call_activity(charge, 'a')",
    "ctx.call_activity(charge, 'a')",
    "ctx.create_replay_safe_logger(logger).info('once')",
    "if not ctx.is_replaying: print('once'); logger.info('once')",
    "if ctx.is_replaying: pass\nelse: ctx.set_custom_status('new')",
    "for x in {1, 2}: await ctx.call_activity(charge, str(x))",
    "for x in sorted(input): await ctx.call_activity(charge, x)",
    "return sorted(input), len(input), sum({len(x) for x in input}), 'a' in input",
    "total = 0\nfor x in input: total += 1\nreturn total",
    "local = []; local.append(1); own = {}; own['a'] = 1; return seen, counts.get('a'), LIMIT",
    "seen = []; seen.append(1); return seen",
    "await when_any([ctx.create_timer(timedelta(1)), ctx.wait_for_external_event('a')])",
    "timer = ctx.create_timer(timedelta(1)); await timer",
    "async for x in ctx.as_completed([]): pass",
    "print = list; return print('a')",
    "raise asyncio.TimeoutError()",
]


@pytest.mark.parametrize("body", HARMLESS)
def test_what_a_replay_repeats_is_left_alone(lint_body: Lint, body: str) -> None:
    assert lint_body(body) == []


CATCH_ALL = [
    ("except:\n    pass", True),
    ("except BaseException:\n    return 1", True),
    ("except (ValueError, BaseException) as e:\n    print\n", True),
    ("except TaskCancelled:\n    return 1", True),
    ("except GeneratorExit:\n    pass", True),
    ("except BaseException:\n    raise", False),
    ("except BaseException as error:\n    raise ValueError from error", False),
    ("except TaskCancelled:\n    raise\nexcept BaseException:\n    raise", False),
    ("except Exception:\n    return 1", False),
    ("finally:\n    pass", False),
]


@pytest.mark.parametrize(("handler", "is_wrong"), CATCH_ALL)
def test_what_unwinds_must_not_be_caught(lint_body: Lint, handler: str, is_wrong: bool) -> None:
    found = lint_body(f"try:\n    await ctx.create_timer(timedelta(1))\n{handler}")

    assert found == ([("DT501", 3)] if is_wrong else [])


def test_a_catch_all_around_no_wait_catches_nothing_that_unwinds(lint_body: Lint) -> None:
    assert lint_body("try:\n    return int('a')\nexcept BaseException:\n    return 0") == []


def test_suppress_is_a_handler_too(lint_body: Lint) -> None:
    assert lint_body("with contextlib.suppress(BaseException):\n    await ctx.create_timer(timedelta(1))") == [
        ("DT501", 1)
    ]


@pytest.mark.parametrize(
    ("value", "is_wrong"),
    [
        *((wrong, True) for wrong in ("", "5", "'a'", "None", "[ctx.create_timer(timedelta(1))]")),
        *((right, False) for right in ("ctx.create_timer(timedelta(1))", "input", "when_all([])")),
    ],
)
def test_a_generator_yields_tasks(lint_body: Lint, value: str, is_wrong: bool) -> None:
    assert lint_body(f"yield {value}", "def order(ctx, input):") == ([("DT306", 1)] if is_wrong else [])


def test_a_context_needs_no_annotation_in_a_registered_orchestrator(lint_body: Lint) -> None:
    found = lint_body("if ctx.is_replaying:\n    yield ctx.call_activity('a')", "def order(ctx, input):")

    assert found == [("DT403", 1)]


def test_inner_functions_are_part_of_the_orchestrator(lint_body: Lint) -> None:
    body = """
    def inner(time):
        return time.time() + uuid.uuid4()

    async def other():
        return clock()

    await other()
    return inner
    """

    assert lint_body(body) == [("DT104", 2), ("DT101", 5)]


def test_what_is_no_orchestrator_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "workflow.py"
    code = """
    class Counter(DurableEntity):
        def add(self, ctx, amount):
            return time.time()

    @registry.entity
    def counter(ctx, input):
        return time.time()

    def entity(ctx: EntityContext, input: object) -> object:
        return time.time()

    def main() -> None:
        print(time.time())

    main()
    """
    file.write_text(PREAMBLE + textwrap.dedent(code), "utf-8")
    report = lint([file])

    assert (report.findings, report.orchestrators) == ((), 0)


def test_every_rule_about_code_has_a_case() -> None:
    tested = {code for code, _ in BROKEN} | {"DT306", "DT501"}

    assert tested == {code for code in RULES if not code.startswith("DT0")}


def test_a_message_says_what_is_wrong_and_what_to_do_instead(tmp_path: Path) -> None:
    file = tmp_path / "workflow.py"
    file.write_text(f"{PREAMBLE}@registry.orchestrator\ndef order(ctx, input):\n    return clock()\n", "utf-8")
    (finding,) = lint([file]).findings

    assert (
        finding.message
        == "time.time() reads the clock, which a replay reads again at another time; use ctx.current_utc_datetime"
    )


def test_a_call_may_have_a_replacement_of_its_own() -> None:
    assert RULES["DT302"].instead_of("asyncio.gather") == "await when_all([…])"
    assert RULES["DT302"].instead_of("asyncio.run") == RULES["DT302"].replacement


def test_a_rule_is_found_by_the_name_of_what_breaks_it() -> None:
    assert replacement_for("asyncio.sleep") is RULES["DT102"]
    assert replacement_for("os.environ") is RULES["DT105"]
    assert replacement_for("numpy.random.normal") is RULES["DT103"]
    assert replacement_for("random.Random") is RULES["DT103"]
    assert replacement_for("random.Random", 1) is None
    assert replacement_for("math.sqrt") is None


def test_codes_and_names_are_given_once() -> None:
    names = [name for rule in RULES.values() for name in (*rule.calls, *rule.reads)]

    assert len(set(names)) == len(names)
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    assert all(re.fullmatch(r"DT\d{3}", code) for code in RULES)
    assert all(name in rule.calls for rule in RULES.values() for name in rule.replacements)
    assert all(
        name in rule.calls or f"{name.rpartition('.')[0]}.*" in rule.calls
        for rule in RULES.values()
        for name in rule.harmless_with
    )
