"""What an orchestrator may run of its own program, and whether any of it may do what an orchestrator must not.

Found once for each orchestrator, from its code objects and the modules they see, so that the guard costs nothing where there is
nothing to guard. What is found is more than what runs; it does not matter, for only calls that are made are refused.
"""

from __future__ import annotations

import dis
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from inspect import getattr_static
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType

import durabletask_client
import durabletask_protos

from durabletask_worker.nondeterminism.targets import Targets, is_class

__all__ = ["Reach", "reach_of"]

_IMPLICIT = frozenset(
    {
        "__init__",
        "__post_init__",
        "__new__",
        "__call__",
        "__enter__",
        "__exit__",
        "__aenter__",
        "__aexit__",
        "__await__",
    }
    | {"__iter__", "__next__", "__str__", "__repr__", "__eq__", "__lt__", "__hash__", "__bool__", "__getattr__"}
)
"""Methods that run without being named."""
_HANDED_OVER_TO = frozenset(
    {"call_activity", "call_sub_orchestrator", "start_orchestration", "schedule_new_orchestration"}
)
"""Methods whose first argument runs elsewhere."""
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_ROOTS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"})
_NO_LOADS = frozenset({"CACHE", "PUSH_NULL", "EXTENDED_ARG"})
_SITES = frozenset({"site-packages", "dist-packages"})
_PYTHON = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
_SDK = (
    Path(__file__).parents[1],
    *(Path(path) for each in (durabletask_client, durabletask_protos) for path in each.__path__),
)


@dataclass(frozen=True, slots=True)
class Reach:
    """What an orchestrator may run of its own program."""

    codes: dict[int, CodeType]
    """The code, functions inside of functions included, by its `id`; hashing it would take a look at every instruction."""
    is_suspicious: bool
    """Whether any of it may do what an orchestrator must not."""


def reach_of(function: Callable[..., object], targets: Targets) -> Reach:
    """Find what an orchestrator may run of its own program.

    Libraries are left out, unless the orchestrator is part of one: what logging does with the clock is its own affair.

    Args:
        function: The orchestrator.
        targets: What it must not call.

    Returns:
        What it may run.
    """
    search = _Search(_origin(_file_of(_innermost(function))), targets)
    search.add(function, _IMPLICIT)
    search.run()

    return Reach(search.codes, search.is_suspicious)


