"""The files that are linted together, and the functions in them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from durabletask_worker.nondeterminism.names import Scope, is_context, parameters_of
from durabletask_worker.nondeterminism.suppressions import Suppressions

__all__ = ["Function", "Module", "Project", "Role", "source_files"]

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist"})
_DEEPEST = 20
"""How many re-exports of re-exports are followed."""


class Role(Enum):
    """What a function is to a worker."""

    ORCHESTRATOR = "orchestrator"
    """It is registered as one."""
    CONTEXTUAL = "contextual"
    """It takes an orchestration's context, and so is an orchestrator or a part of one."""
    ACTIVITY = "activity"
    ENTITY = "entity"
    PLAIN = "plain"


@dataclass(slots=True, kw_only=True, eq=False)
class Function:
    """A function or method that is defined in a module."""

    module: Module
    node: ast.FunctionDef | ast.AsyncFunctionDef
    qualified: str
    """Its full name."""
    scope: Scope
    owner: str | None
    """For a method, its class's full name."""
    role: Role = Role.PLAIN

    @property
    def name(self) -> str:
        """What messages call it: its full name without its module's."""
        return self.qualified.removeprefix(f"{self.module.name}.")


class Module:
    """A source file, parsed.

    Args:
        path: Where it is.
        source: Its text.

    Raises:
        SyntaxError: It is no Python.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.name, package = _names_of(path)
        self.tree = ast.parse(source, filename=str(path))
        self.suppressions = Suppressions(source, self.tree)
        self.scope = Scope(self.tree, self.name, package=package)
        self.functions: dict[str, Function] = {}
        self.classes: dict[str, tuple[ast.ClassDef, Scope]] = {}
        """The classes by their full names, each with the scope that it stands in."""
        self._add(self.tree.body, self.scope, None)

    def _add(self, body: Iterable[ast.stmt], scope: Scope, owner: str | None) -> None:
        """Take up the functions of a body, and those inside of them."""
        prefix = owner or scope.qualified

        for node in _definitions(body):
            qualified = f"{prefix}.{node.name}"

            if isinstance(node, ast.ClassDef):
                self.classes[qualified] = node, scope
                self._add(node.body, scope, qualified)
            else:
                is_static = any(scope.resolve(each) == "builtins.staticmethod" for each in node.decorator_list)
                inner = Scope(node, qualified, scope, owner=None if is_static else owner)
                function = Function(module=self, node=node, qualified=qualified, scope=inner, owner=owner)
                function.role = _role_of(function, scope)
                self.functions[qualified] = function
                self._add(node.body, inner, None)


class Project:
    """Modules that are linted together.

    Args:
        modules: The modules.
    """

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = tuple(modules)
        self._by_name: dict[str, list[Module]] = {}

        for module in self.modules:
            self._by_name.setdefault(module.name, []).append(module)

        for module in self.modules:
            self._assign_registered_roles(module)

    def find(self, qualified: str, near: Module) -> Function | None:
        """Find a function by its full name.

        Args:
            qualified: The full name; re-exports and base classes are followed.
            near: Who asks: of two scripts with the same name, that in its directory is meant.

        Returns:
            The function; None if it is not among these files. For a class, its `__init__`.
        """
        return self._find(qualified, near, 0)

    def _find(self, qualified: str, near: Module, depth: int) -> Function | None:
        module = self._module_of(qualified, near)

        if module is None or depth > _DEEPEST:
            return None

        if (function := module.functions.get(qualified)) is not None:
            return function

        if qualified in module.classes:
            return self._find(f"{qualified}.__init__", near, depth + 1)

        owner, _, name = qualified.rpartition(".")

        if owner in module.classes:
            node, scope = module.classes[owner]
            bases = (scope.resolve(base) for base in node.bases)
            found = (self._find(f"{base}.{name}", module, depth + 1) for base in bases if base is not None)

            return next((function for function in found if function is not None), None)

        first, _, rest = qualified[len(module.name) + 1 :].partition(".")
        target = module.scope.imports.get(first)

        return None if target is None else self._find(f"{target}.{rest}" if rest else target, module, depth + 1)

    def _module_of(self, qualified: str, near: Module) -> Module | None:
        if qualified.startswith(f"{near.name}.") and (qualified in near.functions or qualified in near.classes):
            return near

        name = qualified

        while name:
            if candidates := self._by_name.get(name):
                beside = [module for module in candidates if module.path.parent == near.path.parent]

                return (beside or candidates)[0] if len(candidates) == 1 or beside else None

            name = name.rpartition(".")[0]

        return None

    def _assign_registered_roles(self, module: Module) -> None:
        """Find what is given to `add_orchestrator` and the like, anywhere in a module."""
        roles = {"add_orchestrator": Role.ORCHESTRATOR, "add_activity": Role.ACTIVITY, "add_entity": Role.ENTITY}
        scopes = {id(function.node): function.scope for function in module.functions.values()}

        for node, scope in _calls(module.tree, module.scope, scopes):
            role = roles.get(node.func.attr) if isinstance(node.func, ast.Attribute) else None
            name = scope.resolve(node.args[0]) if role is not None and node.args else None
            function = self.find(name, module) if name is not None else None

            if function is not None and role is not None:
                function.role = role


def source_files(path: Path) -> Iterator[Path]:
    """The Python files at a path, in order: itself, or all below it but those of environments and builds.

    Args:
        path: A file or directory.

    Yields:
        The files.
    """
    if not path.is_dir():
        yield path

        return

    for child in sorted(path.iterdir()):
        if child.is_dir():
            if not child.name.startswith(".") and child.name not in _SKIPPED and not (child / "pyvenv.cfg").exists():
                yield from source_files(child)
        elif child.suffix == ".py":
            yield child


def _names_of(path: Path) -> tuple[str, str]:
    """The full name of the module in a file, and its package's."""
    parts = [] if path.stem == "__init__" else [path.stem]
    directory = path.resolve().parent

    while (directory / "__init__.py").exists() and directory.parent != directory:
        parts.insert(0, directory.name)
        directory = directory.parent

    name = ".".join(parts)

    return name, name if path.stem == "__init__" else name.rpartition(".")[0]


