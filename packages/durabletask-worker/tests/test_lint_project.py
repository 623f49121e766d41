"""The linter on several files, and with comments that silence it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from durabletask_worker.nondeterminism.linter import lint

Files = Callable[[Mapping[str, str]], Path]

HEAD = "import random, time\nfrom durabletask_worker import OrchestrationContext\n"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Writes files; gives their directory."""

    def write(sources: Mapping[str, str]) -> Path:
        for name, source in sources.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source), "utf-8")

        return tmp_path

    return write


def found(path: Path, codes: list[str] | None = None) -> list[str]:
    report = lint([path], codes=codes)

    return [f"{Path(each.path).relative_to(path)}:{each.line} {each.code}" for each in report.findings]


def test_functions_that_an_orchestrator_calls_are_checked_with_the_way_that_leads_there(files: Files) -> None:
    root = files(
        {
            "flow.py": """\
                import time

                def order(ctx, input):
                    return price(input)

                def price(item):
                    return Rates().of(item)

                class Base:
                    def of(self, item):
                        return self.now()

                    def now(self):
                        return time.time()

                class Rates(Base):
                    def __init__(self):
                        self.at = time.monotonic()

                def unused():
                    return time.time()

                def main(worker):
                    worker.add_orchestrator(order)
                """
        }
    )
    findings = lint([root]).findings

    assert [(each.line, each.chain) for each in findings] == [
        (14, ("order", "price", "Base.of", "Base.now")),
        (18, ("order", "price", "Rates.__init__")),
    ]
    assert findings[0].text.endswith("(`Base.now` is called by orchestrator `order` through `price`, `Base.of`)")
    assert findings[1].text.endswith("(`Rates.__init__` is called by orchestrator `order` through `price`)")


def test_methods_are_followed_through_self_and_base_classes(files: Files) -> None:
    root = files(
        {
            "flow.py": f"""{HEAD}
class Base:
    def now(self):
        return time.time()

class Flow(Base):
    async def order(self, ctx: OrchestrationContext):
        return self.now(), self.later(), Flow.fixed()

    def later(self):
        return time.monotonic()

    @staticmethod
    def fixed():
        return random.random()
"""
        }
    )

    assert found(root) == ["flow.py:6 DT101", "flow.py:13 DT101", "flow.py:17 DT103"]


def test_methods_of_instances_are_followed_where_the_class_is_known(files: Files) -> None:
    root = files(
        {
            "flow.py": f"""{HEAD}
class Parcel:
    def label(self):
        return random.random()

    def weight(self):
        return time.time()

    def age(self):
        return time.monotonic()

async def order(ctx: OrchestrationContext, parcel: Parcel, other: "Parcel", unknown):
    parcel.label()
    other.weight()
    unknown.age()
"""
        }
    )

    assert found(root) == ["flow.py:6 DT103", "flow.py:9 DT101"]


def test_other_files_are_followed_through_imports_and_re_exports(files: Files) -> None:
    root = files(
        {
            "app/__init__.py": "",
            "app/flows.py": f"""{HEAD}
from app.prices import price as priced
from . import tools
from .tools import deep

async def order(ctx: OrchestrationContext):
    return priced(), tools.clock(), deep.down()
""",
            "app/prices/__init__.py": "from .rates import price\n",
            "app/prices/rates.py": "import time\n\ndef price():\n    return time.time()\n",
            "app/tools/__init__.py": "import time\n\ndef clock():\n    return time.time()\n",
            "app/tools/deep.py": "import time\n\ndef down():\n    return time.time()\n",
        }
    )

    assert found(root) == ["app/prices/rates.py:4 DT101", "app/tools/__init__.py:4 DT101", "app/tools/deep.py:4 DT101"]


def test_scripts_of_one_name_are_told_apart_by_their_directories(files: Files) -> None:
    flow = f"{HEAD}from clock import now\n\nasync def order(ctx: OrchestrationContext):\n    return now()\n"
    root = files(
        {
            "one/flow.py": flow,
            "one/clock.py": "import time\n\ndef now():\n    return time.time()\n",
            "two/flow.py": flow,
            "two/clock.py": "def now():\n    return 0\n",
        }
    )

    assert found(root) == ["one/clock.py:4 DT101"]