class _Search:
    def __init__(self, home: str | None, targets: Targets) -> None:
        self._home = home
        self._targets = targets
        self._waiting: list[FunctionType] = []
        self.codes: dict[int, CodeType] = {}
        self.is_suspicious = False

    def run(self) -> None:
        while self._waiting:
            function = self._waiting.pop()

            if id(function.__code__) not in self.codes:
                self._look_into(function)

    def add(self, value: object, names: Iterable[str] = ()) -> None:
        """Take up a value that code sees, which uses these names."""
        for layer in _layers(value):
            if isinstance(layer, FunctionType):
                if self._is_own(_file_of(layer)):
                    self._waiting.append(layer)
            elif isinstance(layer, MethodType):
                self.add(layer.__func__)
            elif is_class(layer):
                self._add_class(layer, names)
            elif issubclass(type(layer), ModuleType):
                self._add_module(layer, names)
            else:
                self._add_class(type(layer), names)

    def _look_into(self, function: FunctionType) -> None:
        codes = list(_codes_in(function.__code__))
        steps = [step for code in codes for step in _steps_in(code)]
        names = {str(step.argval) for step in steps}
        known = {**sys.modules, **function.__globals__, **_cells_of(function)}
        seen = [known[step.argval] for step in steps if _is_root(step) and step.argval in known]

        self.codes.update((id(code), code) for code in codes)
        self.is_suspicious = self.is_suspicious or self._targets.may_be_called(names, seen)

        for value in (*seen, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.add(value, names | _IMPLICIT)

        # Instances come as arguments and results, too; their classes are among what the module knows.
        for value in list(function.__globals__.values()):
            if is_class(value):
                self._add_class(value, names)

    def _add_module(self, module: object, names: Iterable[str]) -> None:
        members = vars(module)

        if self._is_own(_module_file(members.get("__name__", ""))):
            for name in names & members.keys():
                self.add(members[name], names)

    def _add_class(self, owner: type, names: Iterable[str]) -> None:
        for base in type.mro(owner):
            if base is not object and self._is_own(_module_file(base.__module__)):
                members = vars(base)

                for name in set(names) & members.keys():
                    self._add_member(members[name])

    def _add_member(self, member: object) -> None:
        if isinstance(member, property):
            for accessor in (member.fget, member.fset, member.fdel):
                self.add(accessor)
        elif isinstance(member, staticmethod | classmethod):
            self.add(member.__func__)
        else:
            # Values in a class are what code gets, not what it runs.
            for layer in _layers(member):
                if isinstance(layer, FunctionType):
                    self.add(layer)

    def _is_own(self, file: str) -> bool:
        origin = _origin(file)

        return origin is None or (origin == self._home and origin != "")


def _layers(value: object) -> Iterator[object]:
    """A value, and what is inside of partials and decorators."""
    seen: set[int] = set()

    while id(value) not in seen:
        seen.add(id(value))
        yield value
        value = value.func if type(value) is partial else getattr_static(value, "__wrapped__", value)


def _innermost(function: Callable[..., object]) -> object:
    *_, last = _layers(function)

    return last.__func__ if isinstance(last, MethodType) else last


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code

    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_in(constant)


def _steps_in(code: CodeType) -> Iterator[dis.Instruction]:
    """The instructions with names: of globals, attributes, imports, and what enclosing functions have; but for what runs elsewhere."""
    is_argument = is_handed_over = False

    for step in dis.get_instructions(code):
        is_named = step.opcode in dis.hasname or step.opcode in dis.hasfree
        is_attribute = step.opname in _ATTRIBUTES

        # `ctx.call_activity(module.pay, …)` loads `module`, and then its attribute, right after the method.
        if is_argument and step.opname.startswith("LOAD_") and not is_attribute:
            is_argument, is_handed_over = False, True
        elif not (is_handed_over and is_attribute) and step.opname not in _NO_LOADS:
            is_argument, is_handed_over = is_attribute and step.argval in _HANDED_OVER_TO, False

            if is_named:
                yield step


def _is_root(step: dis.Instruction) -> bool:
    """Whether an instruction gets a value by its name alone."""
    return step.opcode in dis.hasfree or step.opname in _ROOTS


def _cells_of(function: FunctionType) -> dict[str, object]:
    """What a function has from those around it."""
    found: dict[str, object] = {}

    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            # Nothing is assigned to it yet.
            continue

    return found


def _file_of(value: object) -> str:
    """The file that a function or an instance's class is from."""
    if not isinstance(value, FunctionType):
        return _module_file(type(value).__module__)

    # Generated code, a dataclass's say, has no file, but its module has.
    name = value.__code__.co_filename

    return str(value.__globals__.get("__file__", name)) if name.startswith("<") else name


def _module_file(name: str) -> str:
    file = vars(sys.modules[name]).get("__file__") if name in sys.modules else None

    # Modules in C have none.
    return file or ("<frozen>" if name in sys.stdlib_module_names else "")


@lru_cache(maxsize=4096)
def _origin(file: str) -> str | None:
    """Where a file is from: None for the user's own program, the name of an installed package, or "" for Python and this SDK."""
    path = Path(file)

    for part, following in zip(path.parts, path.parts[1:], strict=False):
        if part in _SITES:
            return following.removesuffix(".py")

    is_python = file.startswith("<frozen") or any(path.is_relative_to(directory) for directory in _PYTHON)

    return "" if is_python or any(path.is_relative_to(directory) for directory in _SDK) else None