def _definitions(body: Iterable[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """The definitions in a body, also those behind an `if`, `try` or `with`."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement
        else:
            for block in ("body", "orelse", "finalbody"):
                yield from _definitions(getattr(statement, block, []))

            for handler in getattr(statement, "handlers", []):
                yield from _definitions(handler.body)


def _calls(tree: ast.AST, scope: Scope, scopes: dict[int, Scope]) -> Iterator[tuple[ast.Call, Scope]]:
    """All calls below a node, each with the scope that it stands in."""
    waiting = [(tree, scope)]

    while waiting:
        node, around = waiting.pop()
        inner = scopes.get(id(node), around)

        if isinstance(node, ast.Call):
            yield node, inner

        waiting.extend((child, inner) for child in ast.iter_child_nodes(node))


def _role_of(function: Function, scope: Scope) -> Role:
    """What a function's decorators, parameters and class say that it is."""
    decorators = [each.func if isinstance(each, ast.Call) else each for each in function.node.decorator_list]
    names = {each.attr for each in decorators if isinstance(each, ast.Attribute)}

    for role in (Role.ORCHESTRATOR, Role.ACTIVITY, Role.ENTITY):
        if role.value in names:
            return role

    parameters = list(parameters_of(function.node))
    contexts = {"ActivityContext": Role.ACTIVITY, "EntityContext": Role.ENTITY, "OrchestrationContext": Role.CONTEXTUAL}

    for name, role in contexts.items():
        if any(is_context(parameter.annotation, scope, name) for parameter in parameters):
            return role

    return Role.ENTITY if function.owner and _is_entity(function.module, function.owner) else Role.PLAIN


def _is_entity(module: Module, owner: str) -> bool:
    node, scope = module.classes[owner]
    decorators = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
    is_decorated = any(isinstance(each, ast.Attribute) and each.attr == "entity" for each in decorators)

    return is_decorated or any((scope.resolve(base) or "").endswith(".DurableEntity") for base in node.bases)