def test_a_context_that_is_handed_on_is_known_where_it_goes(files: Files) -> None:
    root = files(
        {
            "flow.py": f"""{HEAD}
async def order(ctx: OrchestrationContext):
    return await step(1, ctx)

async def step(number, c):
    if c.is_replaying:
        return await c.call_activity("pay", number)
"""
        }
    )

    assert found(root) == ["flow.py:8 DT403"]


def test_activities_are_neither_checked_nor_called_directly(files: Files) -> None:
    root = files(
        {
            "acts.py": "import time\n\ndef pay(ctx, amount):\n    return time.time()\n",
            "flow.py": """\
                from acts import pay

                def order(ctx, input):
                    yield ctx.call_activity(pay, 1)
                    pay(None, 1)

                def main(worker):
                    worker.add_orchestrator(order)
                    worker.add_activity(pay)
                """,
        }
    )

    assert found(root) == ["flow.py:5 DT304"]


def test_recursion_ends(files: Files) -> None:
    source = """
async def order(ctx: OrchestrationContext, depth: int):
    return again(depth) + alias

def again(depth):
    return again(depth - 1) + time.time()

alias = other
other = alias
"""

    assert found(files({"flow.py": HEAD + source})) == ["flow.py:8 DT101"]


def test_comments_silence_a_line_a_statement_a_function_or_a_file(files: Files) -> None:
    source = f"""{HEAD}
async def order(ctx: OrchestrationContext):
    a = time.time()  # durabletask: ignore[DT101]
    b = random.random()  # durabletask: ignore
    c = (
        time.time(),
        1,
    )  # durabletask: ignore[DT103, DT101] - with a reason
    d = "# durabletask: ignore[DT101]", time.time()

async def silent(  # durabletask: ignore[DT101]
    ctx: OrchestrationContext,
):
    time.time()
    random.random()
"""

    assert found(files({"flow.py": source})) == ["flow.py:10 DT001", "flow.py:11 DT101", "flow.py:17 DT103"]
    assert (
        found(files({"flow.py": source + "# durabletask: ignore-file[DT101, DT103, DT001]\n"}), ["DT101", "DT103"])
        == []
    )


def test_comments_that_silence_nothing_are_found(files: Files) -> None:
    source = f"""{HEAD}# durabletask: ignore-file[DT203]
async def order(ctx: OrchestrationContext):
    return 1  # durabletask: ignore
    return 2  # durabletask: ignore[DT101]
    return 3  # durabletask: ignore[DT999]
"""
    root = files({"flow.py": source})

    assert found(root) == ["flow.py:3 DT001", "flow.py:5 DT001", "flow.py:6 DT001", "flow.py:7 DT001"]
    # Of rules that are not checked nobody knows.
    assert found(root, ["DT001", "DT101"]) == ["flow.py:6 DT001", "flow.py:7 DT001"]
    assert found(root, ["DT101"]) == []


def test_files_that_cannot_be_read_are_found_and_the_others_are_checked(files: Files) -> None:
    root = files(
        {
            "broken.py": "def order(:\n",
            "flow.py": f"{HEAD}async def order(ctx: OrchestrationContext):\n    time.time()\n",
        }
    )
    (root / "bytes.py").write_bytes(b"a = '\xff'\n")
    (root / "deep.py").write_text("a = " + "+".join(["1"] * 100_000), "utf-8")
    (root / "zero.py").write_bytes(b"a = 1\0\n")

    unreadable = [f"{name}.py:1 DT002" for name in ("broken", "bytes", "deep", "zero")]

    assert found(root) == sorted([*unreadable, "flow.py:4 DT101"])


def test_environments_and_hidden_directories_are_left_out(files: Files) -> None:
    flow = f"{HEAD}async def order(ctx: OrchestrationContext):\n    time.time()\n"
    root = files(
        {
            "env/lib/flow.py": flow,
            "env/pyvenv.cfg": "",
            ".hidden/flow.py": flow,
            "node_modules/flow.py": flow,
            "src/flow.py": flow,
            "src/notes.txt": flow,
        }
    )

    assert found(root) == ["src/flow.py:4 DT101"]


def test_a_file_that_is_named_twice_is_read_once(files: Files) -> None:
    root = files({"flow.py": f"{HEAD}async def order(ctx: OrchestrationContext):\n    time.time()\n"})

    assert lint([root, root / "flow.py"]).files == 1


def test_an_unknown_code_is_named() -> None:
    with pytest.raises(ValueError, match="DT999"):
        lint([], codes=["DT101", "DT999"])
