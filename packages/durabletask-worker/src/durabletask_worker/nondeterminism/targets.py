"""The rules' names as objects of this process: what the guard compares calls with."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from importlib import import_module
from inspect import CO_COROUTINE, unwrap
from random import Random, SystemRandom
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple, TypeGuard

from durabletask_worker.nondeterminism.rule import Rule
from durabletask_worker.nondeterminism.rules import RULES

__all__ = ["Target", "Targets", "is_class"]

_PYTHONS = frozenset({"datetime", "os", "random", "secrets", "subprocess", "threading", "time", "uuid"})
"""Modules that are looked for though nobody has loaded them yet; all are small."""

_CLASS_METHODS = frozenset({"now", "utcnow", "today"})
"""Methods of `datetime` and `date` that read the clock, and that subclasses have, too."""


class Target(NamedTuple):
    """What must not be called."""

    name: str
    """Its full name."""
    rule: Rule
    """The rule that says so."""


class Targets:
    """What an orchestrator must not call, as far as this process has it."""

    def __init__(self) -> None:
        self.built_in: dict[object, Target] = {}
        """Functions that are written in C."""
        self.python: dict[int, Target] = {}
        """Functions that are written in Python, by the `id` of their code; hashing it would take a look at every instruction."""
        self._rests: dict[str, list[frozenset[str]]] = {}
        self._generator: object = None
        # An id is only as good as its object lives.
        self._kept: list[CodeType] = []

        for target in _guarded():
            owner = _imported(target.name.rpartition(".")[0])
            found = getattr(owner, target.name.rpartition(".")[2], None)

            if found is not None:
                self._add(found, target)

    def built_in_call(self, called: Any) -> Target | None:
        """Find what a function that is written in C is among these.

        Args:
            called: The function.

        Returns:
            What it is; None if it is not among them.
        """
        target = self.built_in.get(called)

        if target is None and called.__name__ in _CLASS_METHODS:
            owner = called.__self__

            if isinstance(owner, type) and issubclass(owner, date):
                base = "datetime.datetime" if issubclass(owner, datetime) else "datetime.date"

                return Target(f"{base}.{called.__name__}", RULES["DT101"])

        return target

    def python_call(self, frame: FrameType) -> Target | None:
        """Find what a function that is written in Python, and begins to run, is among these.

        Args:
            frame: Its frame.

        Returns:
            What it is; None if it is not among them, as a generator is not that has a seed of its own.
        """
        target = self.python.get(id(frame.f_code))

        if target is None or target.rule.code != "DT103":
            return target

        generator = frame.f_locals.get("self")

        if isinstance(generator, SystemRandom):
            return target._replace(name=f"{type(generator).__name__}.{target.name.rpartition('.')[2]}")

        return target if generator is self._generator or not isinstance(generator, Random) else None

    def may_be_called(self, names: AbstractSet[str], values: Collection[object]) -> bool:
        """Tell whether code may call any of these.

        Args:
            names: The names in the code.
            values: What its global names stand for, and what it imports.

        Returns:
            Whether it may; True also for much that does not.
        """
        if any(self._is_target(value) for value in values):
            return True

        is_clock = any(is_class(value) and issubclass(value, date) for value in values)

        if is_clock and not _CLASS_METHODS.isdisjoint(names):
            return True

        # Of `module.Class.method` code may have the module or the class in a name of its own; the rest it must name.
        return any(rest <= names for value in values for rest in self._rests.get(_full_name(value), ()))

    def _add(self, found: Any, target: Target) -> None:
        if isinstance(found, MethodType):
            self._generator = found.__self__ if target.name == "random.randint" else self._generator
            found = found.__func__
        elif isinstance(found, type):
            found = vars(found).get("__init__")

        if isinstance(found, FunctionType):
            code = unwrap(found).__code__

            # What is awaited is refused where it is awaited.
            if code.co_flags & CO_COROUTINE:
                return

            self.python.setdefault(id(code), target)
            self._kept.append(code)
        elif isinstance(found, BuiltinFunctionType):
            self.built_in[found] = target
        else:
            return

        parts = target.name.split(".")

        for length in range(1, len(parts)):
            self._rests.setdefault(".".join(parts[:length]), []).append(frozenset(parts[length:]))

    def _is_target(self, value: object) -> bool:
        if type(value) is BuiltinFunctionType:
            return value in self.built_in

        function = value

        if isinstance(value, MethodType):
            function = value.__func__
        elif is_class(value):
            function = vars(value).get("__init__")

        return type(function) is FunctionType and id(unwrap(function).__code__) in self.python


def _full_name(value: object) -> str:
    """The full name of a module or class, whatever name it is imported under; nothing for other values."""
    if is_class(value):
        return f"{value.__module__}.{value.__qualname__}"

    return str(getattr(value, "__name__", "")) if issubclass(type(value), ModuleType) else ""


def is_class(value: object) -> TypeGuard[type]:
    """Whether a value is a class. By its type: a proxy that stands for something else must not be asked."""
    return issubclass(type(value), type)


def _guarded() -> Iterator[Target]:
    for rule in RULES.values():
        if rule.is_guarded:
            for name in rule.calls:
                if name not in rule.harmless_with and not name.endswith("*"):
                    yield Target(name, rule)


def _imported(name: str) -> object:
    """A module or a class in one, if it is loaded or Python's own."""
    if name in sys.modules:
        return sys.modules[name]

    owner, _, last = name.rpartition(".")

    if owner in sys.modules or owner in _PYTHONS:
        return getattr(_imported(owner), last, None)

    return import_module(name) if name in _PYTHONS else None
